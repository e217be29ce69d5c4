"""What no sender can bring about, whatever it sends: unbounded memory, another verdict, an end that waits."""

import asyncio

import pytest
from ansflow_gateway.receivers.slim import path as slim_path
from ansflow_gateway.receivers.slim.connection import MAX_AHEAD_BYTES, MAX_HEAD_BYTES, SlimConnection
from ansflow_gateway.storage.sqlite import SqliteEventStore
from ansflow_gateway.web.drain import DRAIN
from support.gateway import eventually, user_activity
from support.wire import Stage, activities, batch, on_both_loops, post

MAX_READ_BYTES = 256 * 1024
"""Most bytes that either loop reads at once."""


@on_both_loops
async def test_requests_ahead_are_read_as_they_are_answered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much a sender has to say, what isn't answered yet takes bounded room."""
    taken = 0
    take = SlimConnection.data_received

    def noted(connection: SlimConnection, data: bytes) -> None:
        nonlocal taken
        taken += len(data)
        take(connection, data)

    monkeypatch.setattr(SlimConnection, "data_received", noted)
    wire = await stage.connect(await stage.gateway())
    stage.stack.callback(wire.writer.transport.abort)  # with what is still to be sent
    wire.writer.transport.set_write_buffer_limits(1 << 30)
    request = post(user_activity())
    wire.writer.write(request * 20_000)
    for answered in range(1, 101):
        assert (await wire.reply()).status in {200, 202}
        assert taken - answered * len(request) <= MAX_AHEAD_BYTES + MAX_READ_BYTES


@on_both_loops
async def test_who_does_not_read_the_answers_is_cut_off_in_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a connection ends like an idle one, though its last answers can't be sent."""
    begun: list[SlimConnection] = []
    ended: list[SlimConnection] = []
    begin, end = SlimConnection.connection_made, SlimConnection.connection_lost

    def made(connection: SlimConnection, transport: asyncio.BaseTransport) -> None:
        begun.append(connection)
        begin(connection, transport)

    def lost(connection: SlimConnection, error: Exception | None) -> None:
        ended.append(connection)
        end(connection, error)

    monkeypatch.setattr(SlimConnection, "connection_made", made)
    monkeypatch.setattr(SlimConnection, "connection_lost", lost)
    monkeypatch.setattr(slim_path, "PATIENCE_S", 0.05)
    wire = await stage.connect(await stage.gateway())
    stage.stack.callback(wire.writer.transport.abort)  # with what is still to be sent
    wire.writer.transport.set_write_buffer_limits(1 << 30)
    request = batch(activities(4000))
    wire.writer.write(request * 100)
    await eventually(lambda: _true(begun and begun[0].unread))
    monkeypatch.setattr(slim_path, "KEEP_ALIVE_S", 0.2)
    await eventually(lambda: _true(begun == ended))


@pytest.mark.parametrize("cut", [0, MAX_HEAD_BYTES + 1], ids=["at once", "in pieces"])
@on_both_loops
async def test_a_head_that_is_too_long_is_refused_however_it_comes(stage: Stage, cut: int) -> None:
    """What aiohttp doesn't take isn't taken before it."""
    wire = await stage.connect(await stage.gateway())
    request = post(user_activity(), f"User-Agent: {'a' * 2 * MAX_HEAD_BYTES}")
    await wire.send(request[:cut], request[cut:])
    assert (await wire.reply()).status == 400


@on_both_loops
async def test_a_defect_with_each_of_many_requests_ahead_is_as_many_500s(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is begun inside of the one before, and none stays under way."""

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    gateway = await stage.gateway()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteEventStore, "submit", broken)
        wire = await stage.connect(gateway)
        await wire.send(post(user_activity()) * 500)
        assert {(await wire.reply()).status for _ in range(500)} == {500}
    await wire.send(post(user_activity()))
    assert (await wire.reply()).status == 202
    assert gateway.app[DRAIN].under_way == 0


def _true(fact: object) -> None:
    assert fact
