"""Probing services: what each kind of answer means, and that none of them hurts."""

import asyncio
import gzip
import json
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from ansflow_gateway.domain.health import ServiceHealth, read_document
from ansflow_gateway.lifetimes import PROBER
from ansflow_gateway.prober import http
from support.gateway import Answer, Gateway, StartGateway, StartService, eventually, run_gateway, series

HEALTHY = {
    "status": "pass",
    "checks": {
        "database:responseTime": [{"status": "pass", "observedValue": 1.2}],
        "cache:ping": [{"status": "warn"}],
        "disk:free": [{"status": "pass"}, {"status": "fail"}],
        "uptime": [{"observedValue": 5}],
        "overall": [{"status": "fail"}],
    },
}


def statuses(gateway: Gateway, service: str = "api") -> dict[str, float]:
    """Collect a service's checks."""
    return {
        dict(attributes)["check"]: value
        for attributes, value in gateway.values("ansflow.health_check.status").items()
        if dict(attributes)["service"] == service
    }


async def expect(gateway: Gateway, wanted: Mapping[str, float]) -> None:
    """Wait until the checks of the service `api` are these."""

    def as_wanted() -> None:
        assert statuses(gateway) == wanted

    await eventually(as_wanted)


async def test_each_check_of_a_service_is_reported(
    start_gateway: StartGateway, start_service: StartService
) -> None:
    """A warning is up; several entries are up if all are; one without a status is silent."""
    service = await start_service(Answer(body=json.dumps(HEALTHY).encode()))
    gateway = await start_gateway(services=f"api={service.url}")
    await expect(gateway, {"overall": 1, "database:responseTime": 1, "cache:ping": 1, "disk:free": 0})
    durations = gateway.values("ansflow.health_check.duration")
    assert durations[series(service="api")] == service.asked


@pytest.mark.parametrize(
    ("answer", "overall"),
    [
        (Answer(body=b'{"status": "warn"}'), 1),
        (Answer(body=b'{"status": "PASS"}'), 1),
        (Answer(body=b'{"status": "fail"}'), 0),
        (Answer(status=503, body=b'{"status": "fail"}'), 0),
        (Answer(status=503, body=b'{"status": "pass"}'), 0),
        (Answer(status=500, body=b"oops"), 0),
        (Answer(body=b"<html>fine</html>", headers={"Content-Type": "text/html"}), 0),
        (Answer(body=b""), 0),
        (Answer(body=b"[]"), 0),
        (Answer(body=b'{"status": "splendid"}'), 0),
        (Answer(body=b'{"status": "pass", "checks": []}'), 0),
        (Answer(body=b'{"status": "pass", "checks": {"db": {"status": "pass"}}}'), 0),
        (Answer(body=b"\xff\xfe"), 0),
        (Answer(body=b"[" * 60000), 0),
        (Answer(body=b'{"status": "pass", "pad": "' + b"x" * 70000 + b'"}'), 0),
        (Answer(body=gzip.compress(b'{"status": "pass"}'), headers={"Content-Encoding": "gzip"}), 0),
        (Answer(delay_s=5), 0),
    ],
    ids=lambda value: None if isinstance(value, int) else repr(value)[:60],
)
async def test_an_answer_is_health_or_it_is_not(
    start_gateway: StartGateway, start_service: StartService, answer: Answer, overall: int
) -> None:
    """Only a health document that arrives whole, in time and under a 2xx status is health."""
    service = await start_service(answer)
    gateway = await start_gateway(services=f"api={service.url}", probe_deadline="0.3")
    await expect(gateway, {"overall": overall})


async def test_the_error_budget_is_of_the_objective_that_is_set(
    start_gateway: StartGateway, start_service: StartService
) -> None:
    """A service that fails for half of a minute has overspent the 26 s of 30 days; the page agrees."""
    service = await start_service(Answer())
    gateway = await start_gateway(
        services=f"api={service.url}", availability_objective="0.99999", probe_interval="0.2"
    )
    await expect(gateway, {"overall": 1})
    service.answer = Answer(status=503)

    def told() -> None:
        budgets = gateway.values("ansflow.availability.error_budget")
        lost = gateway.app[PROBER].health["api"].lost
        assert lost["30d"] > 0.5 / 43_200
        assert lost == pytest.approx({"1h": lost["30d"] * 720, "24h": lost["30d"] * 30, "30d": lost["30d"]})
        assert budgets == {
            series(service="api", window=window): pytest.approx(1 - each / 0.000_01)
            for window, each in lost.items()
        }
        assert gateway.values("ansflow.availability.objective") == {series(): 0.99999}

    await eventually(told)
    page = ""
    async with asyncio.timeout(15):
        while "overspent by" not in page:
            headers = {"Accept": "text/html"}
            async with gateway.session.get(gateway.url + "/", headers=headers) as response:
                page = await response.text()
            await asyncio.sleep(0.05)


async def test_a_redirect_is_not_followed(start_gateway: StartGateway, start_service: StartService) -> None:
    """A service that sends the prober to another, however healthy, hasn't said that it is."""
    other = await start_service(Answer())
    service = await start_service(Answer(status=302, headers={"Location": other.url}))
    gateway = await start_gateway(services=f"api={service.url}")
    await expect(gateway, {"overall": 0})
    assert other.asked == 0


