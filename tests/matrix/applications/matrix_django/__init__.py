"""A Django project with one of each kind of route; it knows nothing of telemetry."""
