"""Measurements of liveconfig alone, each a small program that prints one JSON object."""
