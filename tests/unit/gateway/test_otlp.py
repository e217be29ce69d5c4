"""Pushing through outages: quiet, never in the way, and complete afterwards."""

import logging
from collections.abc import Sequence

import pytest
from ansflow_gateway.exporters.otlp import REMIND_AFTER_S, SteadyExporter
from ansflow_gateway.lifetimes import PUSHING
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from support.gateway import StartGateway, eventually, run_finished
from support.otlp_receiver import OtlpReceiver

LIBRARY_LOG = logging.getLogger("opentelemetry.exporter.otlp.proto.http.metric_exporter")
OK, FAILED = MetricExportResult.SUCCESS, MetricExportResult.FAILURE


class ScriptedExporter(MetricExporter):
    """Fails and succeeds as told, and is as talkative about it as the real one."""

    def __init__(self, script: Sequence[MetricExportResult]) -> None:
        super().__init__()
        self._script = iter(script)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **_: object) -> MetricExportResult:
        """Follow the script."""
        result = next(self._script)
        if result is FAILED:
            LIBRARY_LOG.warning("Transient error refused")
            LIBRARY_LOG.error("Failed to export")
        return result

    def force_flush(self, timeout_millis: float = 0) -> bool:
        """Have nothing to flush."""
        return True

    def shutdown(self, timeout_millis: float = 0, **_: object) -> None:
        """Have nothing to end."""


def test_an_outage_is_logged_at_its_start_now_and_then_and_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thousand failed pushes are a line at first, a reminder every five minutes, and a line at the end."""
    caplog.set_level(logging.INFO)
    now = 0.0
    exporter = SteadyExporter(ScriptedExporter([OK, *[FAILED] * 1000, OK, OK]), "http://c", lambda: now)
    data = MetricsData(resource_metrics=[])
    for _ in range(1003):
        exporter.export(data)
        now += 5
    failing = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(failing) == 1 + int(999 * 5 / REMIND_AFTER_S)
    assert failing[0].__dict__["problem"] == "http://c: Transient error refused; Failed to export"
    (recovered,) = (record for record in caplog.records if record.levelno == logging.INFO)
    assert recovered.__dict__["failed_pushes"] == 1000
    assert {record.name for record in caplog.records} == {"ansflow_gateway.exporters.otlp"}
    assert exporter.state.failures == 0


async def test_without_a_collector_the_gateway_works_and_says_so(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are taken while pushes fail; health warns with the cause, and is still 200."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    gateway = await start_gateway(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:hush@127.0.0.1:1", "OTEL_METRIC_EXPORT_INTERVAL": "50"},
        flush_deadline="0.5",
    )
    for _ in range(20):
        assert (await gateway.send(run_finished()))[0] == 202

    def failing() -> None:
        assert gateway.app[PUSHING].state.failures

    await eventually(failing)
    async with gateway.session.get(gateway.url + "/health/") as response:
        (check,) = (await response.json(content_type=None))["checks"]["otlp:failedPushes"]
        assert check["status"] == "warn"
        assert check["output"].startswith("http://***@127.0.0.1:1/v1/metrics: ")
        assert "hush" not in check["output"]
    assert response.status in {200, 503}  # 503 only before the first sample of the host


async def test_pushes_come_by_themselves(start_gateway: StartGateway) -> None:
    """Metrics reach an OTLP receiver at the interval, under the gateway's identity."""
    with OtlpReceiver() as receiver:
        gateway = await start_gateway(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
        )
        await gateway.send(run_finished())

        def arrived() -> None:
            names = {
                metric.name
                for request in list(receiver.metrics)
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
            assert {"cicd.pipeline.run.duration", "system.cpu.utilization"} <= names

        await eventually(arrived)
