"""Guests: one module per framework or client, named after it. They use the public surface only."""
