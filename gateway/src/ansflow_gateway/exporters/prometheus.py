"""The page that Prometheus reads."""

import gzip
from dataclasses import dataclass
from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricReader
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

_GZIP_LEVEL: Final = 1  # a scrape is read once, on the same host or network


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
    """Renders all metrics as Prometheus text or OpenMetrics, as the scraper prefers."""

    def __init__(self) -> None:
        # A registry of its own: the library's default one adds meters of the Python process.
        self._registry = CollectorRegistry()
        self._reader = PrometheusMetricReader(registry=self._registry, scope_info_enabled=False)

    @property
    def reader(self) -> MetricReader:
        """The reader to be given to the meter provider."""
        return self._reader

    def render(self, accept: str, accept_encoding: str) -> Page:
        """Collect and render, off the event loop: it takes milliseconds for each hundred series.

        Not to be called by two threads at once: the reader keeps what it collected in a shared queue.

        Args:
            accept: The request's `Accept`.
            accept_encoding: The request's `Accept-Encoding`.

        Returns:
            The page.
        """
        encode, content_type = choose_encoder(accept)
        body = encode(self._registry)
        if gzip_accepted(accept_encoding):
            return Page(gzip.compress(body, _GZIP_LEVEL, mtime=0), content_type, "gzip")
        return Page(body, content_type, None)
