"""What gunicorn serves: ``greeter.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greeter.settings")
application = get_asgi_application()
