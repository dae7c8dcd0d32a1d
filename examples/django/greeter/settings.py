"""The settings of Django: no password and no key is in here."""

import os

ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["liveconfig.integrations.django", "django.contrib.sessions"]
MIDDLEWARE = [
    "liveconfig.integrations.django.middleware.LiveConfigMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
]
ROOT_URLCONF = "greeter.urls"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

LIVECONFIG = {"SETTINGS": "greeter.live:settings", "MIRROR": {"SECRET_KEY": "session_key"}}

DATABASES = {
    "default": {
        "ENGINE": "liveconfig.integrations.django.postgresql",
        "HOST": os.environ.get("DATABASE_HOST", "db"),
        "NAME": os.environ.get("DATABASE_NAME", "greeter"),
        "CONN_MAX_AGE": 600,
    }
}
