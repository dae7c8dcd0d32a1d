"""Django: an application for ``INSTALLED_APPS``, database engines, a middleware, pages, checks and a command.

::

    INSTALLED_APPS = ["liveconfig.integrations.django", ...]
    MIDDLEWARE = ["liveconfig.integrations.django.middleware.LiveConfigMiddleware", ...]
    LIVECONFIG = {
        "SETTINGS": "shop.live:settings",
        "MIRROR": {"SECRET_KEY": "session_key", "EMAIL_HOST": "email_host"},
    }
    DATABASES = {"default": {"ENGINE": "liveconfig.integrations.django.postgresql", "HOST": "db", "NAME": "shop"}}

Modules:

- `apps`: the application: it checks the configuration and mirrors settings when Django starts.
- `checks`: the system checks ``liveconfig.E...`` and ``liveconfig.W...``.
- `middleware`: one snapshot for each request.
- `urls` and `views`: the readiness probe and the status page.
- `postgresql` and `mysql`: database engines whose connections log in with the newest user and password.
"""

from __future__ import annotations

from liveconfig.integrations._extras import extra_of

with extra_of(__name__):
    import django as _django  # noqa: F401 - every module in here needs it
