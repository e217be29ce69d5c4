"""The dashboard `ansflow-django`: the Django service by route, status and worker."""

from . import service
from .layout import Page
from .queries import DJANGO

DJANGO_PAGE = Page(
    uid="ansflow-django",
    title="AnsFlow Django",
    description="The Django service: requests, errors and latency by route, status and worker.",
    jobs_of=DJANGO.requests,
    sections=service.sections(DJANGO, "gunicorn's --workers is what to expect"),
)
