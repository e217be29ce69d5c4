"""The Django application."""

from django.apps import AppConfig


class ManagementConfig(AppConfig):
    """Users, projects and settings."""

    name = "django_service.management"
    label = "management"
    verbose_name = "Management"
