"""Which sums are not a process's own counting, and therefore not its successor's to add to.

A callback of an observable counter, and a collector of an application's own, give absolute values of what
may outlive the process: rows of a database, a broker's messages. If those were carried on, each restart would
add all of them again. Of the runtime's own meters it is known that they begin with the process.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.metrics import Asynchronous
from opentelemetry.sdk.metrics.export import Metric
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["BEGINS_WITH_PROCESS", "ObservedMetric", "observed_by"]

BEGINS_WITH_PROCESS = "ansflow_instrumentation.runtime"
"""The scope whose observed counters are of this process: CPU time, collections of garbage, switches."""

Observed = frozenset[tuple[InstrumentationScope, str]]
"""Metrics of observable instruments, by scope and name."""


class ObservedMetric(Metric):
    """A metric that no instrument of the SDK has: values as somebody else gives them."""


def observed_by(provider: Any, reader: Any) -> Callable[[], Observed]:
    """Prepare to ask which of a reader's metrics are of observable instruments.

    Args:
        provider: The SDK's meter provider.
        reader: One of its readers.

    Returns:
        Gives them as they are at that moment: instruments are added, and a fork replaces what knows them.

    Raises:
        AttributeError: If the SDK is not built as expected.
        KeyError: Likewise.
    """

    def ask() -> Observed:
        storage = provider._measurement_consumer._reader_storages[reader]
        return frozenset(
            (instrument.instrumentation_scope, match._name)
            for instrument, matches in list(storage._instrument_view_instrument_matches.items())
            if issubclass(type(instrument), Asynchronous)
            and instrument.instrumentation_scope.name != BEGINS_WITH_PROCESS
            for match in matches
        )

    ask()
    return ask
