"""The publisher and the services against a real gateway that asks for a token."""

import asyncio
import logging
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from platform_events import EventPublisher, UserActivity
from platform_events.answers import Verdict
from platform_events.events import cloud_event
from platform_events.sink import HttpSink
from support.gateway import Gateway, eventually, run_gateway, series

Launch = Callable[[list[str], dict[str, str]], "subprocess.Popen[bytes]"]

TOKEN = "correct-horse-battery"
LOGIN = UserActivity(action="login", user_type="admin")
TOO_LONG = UserActivity(action="x" * 201, user_type="admin")
LOGINS = series(action="login", user_type="admin")


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Give a gateway that takes nothing without its token."""
    async with AsyncExitStack() as stack:
        yield await run_gateway(stack, token=TOKEN)


def sink_url(gateway: Gateway) -> str:
    """Return where the gateway takes events."""
    return f"{gateway.url}/v1/events"


def rejected(gateway: Gateway) -> dict[str, float]:
    """Return how many events the gateway refused, by reason, those of none left out."""
    values = gateway.values("ansflow.gateway.events.rejected")
    return {dict(labels)["reason"]: count for labels, count in values.items() if count}


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as an error by the publisher."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR and record.name.startswith("platform_events")
    ]


async def test_events_arrive_with_the_token(gateway: Gateway) -> None:
    """A publisher with the gateway's token delivers, and the gateway has refused nothing."""
    publisher = EventPublisher.to_url(sink_url(gateway), source="/t", token=TOKEN)
    assert publisher.publish(LOGIN)
    assert await asyncio.to_thread(publisher.close, 10)
    assert publisher.counts.delivered == 1
    assert gateway.values("ansflow.user.activity") == {LOGINS: 1}
    assert rejected(gateway) == {}


@pytest.mark.parametrize(
    ("token", "got"), [(None, "got no credentials"), ("wrong", "got a Bearer credential that isn't valid")]
)
async def test_without_the_token_events_are_dropped_and_that_is_said_once(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, token: str | None, got: str
) -> None:
    """One error names the status, the reason and the variable; no event is sent twice; no token is logged."""
    publisher = EventPublisher.to_url(sink_url(gateway), source="/t", token=token)
    for number in range(1, 6):
        publisher.publish(LOGIN)
        assert await asyncio.to_thread(publisher.flush, 10)
        assert publisher.counts.dropped == number
    assert await asyncio.to_thread(publisher.close, 10)
    assert publisher.counts.delivered == 0
    (said,) = errors(caplog)
    assert "HTTP 401" in said
    assert got in said
    assert "EVENT_SINK_TOKEN" in said
    assert "dropped so far" not in caplog.text
    assert "wrong" not in caplog.text
    assert rejected(gateway) == {"unauthorized": 5}


