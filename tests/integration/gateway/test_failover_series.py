"""What a Collector serves when another of two gateways comes to lead."""

from functools import partial
from pathlib import Path
from random import Random

import pytest
from support.collector import Collector, run_collector
from support.event_facts import figures
from support.event_load import Load, make_load
from support.gateway_process import GatewayProcess, MakeGateway
from support.polling import poll_until_async
from support.postgres import running_postgres
from support.retrying_sender import RetryingSender

pytestmark = pytest.mark.integration

COUNTER = "ansflow_user_activity_total"
ACTIVE = "cicd_pipeline_run_active"
DURATION = "cicd_pipeline_run_duration_seconds_count"


async def test_a_failover_continues_the_series(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """Sums over a Collector's endpoint are exact after the leader is killed, though it keeps series for long.

    Each gateway's own meters stay its own. Prometheus' own scrapes need no such care: it drops what a target
    doesn't show any more.
    """
    load = make_load(Random(9), 2_000, singles=100)  # noqa: S311 - a seed makes the run the same each time
    half = len(load.requests) // 2
    with running_postgres() as postgres, run_collector(["signals-none"], tmp_path) as collector:
        postgres.create_database("events")
        environ = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        environ["OTEL_METRIC_EXPORT_INTERVAL"] = "1000"
        leader, other = (
            make_gateway("--start-deadline", "86400", name=n, store=postgres.url("events"), environ=environ)
            for n in ("one", "two")
        )
        await leader.start()
        await other.start()
        # What is active when the leader is killed is told by nobody else until the next one leads.
        told = load.requests[:half]
        await RetryingSender(leader.address, Random(9)).send(told)  # noqa: S311 - likewise
        partly = Load([t.fact for request in told for t in request.tellings], told)
        await poll_until_async(partial(_is_exact, collector, partly, {leader, other}))
        await leader.kill()
        await RetryingSender(other.address, Random(9)).send(load.requests)  # noqa: S311 - likewise
        await poll_until_async(partial(_is_exact, collector, load, {leader, other}))
        assert await other.stop() == 0
        await _is_exact(collector, load, {leader, other})


async def _is_exact(collector: Collector, load: Load, gateways: set[GatewayProcess]) -> None:
    """See that sums over all instances are those of the facts, and that each gateway tells of itself."""
    expected = figures(load.facts)
    page = collector.scrape()
    for name in (COUNTER, ACTIVE, DURATION):
        told = page.sums(name, ["instance"])
        assert sum(told.values()) == sum(v for (sample, _), v in expected.items() if sample == name), told
        assert len(told) == 1
    assert len(page.sums("process_thread_count", ["instance"])) == len(gateways)
