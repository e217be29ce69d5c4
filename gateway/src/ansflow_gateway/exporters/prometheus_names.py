"""What an instrument is called in Prometheus.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/. So the page, and a
Collector that is pushed to, give a series the same name.
"""

import re
from dataclasses import dataclass
from typing import Final

from ansflow_gateway.meters.declaration import Declaration, Kind

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9:]+")  # "_" too, so that there are never two in a row
_NOT_IN_LABELS: Final = re.compile(r"[^a-zA-Z0-9]+")
_ANNOTATION: Final = re.compile(r"\{[^}]*\}")

# Words as the Collector has them, one of them misspelt:
# https://github.com/prometheus/otlptranslator/blob/v1.0.0/metric_namer.go
_WORDS: Final = {
    "1": "",
    "%": "percent",
    "ns": "nanoseconds",
    "us": "microseconds",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "By": "bytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "m": "meters",
    "g": "grams",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "Cel": "celsius",
    "Hz": "hertz",
}
_PER: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

_COUNTERS: Final = frozenset({Kind.COUNTER, Kind.OBSERVABLE_COUNTER})


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family of OpenMetrics.

    Args:
        name: Its name, with the unit, without `_total`.
        type: `counter`, `gauge` or `histogram`.
        unit: The unit's word, with which the name ends; empty where it has none.
        help: What it measures.
    """

    name: str
    type: str
    unit: str
    help: str


def family(declaration: Declaration) -> Family:
    """Make the family of an instrument.

    Args:
        declaration: The instrument.

    Returns:
        Its family: a counter's, a histogram's, or a gauge's of all else, which can go down.
    """
    name = _NOT_IN_NAMES.sub("_", declaration.name)
    if declaration.kind in _COUNTERS:
        name, kind = name.removesuffix("_total"), "counter"
    else:
        kind = "histogram" if declaration.kind is Kind.HISTOGRAM else "gauge"
    unit = _word(declaration.unit)
    if declaration.unit == "1" and declaration.kind is Kind.OBSERVABLE_GAUGE:
        unit = "ratio"
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return Family(f"_{name}" if name[0].isdigit() else name, kind, unit, declaration.description)


def label(attribute: str) -> str:
    """Make the label's name of an attribute.

    Args:
        attribute: The attribute's name.

    Returns:
        The label's.
    """
    name = _NOT_IN_LABELS.sub("_", attribute)
    return f"_{name}" if name[0].isdigit() else name


def _word(unit: str) -> str:
    # Curly braces hold what is counted, which is no unit: https://ucum.org/ucum#para-6.
    top, slash, bottom = _ANNOTATION.sub("", unit).partition("/")
    word = _WORDS.get(top, _NOT_IN_NAMES.sub("_", top).strip("_"))
    below = _NOT_IN_NAMES.sub("_", bottom).strip("_")
    if not slash or not below:
        return word
    return f"{word}_per_{_PER.get(below, below)}".strip("_")
