"""Which settings are in force, where they come from, and which cannot be meant so."""

import difflib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ansflow_instrumentation.configuration.file import CONFIG_FILE_VARIABLE, apply_settings_of_file
from ansflow_instrumentation.configuration.lists import (
    DISABLED_VARIABLE,
    ENABLED_VARIABLE,
    UPSTREAM_DISABLED_VARIABLE,
)
from ansflow_instrumentation.configuration.rules import read_list
from ansflow_instrumentation.configuration.variables import VARIABLES
from ansflow_instrumentation.distro import apply_defaults, exclude_operational_paths

__all__ = ["Setting", "effective_environment", "effective_settings", "find_problems"]

_SECRET = re.compile(r"HEADERS|TOKEN|SECRET|PASSWORD|(?<!_CLIENT)_KEY$|CREDENTIAL")

_LIKENESS = 0.85
"""From which on a name is taken for another one misspelt: one or two letters of a long name."""


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
    logger = logging.getLogger("ansflow_instrumentation")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        apply_settings_of_file(completed)
        apply_defaults(completed)
        exclude_operational_paths(completed)
    finally:
        logger.disabled = was_disabled
    return completed


def effective_settings(env: Mapping[str, str]) -> list[Setting]:
    """List the variables of telemetry that are in force.

    Args:
        env: The user's environment.

    Returns:
        Each with its value and origin, by name.
    """
    of_file = dict(env)
    apply_settings_of_file(of_file)
    completed = effective_environment(env)

    def origin(name: str) -> str:
        if env.get(name) == completed[name]:
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
    for variable in (ENABLED_VARIABLE, DISABLED_VARIABLE, UPSTREAM_DISABLED_VARIABLE):
        for item in read_list(env, variable):
            meant = difflib.get_close_matches(item, instrumentations, n=1)
            if "*" not in item and item not in instrumentations and meant:
                yield f"{variable}: {item!r} is no instrumentation here; did you mean {meant[0]!r}?"
    if env.get("OTEL_TRACES_SAMPLER_ARG") and not env.get("OTEL_TRACES_SAMPLER"):
        yield (
            f"OTEL_TRACES_SAMPLER_ARG={env['OTEL_TRACES_SAMPLER_ARG']!r} has no effect without "
            "OTEL_TRACES_SAMPLER=parentbased_traceidratio"
        )


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
        "OTEL_PYTHON_DJANGO_EXCLUDED_URLS",
        "OTEL_PYTHON_DJANGO_INSTRUMENT",
        "OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS",
        "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS",
        "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION",
        "OTEL_PYTHON_LOG_CODE_ATTRIBUTES",
        "OTEL_PYTHON_LOG_CORRELATION",
        "OTEL_PYTHON_LOG_FORMAT",
        "OTEL_PYTHON_LOG_HANDLER_LEVEL",
        "OTEL_PYTHON_LOG_LEVEL",
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
