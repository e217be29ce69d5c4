"""How each instrumentation is loaded: as it is, or by a loader of its own.

To replace an instrumentation, give its entry point's name another loader in `LOADERS`.
"""

import functools
import logging
import os
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from opentelemetry.instrumentation.auto_instrumentation import _load

from ansflow_instrumentation.configuration.file import instrumentation_options
from ansflow_instrumentation.configuration.lists import ENABLED_VARIABLE, reason_off
from ansflow_instrumentation.http.choice import is_contrib_chosen
from ansflow_instrumentation.http.django import instrument_django
from ansflow_instrumentation.http.starlette import instrument_fastapi
from ansflow_instrumentation.log_export import export_every_logger
from ansflow_instrumentation.ownership import instrument_every_import_path
from ansflow_instrumentation.survive import survive

__all__ = ["hide_conflicts_of_replaced", "load", "loading"]

OTEL_PYTHON_DJANGO_INSTRUMENT = "OTEL_PYTHON_DJANGO_INSTRUMENT"
"""contrib's own switch: `False` leaves Django alone."""

Loader = Callable[[EntryPoint, dict[str, Any]], None]


def load(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    """Load an instrumentation by its loader.

    Args:
        entry_point: From the group `opentelemetry_instrumentor`.
        options: For the instrumentor's `instrument`; those of a configuration file come on top.
    """
    of_file = instrumentation_options(os.environ).get(entry_point.name, {})
    options = {**options, **{name: value for name, value in of_file.items() if name != "enabled"}}
    LOADERS.get(entry_point.name, _load_as_is)(entry_point, options)


def loading(name: str) -> str:
    """Say what is being done, for the warning that names a failed instrumentation.

    Args:
        name: Name of the entry point.

    Returns:
        The beginning of a sentence.
    """
    return f"Loading the {name!r} instrumentation"


def hide_conflicts_of_replaced() -> None:
    """Let the loader complain of no library whose version is contrib's problem, and not ours."""
    logging.getLogger(_load.__name__).addFilter(_is_no_conflict_of_replaced)


def _is_no_conflict_of_replaced(record: logging.LogRecord) -> bool:
    name, _, conflict = record.getMessage().partition(" ")
    ours = REPLACEMENTS.get(name)
    return ours is None or "nothing can be instrumented" not in conflict or _off(ours.name)


def _load_as_is(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    entry_point.load()().instrument(**options)


def _load_fastapi(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    if not is_contrib_chosen(os.environ):
        instrument_fastapi()
        return
    # contrib adds a span for each message received or sent, and has no variable to turn them off.
    entry_point.load()().instrument(exclude_spans=["receive", "send"], **options)
    instrument_every_import_path()


def _load_django(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    """Instrument Django; by contrib's, right after the application's `django.setup()`.

    Earlier would be wrong: contrib reads the settings, and where DJANGO_SETTINGS_MODULE is not set yet
    (`startproject` has `wsgi.py` set it) or is misspelt, it configures *empty* settings, with which the
    application cannot run. The middleware is read after `setup()`, when the handler is made.
    """
    if not is_contrib_chosen(os.environ):
        if os.environ.get(OTEL_PYTHON_DJANGO_INSTRUMENT) != "False":
            instrument_django()
        return
    import django  # imported only where the application has Django

    setup = django.setup

    @functools.wraps(setup)
    def setup_then_instrument(*args: Any, **kwargs: Any) -> None:
        setup(*args, **kwargs)
        django.setup = setup  # a second setup() finds Django instrumented
        with survive(loading(entry_point.name)):
            _load_as_is(entry_point, options)

    django.setup = setup_then_instrument


def _load_replaced(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    """Load ours in the place of contrib's, unless ours is disabled."""
    ours = REPLACEMENTS[entry_point.name]
    if not _off(ours.name):
        _load_once(ours, {})
    else:
        _load_as_is(entry_point, options)


def _load_replacement(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    """Load ours, unless contrib's, the name that users know, is disabled."""
    (replaced,) = (name for name, ours in REPLACEMENTS.items() if ours.name == entry_point.name)
    if not _off(replaced):
        _load_once(entry_point, options)


def _off(name: str) -> bool:
    """Tell whether the user has turned an instrumentation off; the one that brings it here is enabled."""
    return reason_off(name, os.environ) not in (None, ENABLED_VARIABLE)


def _load_once(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    instrumentor = entry_point.load()()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(**options)


def _load_logging(entry_point: EntryPoint, options: dict[str, Any]) -> None:
    _load_as_is(entry_point, options)
    export_every_logger(os.environ)


REPLACEMENTS: Mapping[str, EntryPoint] = {
    replaced: EntryPoint(name, f"ansflow_instrumentation.{value}", "opentelemetry_instrumentor")
    for replaced, name, value in (
        ("aiohttp-client", "ansflow_aiohttp_client", "clients.aiohttp_client:AiohttpClientInstrumentor"),
        ("aiomysql", "ansflow_aiomysql", "database.aiomysql:AiomysqlInstrumentor"),
        ("asyncpg", "ansflow_asyncpg", "database.asyncpg:AsyncpgInstrumentor"),
        ("httpx", "ansflow_httpx", "clients.httpx_client:HttpxInstrumentor"),
        ("psycopg", "ansflow_psycopg", "database.psycopg:PsycopgInstrumentor"),
        ("redis", "ansflow_redis", "cache.redis_client:RedisInstrumentor"),
        ("requests", "ansflow_requests", "clients.requests_client:RequestsInstrumentor"),
        ("sqlalchemy", "ansflow_sqlalchemy", "database.sqlalchemy:SqlAlchemyInstrumentor"),
    )
}
"""Instrumentations of ours by the name of contrib's that they stand in for, installed or not."""

LOADERS: Mapping[str, Loader] = {
    **dict.fromkeys(REPLACEMENTS, _load_replaced),
    **{ours.name: _load_replacement for ours in REPLACEMENTS.values()},
    "django": _load_django,
    "fastapi": _load_fastapi,
    "logging": _load_logging,
}
"""Loaders by entry-point name; every other instrumentation is loaded as it is."""
