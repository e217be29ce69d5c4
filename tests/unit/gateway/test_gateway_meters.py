"""What the gateway tells of its own store, spool and pushes."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.failing_disk import make_disk
from support.gateway import StartGateway, eventually, run_finished, series
from support.polling import poll_until
from support.programs import free_ports, get, running

TOKEN = "correct-horse-battery-staple"


def _post(url: str, body: object, **headers: str) -> int:
    """Post JSON; give the status, whatever it is."""
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own http URLs
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _build(number: int) -> dict[str, object]:
    """Make what Jenkins' Notification plugin says of the end of a build."""
    build = {"full_url": f"http://ci/job/shop/{number}/", "number": number, "phase": "FINALIZED"}
    return {"name": "shop", "url": "job/shop/", "build": {**build, "status": "SUCCESS", "duration": 1000}}


def _told(url: str) -> dict[str, float]:
    """Read the gateway's meters of store and spool, and what was shed."""
    return {
        sample.name.removeprefix("ansflow_gateway_"): sample.value
        for family in text_string_to_metric_families(get(f"{url}/metrics"))
        for sample in family.samples
        if sample.name.startswith(("ansflow_gateway_store_", "ansflow_gateway_spool_"))
        or (sample.name == "ansflow_gateway_events_shed_total" and sample.labels["reason"] == "unavailable")
    }


async def test_a_gateway_of_its_own_store_leads_and_has_room(start_gateway: StartGateway) -> None:
    """The store commits, nothing is in the spool, and the spool's limit is the setting's."""
    gateway = await start_gateway(spool_quota="1048576")
    nobody = series()
    assert gateway.values("ansflow.gateway.store.available") == {nobody: 1}
    assert gateway.values("ansflow.gateway.store.leader") == {nobody: 1}
    assert gateway.values("ansflow.gateway.spool.usage") == {nobody: 0}
    assert gateway.values("ansflow.gateway.spool.limit") == {nobody: 1048576}
    assert gateway.values("ansflow.gateway.push.failures") == {}


async def test_failed_pushes_are_counted_by_signal(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each signal begins at a true zero; that of the metrics counts on through an outage."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    gateway = await start_gateway(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_METRIC_EXPORT_INTERVAL": "50"},
        flush_deadline="0.5",
    )
    assert gateway.values("ansflow.gateway.push.failures").keys() == {
        series(signal="metrics"),
        series(signal="traces"),
    }

    def failed_again() -> None:
        assert gateway.values("ansflow.gateway.push.failures")[series(signal="metrics")] > 1

    await eventually(failed_again)


def test_a_store_that_cannot_commit_is_told_until_it_can(tmp_path: Path) -> None:
    """While the disk is full, a webhook is in the spool and an event is shed; afterwards neither is."""
    disk = make_disk(tmp_path)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    environment = {
        **disk.environ,
        "ANSFLOW_GATEWAY_STORE": str(tmp_path / "gateway.db"),
        "ANSFLOW_GATEWAY_SPOOL": str(tmp_path / "spool"),
        "ANSFLOW_GATEWAY_JENKINS_TOKEN": TOKEN,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_TRACES_EXPORTER": "none",
    }
    command = [sys.executable, "-m", "ansflow_gateway", "serve", "--port", str(port)]
    with running(command, environment, tmp_path / "gateway.log", f"{url}/health/live"):
        disk.fail("full")
        event = {"Content-Type": "application/cloudevents+json"}
        webhook = {"Content-Type": "application/json", "X-Jenkins-Token": TOKEN}
        assert _post(f"{url}/v1/events", run_finished(), **event) == 503
        assert _post(f"{url}/webhooks/jenkins", _build(1), **webhook) == 202
        told = _told(url)
        assert (told["store_available"], told["store_leader"]) == (0, 1)
        assert (told["events_shed_total"], told["spool_waiting"]) == (1, 1)
        assert told["spool_usage_bytes"] > 0
        disk.mend()

        def recovered() -> None:
            now = _told(url)
            assert now["store_available"] == 1
            assert (now["spool_waiting"], now["spool_usage_bytes"]) == (0, 0)

        poll_until(recovered)
