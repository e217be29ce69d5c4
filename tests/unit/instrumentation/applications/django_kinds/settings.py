"""Settings of the project: one host is allowed."""

SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "django_kinds.urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
USE_TZ = True