async def test_checks_of_a_service_that_went_away_are_down_until_it_is_back(
    start_gateway: StartGateway, start_service: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    """Former checks go to 0 while there is no health document; the next document replaces them all."""
    caplog.set_level(logging.INFO, "ansflow_gateway.prober")
    service = await start_service(
        Answer(body=b'{"status": "pass", "checks": {"db": [{"status": "pass"}], "mq": [{"status": "pass"}]}}')
    )
    gateway = await start_gateway(services=f"api={service.url}", probe_interval="0.05")
    await expect(gateway, {"overall": 1, "db": 1, "mq": 1})
    service.answer = Answer(body=b"broken")
    await expect(gateway, {"overall": 0, "db": 0, "mq": 0})
    service.answer = Answer(body=b'{"status": "pass", "checks": {"db": [{"status": "pass"}]}}')
    await expect(gateway, {"overall": 1, "db": 1})
    messages = [record.message for record in caplog.records]
    assert messages == ["service is up", "service is down", "service is up"]


async def test_a_service_that_is_not_there_is_down(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused connection is overall 0, and nothing more; the log doesn't tell the URL's password."""
    gateway = await start_gateway(services="api=http://me:hush@127.0.0.1:1/health/")
    await expect(gateway, {"overall": 0})
    (said,) = (record.__dict__ for record in caplog.records if record.msg == "service is down")
    assert said["url"] == "http://***@127.0.0.1:1/health/"
    assert "hush" not in said["problem"]


async def test_a_slow_service_does_not_hold_up_the_others(
    start_gateway: StartGateway, start_service: StartService
) -> None:
    """While one service keeps its prober waiting, another is probed again and again."""
    slow = await start_service(Answer(delay_s=60))
    quick = await start_service(Answer())
    gateway = await start_gateway(
        services=f"slow={slow.url},api={quick.url}", probe_interval="0.05", probe_deadline="30"
    )

    def asked_often() -> None:
        assert quick.asked >= 5

    await eventually(asked_often)
    assert slow.asked == 1
    assert statuses(gateway) == {"overall": 1}
    assert statuses(gateway, "slow") == {}


async def test_the_number_of_checks_is_bounded(
    start_gateway: StartGateway, start_service: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a thousand checks 32 are kept, unprintable and overlong names left out; one line says so."""
    checks = {"x" * 129: [{"status": "pass"}], "a\nb": [{"status": "pass"}]}
    checks |= {f"c{n}": [{"status": "pass"}] for n in range(1000)}
    service = await start_service(Answer(body=json.dumps({"status": "pass", "checks": checks}).encode()))
    gateway = await start_gateway(services=f"api={service.url}", probe_interval="0.05")
    await expect(gateway, {"overall": 1} | {f"c{n}": 1 for n in range(32)})
    probes = service.asked

    def asked_again() -> None:
        assert service.asked > probes + 2

    await eventually(asked_again)
    assert [record.dropped for record in caplog.records if hasattr(record, "dropped")] == [970]


async def test_stopping_does_not_wait_for_a_probe(
    start_gateway: StartGateway, start_service: StartService
) -> None:
    """A gateway that stops cancels the probes under way."""
    slow = await start_service(Answer(delay_s=60))
    gateway = await start_gateway(services=f"api={slow.url}", probe_deadline="60")

    def asked() -> None:
        assert slow.asked == 1

    await eventually(asked)
    await gateway.app.shutdown()
    async with asyncio.timeout(10):
        for task in [task for task in asyncio.all_tasks() if task.get_name() == "prober"]:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_availability_outlives_a_restart_without_events(
    start_service: StartService, tmp_path: Path
) -> None:
    """A probe that failed before the stop counts after it, though nothing else was there to be saved.

    What failed before the service was ever up isn't its availability: it wasn't started yet.
    """
    service = await start_service(Answer(status=500))
    flags = {"services": f"api={service.url}", "probe_interval": "3600", "store": f"{tmp_path}/store"}
    for up, share in ((False, None), (True, 1.0), (False, 0.5), (True, 2 / 3)):
        service.answer = Answer(status=200 if up else 500)
        async with AsyncExitStack() as stack:
            gateway = await run_gateway(stack, None, **flags)

            def as_counted(app: web.Application = gateway.app, share: float | None = share) -> None:
                assert {name: each.availability.get("1h") for name, each in app[PROBER].health.items()} == {
                    "api": share and pytest.approx(share)
                }

            await eventually(as_counted)


async def test_an_unforeseen_failure_is_a_failed_probe(
    start_gateway: StartGateway,
    start_service: StartService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault in reading one service's answer is that service's trouble: the others are watched on."""
    read = read_document

    def stumble(document: object, status: int) -> ServiceHealth:
        if document == {"status": "pass", "stumble": True}:
            raise RuntimeError("nobody thought of this")
        return read(document, status)

    monkeypatch.setattr(http, "read_document", stumble)
    odd = await start_service(Answer(body=b'{"status": "pass", "stumble": true}'))
    plain = await start_service(Answer(body=b'{"status": "pass"}'))
    gateway = await start_gateway(services=f"odd={odd.url},plain={plain.url}", probe_interval="0.05")

    def watched_on() -> None:
        assert statuses(gateway, "odd") == {"overall": 0}
        assert statuses(gateway, "plain") == {"overall": 1}
        assert plain.asked > 2

    await eventually(watched_on)
    assert "a probe failed for an unforeseen reason" in caplog.text
