"""One application in Django, for WSGI and for ASGI: settings, URLs and entry points in one."""

from ansflow_instrumentation.health import django_cache_check, django_database_check
from ansflow_instrumentation.health.django import health_urls
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import URLPattern, include, path

from . import dependencies

settings.configure(
    SECRET_KEY="not a secret",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
wsgi = get_wsgi_application()
asgi = get_asgi_application()

_checks = [*dependencies.checks(), django_database_check(name="orm"), django_cache_check()]


def _urls(*, prefix: str = "", asynchronous: bool = False) -> list[URLPattern]:
    return health_urls(
        _checks,
        prefix=prefix,
        service_id="shop",
        version="1.4",
        deadline_s=dependencies.DEADLINE_S,
        asynchronous=asynchronous,
    )


urlpatterns = [
    *_urls(prefix="health"),
    path("included/", include((_urls(), "included"))),
    *_urls(prefix="async/health", asynchronous=True),
]
