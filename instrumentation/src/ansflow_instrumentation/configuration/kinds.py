"""Which values a variable takes, for those who ask whether one can be meant so.

What reads a variable decides for itself, and goes on with its default; nothing here is read in a service.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

__all__ = ["PROPAGATORS_VARIABLE", "Kind", "bad_values", "unknown_propagator"]

PROPAGATORS_VARIABLE = "OTEL_PROPAGATORS"


@dataclass(frozen=True)
class Kind:
    """Values of one sort.

    Attributes:
        expected: What they are, for a sentence: "expected …".
        accepts: Tells whether a value, without white space around it, is one.
    """

    expected: str
    accepts: Callable[[str], bool]


def _choice(*values: str) -> Kind:
    return Kind(" or ".join(values), values.__contains__)


def _several(*values: str, known: tuple[str, ...] = ()) -> Kind:
    """Make the kind of comma-separated lists.

    Args:
        *values: What is named to the user.
        known: What is taken as well.
    """
    return Kind(
        f"one or several of {', '.join(values)}",
        lambda text: all(item.strip() in (*values, *known, "") for item in text.split(",")),
    )


def _component(group: str, *builtin: str) -> Kind:
    """Make the kind of lists of installed components, which are entry points."""
    names = sorted({*builtin, *(entry.name for entry in entry_points(group=group))})
    return _several(*names, "none")


def _whole(least: int) -> Kind:
    return Kind(f"a whole number, {least} or more", lambda text: text.isdecimal() and int(text) >= least)


_BOOLEAN = Kind("true or false", lambda text: text.lower() in ("true", "false"))

_MILLISECONDS = Kind("a whole number of milliseconds", str.isdecimal)

_OPT_IN = _several(
    "http",
    "http/dup",
    "database",
    "database/dup",
    # Other languages' and other areas': the variable is often shared.
    known=tuple(
        area + end
        for area in ("code", "exceptions", "gen_ai_latest_experimental", "k8s", "messaging", "rpc")
        for end in ("", "/dup")
    ),
)

_PROTOCOL = _choice("http/protobuf", "grpc")

_KINDS: Mapping[str, Kind] = {
    "ANSFLOW_BUSINESS_SERIES_LIMIT": _whole(1),
    "ANSFLOW_FLUSH_TIMEOUT": _MILLISECONDS,
    "ANSFLOW_HTTP_INSTRUMENTATION": _choice("fast", "contrib"),
    "ANSFLOW_PROMETHEUS_BRIDGE": Kind(
        "true or false", lambda text: text.lower() in ("true", "1", "false", "0")
    ),
    "ANSFLOW_WEBSOCKET_MESSAGE_SPANS": _BOOLEAN,
    "OTEL_BLRP_MAX_QUEUE_SIZE": _whole(1),
    "OTEL_BSP_MAX_QUEUE_SIZE": _whole(1),
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": _PROTOCOL,
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": _PROTOCOL,
    "OTEL_EXPORTER_OTLP_PROTOCOL": _PROTOCOL,
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": _PROTOCOL,
    "OTEL_METRIC_EXPORT_INTERVAL": _MILLISECONDS,
    "OTEL_METRIC_EXPORT_TIMEOUT": _MILLISECONDS,
    "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": _BOOLEAN,
    "OTEL_PYTHON_LOG_CORRELATION": _BOOLEAN,
    "OTEL_SDK_DISABLED": _BOOLEAN,
    "OTEL_SEMCONV_STABILITY_OPT_IN": _OPT_IN,
}
"""By variable; installed components are looked up, and lists of entries have warnings of their own."""


def _exporters() -> Mapping[str, Kind]:
    return {
        f"OTEL_{signal.upper()}_EXPORTER": _component(f"opentelemetry_{signal}_exporter", "otlp")
        for signal in ("traces", "metrics", "logs")
    }


def bad_values(env: Mapping[str, str]) -> Iterator[str]:
    """Find values that are not of their variable's kind.

    Args:
        env: The environment; an empty value in it is an unset one.

    Yields:
        A sentence for each, with the variable, its value and what was expected.
    """
    for variable, kind in {**_KINDS, **_exporters()}.items():
        value = env.get(variable, "").strip()
        if value and not kind.accepts(value):
            yield f"{variable}={value!r}: expected {kind.expected}"
    if unknown := unknown_propagator(env):
        yield unknown


def unknown_propagator(env: Mapping[str, str]) -> str | None:
    """Find a propagator that is not installed: `opentelemetry.propagate` cannot be imported then.

    Args:
        env: The environment.

    Returns:
        A sentence, as from `bad_values`; None where all are installed.
    """
    installed = {entry.name for entry in entry_points(group="opentelemetry_propagator")}
    value = env.get(PROPAGATORS_VARIABLE, "")
    for name in (item.strip() for item in value.split(",") if value):
        if name.lower() == "none":
            return None
        if name not in installed:
            return (
                f"{PROPAGATORS_VARIABLE}={value!r}: {name!r} is not installed, and nothing is instrumented; "
                f"expected one or several of {', '.join(sorted(installed))}, none"
            )
    return None
