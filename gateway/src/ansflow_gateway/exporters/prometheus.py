"""The page that Prometheus reads."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricReader
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder, gzip_accepted

from ansflow_gateway.exporters import prometheus_names as names
from ansflow_gateway.exporters.page import Pacer, TablePage
from ansflow_gateway.meters.catalogue import CATALOGUE
from ansflow_gateway.meters.table import Table

_GZIP_LEVEL: Final = 1  # a scrape is read once, on the same host or network
_GZIP_WINDOW: Final = zlib.MAX_WBITS + 16  # zlib's way to say gzip

_RATIO: Final = "_ratio"
# The SDK's exporter leaves the unit 1 out; a Collector, and our own table, end such a gauge's name with it.
_RATIOS: Final = {
    name.removesuffix(_RATIO): name
    for declared in CATALOGUE.values()
    if declared.unit == "1" and (name := names.family(declared).name).endswith(_RATIO)
}

_END: Final = b"# EOF\n"


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered scrape.

    Args:
        body: The bytes to send.
        content_type: Its full content type, with version and charset.
        encoding: Its content coding; None where it isn't compressed.
    """

    body: bytes
    content_type: str
    encoding: str | None


class PrometheusPage:
    """Renders all metrics as Prometheus text or OpenMetrics, as the scraper prefers.

    Args:
        table: What is rendered besides the SDK's instruments; it may be set once, later, when it is loaded.
    """

    def __init__(self, table: Table | None = None) -> None:
        # A registry of its own: the library's default one adds meters of the Python process.
        self._registry = CollectorRegistry()
        self._reader = PrometheusMetricReader(registry=self._registry, scope_info_enabled=False)
        self.table = table
        self._table_pages: dict[bool, TablePage] = {}

    @property
    def reader(self) -> MetricReader:
        """The reader to be given to the meter provider."""
        return self._reader

    def render(self, accept: str, accept_encoding: str) -> Page:
        """Collect and render, off the event loop: it takes milliseconds for each hundred series of the SDK.

        Not to be called by two threads at once: the reader keeps what it collected in a shared queue.

        Args:
            accept: The request's `Accept`.
            accept_encoding: The request's `Accept-Encoding`.

        Returns:
            The page.
        """
        # All our names are plain, so that every escaping but this one leaves them as they are.
        encode, content_type = choose_encoder(accept.replace("escaping=dots", "escaping=underscores"))
        blocks = self._blocks(encode, open_metrics=content_type.startswith("application/openmetrics-text"))
        if gzip_accepted(accept_encoding):
            return Page(_compressed(blocks), content_type, "gzip")
        return Page(b"".join(blocks), content_type, None)

    def _blocks(self, encode: "_Encode", *, open_metrics: bool) -> Iterator[bytes]:
        pacer = Pacer()
        for family in self._registry.collect():
            yield encode(_One(_named(family))).removesuffix(_END)
            pacer.pause()
        if self.table:
            if open_metrics not in self._table_pages:
                # A format that nobody asks for costs nothing.
                self._table_pages[open_metrics] = TablePage(self.table, open_metrics=open_metrics)
            yield from self._table_pages[open_metrics].blocks(pacer)
        if open_metrics:
            yield _END


class _Encode(Protocol):
    def __call__(self, registry: "_One", /) -> bytes: ...


class _One:
    """Stands for a registry of one family, so that families are encoded one by one."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> list[Metric]:
        return [self._family]


def _named(family: Metric) -> Metric:
    """Give a family the name that a Collector would give it."""
    name = _RATIOS.get(family.name)
    if name is None or family.type != "gauge":
        return family
    renamed = Metric(name, family.documentation, family.type)
    renamed.samples = [sample._replace(name=name) for sample in family.samples]
    return renamed


def _compressed(blocks: Iterator[bytes]) -> bytes:
    # Block by block: the interpreter's lock is free meanwhile, and the whole page is never in memory.
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return b"".join([*(compressor.compress(block) for block in blocks), compressor.flush()])
