"""Django's settings."""

import os
from typing import Any

from django_service.config import Config

CONFIG = Config.from_environment(os.environ)

SECRET_KEY = CONFIG.secret_key
DEBUG = False
ALLOWED_HOSTS = list(CONFIG.allowed_hosts)

INSTALLED_APPS = ["django_service.management"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django_service.errors.ErrorAnswers",
]
ROOT_URLCONF = "django_service.urls"
WSGI_APPLICATION = "django_service.wsgi.application"

DATABASES = {"default": CONFIG.database}
CACHES = {"default": CONFIG.cache}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

# The body of a request of this API is small.
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"telling": {"()": "django_service.errors.NotUnavailable"}},
    "handlers": {
        "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}
    },
    "root": {"handlers": ["stdout"], "level": CONFIG.log_level},
    "loggers": {
        # Its own handlers would mail to administrators, of whom there are none.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # A line per answer that is not 2xx says no more than the access log.
        "django.request": {"level": "ERROR", "filters": ["telling"]},
        "httpx": {"level": "WARNING"},
    },
}
