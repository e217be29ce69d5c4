"""Middleware in a dict: Django reads it (in reverse), contrib's instrumentation cannot insert into it."""

SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_shop.urls"
MIDDLEWARE = {"django.middleware.common.CommonMiddleware": None}
USE_TZ = True
