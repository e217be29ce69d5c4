"""Prometheus' HTTP API, as far as the tests ask it."""

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Sample:
    """One series of an instant query's answer."""

    labels: dict[str, str]
    value: float


class PrometheusApi:
    """A Prometheus server.

    Args:
        url: where it listens, without a path.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=10.0, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def query(self, expression: str) -> list[Sample]:
        """Evaluate an expression now.

        Raises:
            AssertionError: Prometheus refused it; the message is Prometheus' own.
        """
        return [
            Sample(series["metric"], float(series["value"][1]))
            for series in self._get("/api/v1/query", query=expression)["result"]
        ]

    def value(self, expression: str) -> float:
        """Evaluate an expression that gives one series.

        Raises:
            AssertionError: it gave none or several.
        """
        samples = self.query(expression)
        assert len(samples) == 1, f"{expression}: expected one series, got {samples}"
        return samples[0].value

    def metric_type(self, name: str) -> str:
        """Return a metric's type, as the scraped page declared it; empty if it is not known."""
        # OpenMetrics declares a counter without its suffix.
        for family in (name, name.removesuffix("_total")):
            for declared in self._get("/api/v1/metadata", metric=family).get(family, ()):
                return str(declared["type"])
        return ""

    def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """Return the exemplars of the series of an expression, between two Unix times in seconds."""
        found = self._get("/api/v1/query_exemplars", query=expression, start=str(start), end=str(end))
        assert isinstance(found, list)
        return found

    def _get(self, path: str, **parameters: str) -> Any:
        answer = self._client.get(path, params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]
