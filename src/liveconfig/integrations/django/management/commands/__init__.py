"""``manage.py liveconfig``."""
