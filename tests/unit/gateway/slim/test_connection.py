"""What a connection on the slim path does, and that nobody can tell it from aiohttp's."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Settled
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from ansflow_gateway.receivers import events
from ansflow_gateway.receivers.slim import path as slim_path
from ansflow_gateway.storage.sqlite import SqliteEventStore
from ansflow_gateway.web import tokens
from ansflow_gateway.web.drain import DRAIN
from support.gateway import Gateway, eventually, run_finished, series, user_activity
from support.wire import Stage, activities, batch, on_both_loops, post

ADMIN_LOGINS = series(ansflow__user__action="login", ansflow__user__type="admin")
OTHER_WAY = "X-Anything: 1"
"""A header that aiohttp has to judge."""

BODIES = {
    "accepted": user_activity(),
    "escapes": user_activity(action='"quoted"'),
    "beyond ASCII": user_activity(action="登录"),
    "not JSON": b"{",
    "not UTF-8": b'{"id": "\xff"}',
    "a lone surrogate": b'{"id": "\\ud800"}',
    "a missing member": {"specversion": "1.0", "id": "x"},
    "an unknown type": user_activity() | {"type": "dev.ansflow.nothing.v1"},
    "an unused CDEvent": user_activity() | {"type": "dev.cdevents.artifact.packaged.0.2.0"},
    "a batch as one": [],
    "a null": b"null",
}


def logins(gateway: Gateway) -> float:
    """Count the logins that a gateway knows of."""
    return sum(gateway.values("ansflow.user.activity").values())


@on_both_loops
async def test_a_plain_event_and_a_batch_never_reach_aiohttp(stage: Stage, by_aiohttp: list[str]) -> None:
    """Both are answered with what aiohttp would say, and counted."""
    gateway = await stage.gateway()
    wire = await stage.connect(gateway)
    event = user_activity()
    await wire.send(post(event))
    reply = await wire.reply()
    assert (reply.status, reply.body) == (202, {"id": event["id"], "verdict": "accepted"})
    await wire.send(post(event))
    assert (await wire.reply()).body == {"id": event["id"], "verdict": "duplicate"}
    await wire.send(batch([*activities(3), event, {}], "Prefer: return=minimal"))
    reply = await wire.reply()
    assert (reply.status, reply.headers["preference-applied"]) == (207, "return=minimal")
    assert (reply.body["accepted"], reply.body["duplicate"], reply.body["rejected"]) == (3, 1, 1)
    assert not by_aiohttp
    assert logins(gateway) == 4


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@on_both_loops
async def test_both_ways_give_the_same_answer(stage: Stage, by_aiohttp: list[str], body: object) -> None:
    """Status, headers and body are equal, whatever was sent."""
    slim = await stage.connect(await stage.gateway())
    full = await stage.connect(await stage.gateway())
    await slim.send(post(body))
    await full.send(post(body, OTHER_WAY))
    one, other = await slim.reply(), await full.reply()
    assert len(by_aiohttp) == 1
    one.headers["date"] = other.headers["date"]
    assert one == other


@pytest.mark.parametrize("fields", [(), (OTHER_WAY,)], ids=["slim", "aiohttp"])
@on_both_loops
async def test_a_request_may_come_in_any_pieces(stage: Stage, fields: tuple[str, ...]) -> None:
    """Cut anywhere, it is the same request; all of them follow each other on one connection."""
    gateway = await stage.gateway()
    wire = await stage.connect(gateway)
    size = len(post(user_activity(), *fields))
    cuts = range(1, size, 7)
    for cut in cuts:
        request = post(user_activity(), *fields)
        await wire.send(request[:cut], request[cut:])
        assert (await wire.reply()).status == 202
    request = post(user_activity(), *fields)
    await wire.send(*(request[each : each + 1] for each in range(len(request))))
    assert (await wire.reply()).status == 202
    assert logins(gateway) == len(cuts) + 1


@on_both_loops
async def test_pipelined_requests_are_answered_in_order_and_handed_over_in_the_middle(
    stage: Stage, by_aiohttp: list[str]
) -> None:
    """The first head that isn't known takes the connection, and what follows it, to aiohttp."""
    gateway = await stage.gateway()
    wire = await stage.connect(gateway)
    sent = [user_activity() for _ in range(9)]
    requests = [post(event, *([OTHER_WAY] if number == 5 else [])) for number, event in enumerate(sent)]
    await wire.send(b"".join(requests) + b"GET /health/live HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert [(await wire.reply()).body["id"] for _ in sent] == [event["id"] for event in sent]
    assert (await wire.reply()).status == 200
    assert len(by_aiohttp) == 4
    assert logins(gateway) == 9


@on_both_loops
async def test_other_requests_go_to_aiohttp_at_once(stage: Stage) -> None:
    """The first bytes tell: what isn't HTTP at all is refused before a line ends."""
    wire = await stage.connect(await stage.gateway())
    await wire.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
    assert (await wire.reply()).status == 400
    assert await wire.ended()


@on_both_loops
async def test_a_sender_that_does_not_read_is_not_served_on_and_loses_nothing(stage: Stage) -> None:
    """Answers wait in bounded room; when they are read, all are there."""
    gateway = await stage.gateway()
    wire = await stage.connect(gateway)
    wire.writer.transport.set_write_buffer_limits(1 << 30)
    for _ in range(60):
        wire.writer.write(batch(activities(1000)))
    await asyncio.sleep(0.5)
    replies = [await wire.reply() for _ in range(60)]
    assert [reply.body["accepted"] for reply in replies] == [1000] * 60
    assert logins(gateway) == 60_000


@pytest.mark.parametrize(
    ("error", "status"), [(OverloadedError("full"), 429), (StoreUnavailableError("disk"), 503)]
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "by the writer"])
@on_both_loops
async def test_what_is_shed_is_told_and_counted(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    late: bool,
) -> None:
    """A store that can't take an event, now or later, is a 429 or 503 that says when to come again."""
    gateway = await stage.gateway()

    def submit(_: SqliteEventStore, __: Sequence[Event], settled: Settled) -> None:
        if not late:
            raise error
        asyncio.get_running_loop().call_soon(settled, (), error)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteEventStore, "submit", submit)
        wire = await stage.connect(gateway)
        await wire.send(post(user_activity()) * 200)  # deep enough that answering must not recurse
        replies = [await wire.reply() for _ in range(200)]
    assert {reply.status for reply in replies} == {status}
    assert all(int(reply.headers["retry-after"]) > 0 for reply in replies)
    assert sum(gateway.values("ansflow.gateway.events.shed").values()) == 200
    await wire.send(post(user_activity()))
    assert (await wire.reply()).status == 202


