"""Health endpoints in `application/health+json`, for Starlette, FastAPI and Django, and checks for them.

They need neither OpenTelemetry nor `opentelemetry-instrument`, and load a framework only where its module is
imported: `ansflow_instrumentation.health.starlette`, `….fastapi` or `….django`.

Source: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
"""

from ansflow_instrumentation.health.caches import django_cache_check, redis_check
from ansflow_instrumentation.health.checks import Check, CheckFailedError, ComponentType, Observation, Status
from ansflow_instrumentation.health.databases import asyncpg_check, django_database_check, sqlalchemy_check
from ansflow_instrumentation.health.service import MEDIA_TYPE
from ansflow_instrumentation.health.services import http_check

__all__ = [
    "MEDIA_TYPE",
    "Check",
    "CheckFailedError",
    "ComponentType",
    "Observation",
    "Status",
    "asyncpg_check",
    "django_cache_check",
    "django_database_check",
    "http_check",
    "redis_check",
    "sqlalchemy_check",
]
