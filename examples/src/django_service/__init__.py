"""The management service: users, projects and settings of the CI/CD platform (Django)."""

__version__ = "1.0.0"
