"""The same settings with django-prometheus, as its README says."""

from .django_settings import *  # noqa: F403 # settings files are made like this
from .django_settings import MIDDLEWARE as PLAIN_MIDDLEWARE

INSTALLED_APPS = ["django_prometheus"]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    *PLAIN_MIDDLEWARE,
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
