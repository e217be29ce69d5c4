"""Caches: Django's cache framework on any backend, and redis-py."""
