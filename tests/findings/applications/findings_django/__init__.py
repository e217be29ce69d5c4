"""A Django service as people write them: one host is allowed, and a cache."""