async def test_an_outage_ends_with_a_word_and_the_next_is_said_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the gateway comes back with our token, events arrive; the log has what was lost meanwhile."""
    port = "0"
    publisher = None
    for round_, token in enumerate(["another-token-than-ours", TOKEN, "another-token-than-ours"]):
        async with AsyncExitStack() as stack:
            gateway = await run_gateway(stack, token=token, port=port)
            port = gateway.url.rpartition(":")[2]
            publisher = publisher or EventPublisher.to_url(sink_url(gateway), source="/t", token=TOKEN)
            for _ in range(2):
                publisher.publish(LOGIN)
                assert await asyncio.to_thread(publisher.flush, 10)
            ended = [r.getMessage() for r in caplog.records if "takes the token now" in r.message]
            assert len(errors(caplog)) == (1, 1, 2)[round_]
            assert ended == ["events: the sink takes the token now; 2 dropped meanwhile"][: min(round_, 1)]
    assert publisher is not None
    assert await asyncio.to_thread(publisher.close, 10)
    assert (publisher.counts.delivered, publisher.counts.dropped) == (2, 4)


async def test_the_gateways_verdicts_are_read(gateway: Gateway) -> None:
    """Of a batch that is taken in part, each refused event is known by its reason; repeats are none."""
    sink = HttpSink(sink_url(gateway), token=TOKEN)
    batch = [cloud_event(event, source="/t") for event in (LOGIN, TOO_LONG, LOGIN)]
    partly = await asyncio.to_thread(sink.send, batch)
    assert (partly.verdict, partly.reason) == (Verdict.TAKEN, "HTTP 207")
    (refusal,) = partly.refusals
    assert (refusal.index, refusal.cause) == (1, "too_long data.action")
    assert refusal.detail.startswith("data.action: expected ")
    again = await asyncio.to_thread(sink.send, [batch[0], batch[2]])
    assert (again.verdict, again.reason, again.refusals) == (Verdict.TAKEN, "HTTP 200", ())
    none = await asyncio.to_thread(sink.send, [batch[1], batch[1]])
    assert (none.verdict, none.reason) == (Verdict.REFUSED, "HTTP 422")
    assert [refusal.index for refusal in none.refusals] == [0, 1]
    assert gateway.values("ansflow.user.activity") == {LOGINS: 2}


async def test_refused_events_are_dropped_and_the_others_delivered(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """However they are batched, what the gateway refused isn't counted as delivered, and the log says why."""
    publisher = EventPublisher.to_url(sink_url(gateway), source="/t", token=TOKEN)
    for event in (LOGIN, TOO_LONG, LOGIN, LOGIN):
        publisher.publish(event)
    assert await asyncio.to_thread(publisher.close, 10)
    counts = publisher.counts
    assert (counts.published, counts.delivered, counts.dropped, counts.waiting) == (4, 3, 1, 0)
    assert gateway.values("ansflow.user.activity") == {LOGINS: 3}
    (said,) = [record.getMessage() for record in caplog.records if "dropped" in record.message]
    assert said.startswith(
        "events: 1 dropped so far (dev.ansflow.user.activity.v1 refused: too_long data.action: data.action: "
    )


async def test_services_send_the_token_that_they_are_given(
    gateway: Gateway,
    launch: Launch,
    answers: Callable[[str], httpx.Response],
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    """Both services, started with the token in a variable or in a file, have their events taken."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    fastapi, django = free_port(), free_port()
    environment = {
        "DATA_DIR": str(tmp_path),
        "DJANGO_SERVICE_URL": f"http://127.0.0.1:{django}",
        "FASTAPI_SERVICE_URL": f"http://127.0.0.1:{fastapi}",
        "EVENT_SINK_URL": sink_url(gateway),
    }
    migration = launch(["django_service", "migrate"], environment)
    assert await asyncio.to_thread(migration.wait, 60) == 0
    launch(
        ["gunicorn", "-c", "python:django_service.gunicorn_settings", "--bind", f"127.0.0.1:{django}"],
        environment | {"EVENT_SINK_TOKEN_FILE": str(file)},
    )
    launch(
        ["uvicorn", "fastapi_service.main:app", "--host", "127.0.0.1", "--port", str(fastapi)],
        environment | {"EVENT_SINK_TOKEN": TOKEN},
    )
    for port in (django, fastapi):
        ready = await asyncio.to_thread(answers, f"http://127.0.0.1:{port}/health/ready")
        assert ready.status_code == 200
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        login = await client.post(f"http://127.0.0.1:{django}/api/sessions/", json={"username": "ci-bot"})
        assert login.is_success
        run = await client.post(f"http://127.0.0.1:{fastapi}/api/v1/pipelines/1/runs", json={})
        assert run.status_code == 201

    def both_arrived() -> None:
        actions = {dict(labels)["action"] for labels in gateway.values("ansflow.user.activity")}
        assert {"login", "run_started"} <= actions

    await eventually(both_arrived, within_s=30)
    assert rejected(gateway) == {}
