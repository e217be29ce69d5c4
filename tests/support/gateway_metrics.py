"""The gateway's instruments as the Collector serves them, which dashboards and rules may use.

Made of the gateway's catalogue by the translation that its own page uses. That the Collector makes the same
of them is seen in tests/integration/test_collector_standard_names.py, that the running system has them in
tests/e2e.
"""

from typing import Final

from ansflow_gateway.exporters.prometheus_names import family
from ansflow_gateway.meters.catalogue import CATALOGUE
from ansflow_gateway.meters.declaration import Declaration, Kind

from support.standard_metrics import STANDARD_METRICS, StandardMetric
from support.standard_metrics import Kind as StandardKind

_KINDS: Final[dict[Kind, StandardKind]] = {
    Kind.COUNTER: "counter",
    Kind.OBSERVABLE_COUNTER: "counter",
    Kind.OBSERVABLE_GAUGE: "gauge",
    Kind.OBSERVABLE_UPDOWNCOUNTER: "up_down_counter",
    Kind.HISTOGRAM: "histogram",
}


def _served(declared: Declaration) -> StandardMetric:
    kind = _KINDS[declared.kind]
    ending = "_total" if kind == "counter" else ""
    return StandardMetric(
        family(declared).name + ending, declared.name, kind, declared.unit, tuple(sorted(declared.attributes))
    )


GATEWAY_METRICS: Final = tuple(
    _served(declared)
    for declared in CATALOGUE.values()
    # The gateway is a process like the services'.
    if declared.name not in {metric.instrument for metric in STANDARD_METRICS}
)
