"""A third party's service: an artifact registry with a notification API."""
