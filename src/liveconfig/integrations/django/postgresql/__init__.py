"""The engine ``liveconfig.integrations.django.postgresql``: Django's own, with the newest login."""
