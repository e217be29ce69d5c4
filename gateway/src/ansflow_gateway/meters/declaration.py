"""What the declaration of an instrument says."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of instrument in use, by their names in the OpenTelemetry API."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    OBSERVABLE_COUNTER = "observable counter"
    OBSERVABLE_GAUGE = "observable gauge"
    OBSERVABLE_UPDOWNCOUNTER = "observable updowncounter"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One instrument.

    Args:
        name: Its name, dotted, without unit or `_total`.
        kind: Its kind.
        unit: UCUM unit; empty where an exporter must not add one to the published name.
        description: What it measures.
        attributes: All attributes that its measurements may have.
        bounds: Bucket boundaries of a histogram, in its unit.
        tabled: Whether its aggregates are in the gateway's own table; the SDK knows nothing of it then.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: frozenset[str] = frozenset()
    bounds: tuple[float, ...] = ()
    tabled: bool = False