@on_both_loops
async def test_a_slow_body_is_left_to_aiohttp_which_gives_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, by_aiohttp: list[str]
) -> None:
    """A request that isn't whole after a while is aiohttp's, and has its deadline."""
    monkeypatch.setattr(slim_path, "PATIENCE_S", 0.05)
    monkeypatch.setattr(events, "BODY_DEADLINE_S", 1.0)
    gateway = await stage.gateway()
    slow, too_slow, head = [await stage.connect(gateway) for _ in range(3)]
    request = post(user_activity())
    await slow.send(request[:-10])
    await too_slow.send(request[:-10])
    await head.send(request[:20])
    await eventually(lambda: _equal(len(by_aiohttp), 2))
    await slow.send(request[-10:])
    assert (await slow.reply()).status == 202
    assert (await too_slow.reply()).body["reason"] == "timeout"
    await head.send(request[20:])
    assert (await head.reply()).body["verdict"] == "duplicate"
    assert gateway.values("ansflow.gateway.events.rejected")[series(reason="timeout")] == 1


@on_both_loops
async def test_an_idle_connection_is_closed_in_the_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before."""
    monkeypatch.setattr(slim_path, "PATIENCE_S", 0.05)
    wire = await stage.connect(await stage.gateway())
    await wire.send(post(user_activity()))
    await wire.reply()
    await asyncio.sleep(0.3)
    await wire.send(post(user_activity()))
    assert (await wire.reply()).status == 202
    monkeypatch.setattr(slim_path, "KEEP_ALIVE_S", 0.2)
    assert await wire.ended()


@on_both_loops
async def test_draining_answers_what_is_there_and_closes_the_rest(stage: Stage) -> None:
    """A request whose body is on its way is waited for and answered as the last; idle connections end."""
    gateway = await stage.gateway()
    idle, begun, fresh = [await stage.connect(gateway) for _ in range(3)]
    await idle.send(post(user_activity()))
    await idle.reply()
    request = post(user_activity())
    await begun.send(request[:-10])
    drain = gateway.app[DRAIN]
    await eventually(lambda: _equal(drain.under_way, 1))
    ending = asyncio.create_task(drain.finish(20))
    assert await idle.ended()
    assert await fresh.ended()
    assert not ending.done()
    await begun.send(request[-10:])
    reply = await begun.reply()
    assert (reply.status, reply.headers["connection"]) == (202, "close")
    assert await begun.ended()
    assert await ending == 0


@on_both_loops
async def test_a_sender_who_leaves_is_no_reason_to_wait(stage: Stage) -> None:
    """Neither with a part of a request, nor with a whole one, which is stored all the same."""
    gateway = await stage.gateway()
    part, whole = [await stage.connect(gateway) for _ in range(2)]
    await part.send(post(user_activity())[:-10])
    await eventually(lambda: _equal(gateway.app[DRAIN].under_way, 1))
    part.writer.close()
    await whole.send(post(user_activity()))
    whole.writer.close()
    await eventually(lambda: _equal(logins(gateway), 1))
    assert await gateway.app[DRAIN].finish(20) == 0


@on_both_loops
async def test_who_may_not_send_is_told_by_aiohttp_and_a_revoked_token_ends_at_once(
    stage: Stage, tmp_path: Path, by_aiohttp: list[str]
) -> None:
    """The token is looked at with each request, also on a connection that was let in before."""
    token, entry = tokens.make("shop-ci", ["events:write"])
    file = tmp_path / "tokens.toml"
    file.write_text(entry)
    gateway = await stage.gateway(tokens_file=str(file))
    wire = await stage.connect(gateway)
    bearer = f"Authorization: Bearer {token}"
    await wire.send(post(user_activity(), bearer))
    assert (await wire.reply()).status == 202
    other = await stage.connect(gateway)
    await other.send(post(user_activity(), "Authorization: Bearer wrong"))
    assert (await other.reply()).body["reason"] == "unauthorized"
    _, reading = tokens.make("reader", ["metrics:read"])
    file.write_text(reading)
    await asyncio.sleep(1.1)  # files are looked at once a second
    await wire.send(post(user_activity(), bearer))
    assert (await wire.reply()).status == 401
    assert not by_aiohttp, "the middleware refuses before"
    assert logins(gateway) == 1


@on_both_loops
async def test_a_defect_while_a_batch_is_judged_is_a_500(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, told without its words, and the connection goes on."""

    async def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    gateway = await stage.gateway()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteEventStore, "apply", broken)
        wire = await stage.connect(gateway)
        await wire.send(batch(activities(2)))
        reply = await wire.reply()
    assert (reply.status, reply.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in json.dumps(reply.body)
    assert any(record.exc_info for record in caplog.records)
    await wire.send(batch([run_finished()]))
    assert (await wire.reply()).status == 200


def _equal(left: object, right: object) -> None:
    assert left == right
