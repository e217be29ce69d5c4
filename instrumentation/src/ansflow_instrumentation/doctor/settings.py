"""Which settings are in force, where they come from, and which cannot be meant so."""

import difflib
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ansflow_instrumentation.configuration.expressions import drop_bad_expressions
from ansflow_instrumentation.configuration.file import CONFIG_FILE_VARIABLE, apply_settings_of_file
from ansflow_instrumentation.configuration.kinds import bad_values
from ansflow_instrumentation.configuration.lists import (
    DISABLED_VARIABLE,
    ENABLED_VARIABLE,
    UPSTREAM_DISABLED_VARIABLE,
    names_of,
)
from ansflow_instrumentation.configuration.rules import read_list
from ansflow_instrumentation.configuration.variables import VARIABLES
from ansflow_instrumentation.distro import apply_defaults, exclude_operational_paths
from ansflow_instrumentation.instrumentors import LOADERS

__all__ = ["Setting", "effective_environment", "effective_settings", "find_problems"]

_SECRET = re.compile(r"(?<!_CAPTURE_)HEADERS|TOKEN|SECRET|PASSWORD|(?<!_CLIENT)_KEY$|CREDENTIAL")

_LIKENESS = 0.85
"""From which on a name is taken for another one misspelt: one or two letters of a long name."""

_WITH_EXCLUDED_URLS = (
    "AIOHTTP_CLIENT",
    "AIOHTTP_SERVER",
    "DJANGO",
    "FALCON",
    "FASTAPI",
    "FLASK",
    "HTTPX",
    "PYRAMID",
    "REQUESTS",
    "STARLETTE",
    "TORNADO",
    "URLLIB",
    "URLLIB3",
)
"""Libraries of which ours or the stock instrumentation reads `OTEL_PYTHON_<LIBRARY>_EXCLUDED_URLS`."""


@dataclass(frozen=True)
class Setting:
    """A variable that is in force.

    Attributes:
        name: Of the variable.
        value: Its value, with secrets hidden.
        origin: `yours`, `default` or `file`.
    """

    name: str
    value: str
    origin: str


def effective_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Complete an environment as the distro does, without touching this process's own.

    Args:
        env: The user's environment.

    Returns:
        The environment that an application would have.
    """
    completed = dict(env)
    with _quietly():
        apply_settings_of_file(completed)
        drop_bad_expressions(completed)
        apply_defaults(completed)
        exclude_operational_paths(completed)
    return completed


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave the warnings to the probe, which sees them as an application would."""
    logger = logging.getLogger("ansflow_instrumentation")
    level = logger.level
    # Disabling it would not reach the loggers below, to which the level goes.
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def effective_settings(env: Mapping[str, str]) -> list[Setting]:
    """List the variables of telemetry that are in force.

    Args:
        env: The user's environment.

    Returns:
        Each with its value and origin, by name.
    """
    yours = dict(env)
    of_file = dict(env)
    with _quietly():
        drop_bad_expressions(yours)
        apply_settings_of_file(of_file)
    completed = effective_environment(env)

    def origin(name: str) -> str:
        if yours.get(name) == completed[name]:
            return "yours"
        return "file" if of_file.get(name) == completed[name] else "default"

    return [
        Setting(name, hidden(name, value), origin(name))
        for name, value in sorted(completed.items())
        if name.startswith(("OTEL_", "ANSFLOW_", "FASTAPI_OTEL_"))
    ]


def hidden(name: str, value: str) -> str:
    """Hide what is secret in a value.

    Args:
        name: Of the variable.
        value: Its value.

    Returns:
        The value with the passwords of URLs hidden; `***` for the values of headers, tokens and keys.
    """
    if _SECRET.search(name):
        return (
            re.sub(r"=[^,]*", "=***", value) if "HEADERS" in name and "=" in value else "***" if value else ""
        )
    parts = urlsplit(value) if "://" in value and "@" in value else None
    if parts is None:
        return value
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"***@{host}"))


def find_problems(env: Mapping[str, str], instrumentations: list[str]) -> Iterator[str]:
    """Find settings that cannot be meant so, and that nobody complains of when an application starts.

    Args:
        env: The user's environment.
        instrumentations: Names of those that are installed.

    Yields:
        A sentence for each, which says what to do.
    """
    known = {*VARIABLES, *_variables_of_opentelemetry()}
    for name in sorted(env):
        if name.startswith(("OTEL_", "ANSFLOW_")) and name not in known:
            meant = difflib.get_close_matches(name, known, n=1, cutoff=_LIKENESS)
            if meant:
                yield f"{name} is not a variable that anything reads; did you mean {meant[0]}?"
    # Names of ours and of those that ours stand in for, of which one is installed or listed at a time.
    names = {*instrumentations, *LOADERS}
    for variable in (ENABLED_VARIABLE, DISABLED_VARIABLE, UPSTREAM_DISABLED_VARIABLE):
        taken = (
            {known for name in names for known in names_of(name)} if variable == ENABLED_VARIABLE else names
        )
        for item in read_list(env, variable):
            meant = difflib.get_close_matches(item, sorted(names), n=1)
            if "*" not in item and item not in taken and meant:
                yield f"{variable}: {item!r} is no instrumentation here; did you mean {meant[0]!r}?"
    if env.get("OTEL_TRACES_SAMPLER_ARG") and not env.get("OTEL_TRACES_SAMPLER"):
        yield (
            f"OTEL_TRACES_SAMPLER_ARG={env['OTEL_TRACES_SAMPLER_ARG']!r} has no effect without "
            "OTEL_TRACES_SAMPLER=parentbased_traceidratio"
        )
    yield from bad_values(env)


def notes_of(env: Mapping[str, str], config: Any | None) -> Iterator[str]:
    """Find what is worth knowing, and may well be meant so.

    Args:
        env: The environment, completed by the distro.
        config: The configuration file, if there is one.

    Yields:
        A sentence for each.
    """
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield "OTEL_SDK_DISABLED=true: nothing is recorded, nothing is sent"
    named = env.get("OTEL_SERVICE_NAME") or "service.name=" in env.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if config is None and not named:
        yield "OTEL_SERVICE_NAME is not set: the service's name will be unknown_service"
    if config is not None:
        yield f"{CONFIG_FILE_VARIABLE}={env[CONFIG_FILE_VARIABLE]!r}: exporters and samplers are the file's"


def _variables_of_opentelemetry() -> set[str]:
    """Gather the variables that installed packages declare, and those of instrumentations' common helpers."""
    names = {
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "OTEL_PYTHON_EXCLUDED_URLS",
        *(f"OTEL_PYTHON_{library}_EXCLUDED_URLS" for library in _WITH_EXCLUDED_URLS),
        "OTEL_PYTHON_DJANGO_INSTRUMENT",
        "OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS",
        "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION",
        "OTEL_PYTHON_LOG_CODE_ATTRIBUTES",
        "OTEL_PYTHON_LOG_CORRELATION",
        "OTEL_PYTHON_LOG_FORMAT",
        "OTEL_PYTHON_LOG_HANDLER_LEVEL",
        "OTEL_PYTHON_LOG_LEVEL",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
    }
    for entry_point in entry_points(group="opentelemetry_environment_variables"):
        module = entry_point.load()
        names |= {
            value
            for name, value in vars(module).items()
            if name.lstrip("_").startswith("OTEL_") and isinstance(value, str)
        }
    return names
