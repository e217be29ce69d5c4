"""Requests to the two services, as Prometheus has counted them."""

import time
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.load import REQUESTS, Load, RequestKey
from support.polling import poll_until
from support.running_system import RunningSystem

SERVICES = {
    "fastapi": ("ansflow-fastapi", "ansflow_http_requests_total", "ansflow_http_request_duration_seconds"),
    "django": ("ansflow-django", "django_http_requests_total", "django_request_duration_seconds"),
}
"""Each service's name, and its published metrics."""

FROM_OUTSIDE = 'route!~"/?internal/.*"'
"""The services ask each other under /internal/; all else was sent by the load."""

SETTLED_SECONDS = 12.0
"""Several exports and scrapes: time enough for a number that is still growing to show it."""


def _counted(system: RunningSystem, metric: str) -> Counter[RequestKey]:
    samples = system.prometheus.query(f"sum by (method, route, status) ({metric}{{{FROM_OUTSIDE}}})")
    return Counter(
        {
            (sample.labels["method"], sample.labels["route"], sample.labels["status"]): int(sample.value)
            for sample in samples
        }
    )


@pytest.mark.parametrize("service", SERVICES)
def test_each_request_is_counted_once_under_its_route(
    system: RunningSystem, load: Load, service: str
) -> None:
    """Each method, route and status has exactly the count that the sender saw, summed over workers."""
    _, counter, histogram = SERVICES[service]
    sent = load.requests(service)
    assert sent.total() == REQUESTS

    def all_counted() -> None:
        assert _counted(system, counter) == sent

    poll_until(all_counted)
    time.sleep(SETTLED_SECONDS)
    assert _counted(system, counter) == sent
    assert _counted(system, f"{histogram}_count") == sent


@pytest.mark.parametrize("service", SERVICES)
def test_the_standard_metric_has_the_same_total(system: RunningSystem, load: Load, service: str) -> None:
    """``http_server_request_duration_seconds`` counts what the published names count."""
    name, counter, _ = SERVICES[service]
    assert load.requests(service)

    def totals_agree() -> None:
        standard = system.prometheus.value(
            f'sum(http_server_request_duration_seconds_count{{job="ansflow/{name}"}})'
        )
        assert standard == system.prometheus.value(f"sum({counter})")

    poll_until(totals_agree)


def test_both_django_workers_report_for_themselves(system: RunningSystem, load: Load) -> None:
    """Two gunicorn workers are two instances, and each took part."""
    assert load.requests("django")

    def both_counted() -> None:
        per_worker = system.prometheus.query("sum by (instance) (django_http_requests_total)")
        assert len(per_worker) == 2
        assert all(sample.value > 0 for sample in per_worker)

    poll_until(both_counted)


@pytest.mark.parametrize("service", SERVICES)
def test_each_request_is_one_server_span(system: RunningSystem, load: Load, service: str) -> None:
    """There are as many SERVER spans as requests; a WebSocket session is not a request."""
    name, counter, _ = SERVICES[service]
    assert load.requests(service)

    def spans_equal_requests() -> None:
        spans = [
            span
            for span in system.spans()
            if span.service == name and span.is_server and not span.is_websocket
        ]
        assert len(spans) == system.prometheus.value(f"sum({counter})")

    poll_until(spans_equal_requests)


def test_no_series_is_served_twice(system: RunningSystem, load: Load) -> None:
    """No two samples of a scrape have one name and one label set, not even when their scope is left out."""
    assert load.requests("fastapi")
    seen: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for family in text_string_to_metric_families(system.scrape()):
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if not key.startswith("otel_scope_")}
            seen[sample.name, frozenset(labels.items())] += 1
    assert seen.total() > 100
    assert [series for series, count in seen.items() if count > 1] == []


def test_health_checks_are_not_requests(system: RunningSystem, load: Load) -> None:
    """The gateway probes the health paths all the time; no metric and no span has them."""
    assert load.requests("fastapi")

    def probed() -> None:
        probes = 'sum(ansflow_health_check_duration_seconds_count{service="fastapi"})'
        assert system.prometheus.value(probes) > 0

    poll_until(probed)
    assert (
        system.prometheus.query('http_server_request_duration_seconds_count{http_route=~".*health.*"}') == []
    )
    assert [span for span in system.spans() if "health" in span.attributes.get("url.path", "")] == []
