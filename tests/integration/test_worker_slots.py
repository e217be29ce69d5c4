"""Workers that are recycled two hundred times, as the real Collector and Prometheus see them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.collector import Collector
from support.instrumented_service import Service, free_port, serving, telemetry_environment
from support.polling import poll_until
from support.prometheus_api import PrometheusApi
from support.vanilla import VANILLA

pytestmark = pytest.mark.integration

WORKERS = 4
RECYCLES = 200
MAX_REQUESTS = 5
COUNT = 'http_server_request_duration_seconds_count{job="recycled"}'

APPLICATIONS = Path(__file__).parents[1] / "unit" / "instrumentation" / "applications"


def test_recycling_makes_no_series_and_loses_no_request(
    collector: Collector, prometheus: PrometheusApi, tmp_path: Path
) -> None:
    """200 recycles: a series for each worker slot, no reset, and a rise of exactly what was sent.

    A series has no reset if each successor goes on from its predecessor's sum; `increase()` over it is then
    the difference of its ends (but for Prometheus' extrapolation to the window's).
    """
    port = free_port()
    command = [
        *("gunicorn", "django_shop.wsgi:application", "--bind", f"127.0.0.1:{port}", "--preload"),
        *("--workers", str(WORKERS), "--max-requests", str(MAX_REQUESTS)),
    ]
    environment = telemetry_environment(
        collector,
        APPLICATIONS,
        {"OTEL_SERVICE_NAME": "recycled", "OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_LOGS_EXPORTER": "none"},
    )
    with serving(command, port, environment, tmp_path / "server.log") as service:
        pids = _ask_until_all_are_seen(service, prometheus)
        before = _settled(prometheus, pids.total())
        with ThreadPoolExecutor(2 * WORKERS) as senders:
            answers = list(senders.map(service.get, ["/orders/1"] * (MAX_REQUESTS * RECYCLES)))
        assert {answer.status for answer in answers} == {200}
        pids.update(answer.body for answer in answers)
        service.stop()
    assert len(pids) >= RECYCLES
    after = _settled(prometheus, pids.total())
    assert len(prometheus.query(f"last_over_time({COUNT}[15m])")) == WORKERS
    assert prometheus.value(f"sum(resets({COUNT}[15m]))") == 0
    assert after - before == MAX_REQUESTS * RECYCLES
    (rise,) = prometheus.query(f"sum(increase({COUNT}[15m]))")
    assert rise.value >= after - before


def _ask_until_all_are_seen(service: Service, prometheus: PrometheusApi) -> Counter[str]:
    """Send requests until each slot has a series to rise from."""
    pids: Counter[str] = Counter()

    def check() -> None:
        pids.update(answer.body for answer in service.get_many("/orders/1", 8))
        assert len(prometheus.query(COUNT)) == WORKERS

    poll_until(check, interval=1)
    return pids


def _settled(prometheus: PrometheusApi, requests: int) -> float:
    def check() -> float:
        value = prometheus.value(f"sum(last_over_time({COUNT}[15m]))")
        assert value == requests
        return value

    return poll_until(check)


@pytest.mark.parametrize("is_vanilla", [False, True], ids=["", "vanilla"])
def test_what_belongs_to_a_process_leaves_with_it(
    collector: Collector, tmp_path: Path, is_vanilla: bool
) -> None:
    """Finding 6: the Collector no longer serves a dead process's gauges; its counts stay.

    With vanilla OpenTelemetry they stay until they expire.
    """
    name = f"ended-{is_vanilla}"
    variables = {"OTEL_SERVICE_NAME": name, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    port = free_port()
    command = ["gunicorn", "counting_shop:application", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    environment = telemetry_environment(
        collector, APPLICATIONS, {**(VANILLA if is_vanilla else {}), **variables}
    )

    def check(expected: dict[str, float]) -> None:
        page = collector.scrape()
        served = {
            sample: sum(each.value for each in page.of(sample, job=name))
            for sample in expected
            if page.of(sample, job=name)
        }
        assert served == expected

    def still_has_its_gauge() -> None:
        assert collector.scrape().of("shop_open", job=name)

    with serving(command, port, environment, tmp_path / "server.log") as service:
        service.get_many("/", 20)
        if is_vanilla:  # of which more cannot be said: now and then a worker inherits a held lock
            poll_until(still_has_its_gauge)
        else:
            poll_until(lambda: check({"shop_open": 2, "shop_requests_total": 20}))
        service.stop()
    if is_vanilla:
        still_has_its_gauge()
    else:
        poll_until(lambda: check({"shop_requests_total": 20}))
        assert not collector.scrape().of("shop_open", job=name)
