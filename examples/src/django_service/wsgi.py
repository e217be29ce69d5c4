"""The application as servers load it: `gunicorn django_service.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_service.settings")

application = get_wsgi_application()
