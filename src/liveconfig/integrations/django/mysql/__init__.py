"""The engine ``liveconfig.integrations.django.mysql``: Django's own for MySQL and MariaDB, with the newest login."""
