"""Health: what the service depends on, and its peer."""

from ansflow_instrumentation.health import Check, django_cache_check, django_database_check
from ansflow_instrumentation.health.django import health_urls

from django_service import __version__
from django_service.management import pipelines
from django_service.management.models import User

urlpatterns = health_urls(
    [
        django_database_check(query=User.objects.exists),
        # Without its cache the service is slower, not useless.
        django_cache_check(),
        Check("fastapi", pipelines.probe, critical=False, ready=False),
    ],
    prefix="health",
    service_id="ansflow-django",
    version=__version__,
)
