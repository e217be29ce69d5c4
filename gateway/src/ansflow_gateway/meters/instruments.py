"""The catalogue's instruments, made once; the only place that records."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from ansflow_gateway.errors import UndeclaredError
from ansflow_gateway.meters.catalogue import CATALOGUE
from ansflow_gateway.meters.declaration import Declaration, Kind

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of an instrument.

    Args:
        value: In the instrument's unit.
        attributes: Those of the declared attributes that apply.
    """

    value: float
    attributes: Attributes


Observe = Callable[[], Iterable[Measurement]]
"""Reads present values from a snapshot; called from exporters' threads, so it touches nothing that
changes."""


class Instruments:
    """Makes the catalogue's instruments and refuses whatever it doesn't declare.

    Args:
        meter: The meter that makes them.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter: Final = meter
        self._histograms: dict[str, Histogram] = {}
        for declared in CATALOGUE.values():
            if declared.kind is Kind.HISTOGRAM and not declared.tabled:
                self._histograms[declared.name] = meter.create_histogram(
                    declared.name,
                    declared.unit,
                    declared.description,
                    explicit_bucket_boundaries_advisory=declared.bounds,
                )

    def record(self, declaration: Declaration, value: float, attributes: Attributes) -> None:
        """Record into a histogram.

        Args:
            declaration: The histogram, out of the catalogue.
            value: In its unit.
            attributes: Of the declared ones.

        Raises:
            UndeclaredError: The instrument or an attribute isn't declared.
        """
        check(declaration, attributes)
        try:
            histogram = self._histograms[declaration.name]
        except KeyError as error:
            raise UndeclaredError(f"{declaration.name} is declared as a {declaration.kind}") from error
        histogram.record(value, attributes)

    def observe(self, declaration: Declaration, read: Observe) -> None:
        """Make an observable instrument that reads its values when it is collected.

        Args:
            declaration: The instrument, out of the catalogue.
            read: Gives the present values; none is no series, which is not a zero.

        Raises:
            UndeclaredError: The instrument isn't declared, or not observable.
        """

        def callback(_: CallbackOptions) -> Iterable[Observation]:
            for measurement in read():
                check(declaration, measurement.attributes)
                yield Observation(measurement.value, measurement.attributes)

        check(declaration, {})
        arguments = (declaration.name, [callback], declaration.unit, declaration.description)
        match declaration.kind:
            case Kind.OBSERVABLE_COUNTER:
                self._meter.create_observable_counter(*arguments)
            case Kind.OBSERVABLE_GAUGE:
                self._meter.create_observable_gauge(*arguments)
            case Kind.OBSERVABLE_UPDOWNCOUNTER:
                self._meter.create_observable_up_down_counter(*arguments)
            case Kind.COUNTER | Kind.HISTOGRAM:
                raise UndeclaredError(
                    f"{declaration.name} is declared as a {declaration.kind}, not observable"
                )


def check(declaration: Declaration, attributes: Attributes) -> None:
    """Refuse an instrument or attributes that the catalogue doesn't declare.

    Args:
        declaration: The instrument.
        attributes: What a measurement of it has.

    Raises:
        UndeclaredError: Naming what isn't declared.
    """
    if CATALOGUE.get(declaration.name) is not declaration:
        raise UndeclaredError(f"the catalogue doesn't declare the instrument {declaration.name}")
    if not declaration.attributes >= attributes.keys():
        undeclared = ", ".join(sorted(attributes.keys() - declaration.attributes))
        raise UndeclaredError(f"{declaration.name} doesn't declare {undeclared}")
