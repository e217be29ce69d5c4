"""Which instrumentations are loaded: all that are installed, but for the user's lists."""

import fnmatch
from collections.abc import Mapping

from ansflow_instrumentation.configuration import file
from ansflow_instrumentation.configuration.rules import read_list

__all__ = [
    "DISABLED_VARIABLE",
    "ENABLED_VARIABLE",
    "OFF_BY_DEFAULT",
    "names_of",
    "off_by_default",
    "reason_off",
]

DISABLED_VARIABLE = "ANSFLOW_DISABLED_INSTRUMENTATIONS"
"""Comma-separated entry-point names, or `*`; the same form as OTEL_PYTHON_DISABLED_INSTRUMENTATIONS."""

ENABLED_VARIABLE = "ANSFLOW_ENABLED_INSTRUMENTATIONS"
"""Comma-separated entry-point names or patterns. Where it is set, no other instrumentation is loaded."""

OFF_BY_DEFAULT = ("click", "system_metrics")
"""click makes uvicorn's command line the parent of every request: one endless trace, no SERVER span.
The host's metrics are the gateway's, once a host and not once a worker.
"""

ON_REQUEST = {"ansflow_prometheus_bridge": "ANSFLOW_PROMETHEUS_BRIDGE"}
"""Instrumentations that are loaded only where a variable of their own is true."""

UPSTREAM_DISABLED_VARIABLE = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def off_by_default(env: Mapping[str, str]) -> str:
    """Give the list of disabled instrumentations of a user who has set none.

    Args:
        env: The process's environment.

    Returns:
        Comma-separated names, without those that the user enables by name.
    """
    enabled = read_list(env, ENABLED_VARIABLE)
    return ",".join(name for name in OFF_BY_DEFAULT if name not in enabled)


def reason_off(name: str, env: Mapping[str, str]) -> str | None:
    """Tell why an instrumentation is not loaded.

    Args:
        name: Name of its entry point.
        env: The process's environment, completed by the distro.

    Returns:
        What keeps it off; None if nothing does.
    """
    for variable in (UPSTREAM_DISABLED_VARIABLE, DISABLED_VARIABLE):
        disabled = read_list(env, variable)
        if name in disabled or "*" in disabled:
            return variable
    enabled = read_list(env, ENABLED_VARIABLE)
    if enabled and not any(
        fnmatch.fnmatchcase(known, pattern) for pattern in enabled for known in names_of(name)
    ):
        return ENABLED_VARIABLE
    if file.instrumentation_options(env).get(name, {}).get("enabled") is False:
        return f"{file.CONFIG_FILE_VARIABLE} (enabled: false)"
    switch = ON_REQUEST.get(name)
    if switch and env.get(switch, "").strip().lower() not in ("true", "1"):
        return f"{switch} (not true)"
    return None


def names_of(name: str) -> set[str]:
    """Give the names that users know: `ansflow_redis` is enabled as `redis`, as it was before it was ours.

    Args:
        name: Name of an entry point.

    Returns:
        All names by which it may be enabled.
    """
    short = name.removeprefix("ansflow_")
    return {name, short, short.replace("_", "-")}
