"""A greeting, a feature flag, a session key and a database login that follow their ConfigMap and Secret."""
