"""Several gateways on one PostgreSQL."""

import asyncio
import dataclasses
from contextlib import AsyncExitStack

import psycopg
import pytest
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.errors import StoreRefusedError, StoreUnavailableError
from ansflow_gateway.storage import postgres_journal
from ansflow_gateway.storage.opening import LeadingEventStore
from ansflow_gateway.storage.postgres_schema import connect
from support.counting_fold import CountingFold, activity, run_started
from support.held_open import held_open
from support.postgres import PostgresServer
from support.stores import Place, eventually


async def _two(place: Place) -> tuple[list[LeadingEventStore], list[CountingFold]]:
    folds = [CountingFold(), CountingFold()]
    return [await place.open(fold) for fold in folds], folds


async def test_duplicates_sent_to_both_count_once(database_place: Place) -> None:
    """Events that both gateways get at once, in different orders, are accepted once and counted once."""
    stores, folds = await _two(database_place)
    assert [store.leads for store in stores] == [True, False]
    events = [run_started(str(n), f"e{n}") if n % 2 else activity(f"e{n}") for n in range(400)]
    answers = await asyncio.gather(
        *(
            store.apply(batch[start : start + 40])
            for store, batch in zip(stores, (events, events[::-1]), strict=True)
            for start in range(0, 400, 40)
        )
    )
    verdicts = [verdict for answer in answers for verdict in answer]
    assert verdicts.count(Verdict.ACCEPTED) == verdicts.count(Verdict.DUPLICATE) == 400
    await eventually(lambda: _equal(folds[0].total, 400))
    assert folds[1].total == 0, "who doesn't lead folds nothing"


async def test_the_leader_is_told_of_what_others_took(database_place: Place) -> None:
    """An event that a follower took is in the leader's fold soon, without an event of its own."""
    stores, folds = await _two(database_place)
    assert await stores[1].apply([activity("a")]) == [Verdict.ACCEPTED]
    await eventually(lambda: _equal(folds[0].applied, ["a"]))


async def test_when_the_leader_is_gone_another_takes_over(database_place: Place) -> None:
    """The next leader loads the saved state, applies the rest, and the total is exact."""
    stores, folds = await _two(database_place)
    waiting = [asyncio.create_task(_send(stores[1], f"f{n}")) for n in range(100)]
    for number in range(100):
        await stores[0].apply([activity(f"l{number}")])
        if number == 60:
            await database_place.crash(stores[0])
            break
    await asyncio.gather(*waiting)
    await eventually(lambda: _equal(stores[1].leads, True))
    await eventually(lambda: _equal(folds[1].total, 161))
    assert await stores[1].apply([activity("l60"), activity("l61")]) == [Verdict.DUPLICATE, Verdict.ACCEPTED]
    assert folds[1].total == 162


async def test_a_leader_that_closes_hands_over(database_place: Place) -> None:
    """A leader that ends saves its state first: the next one has nothing to apply again."""
    stores, folds = await _two(database_place)
    await stores[0].apply([activity(f"e{n}") for n in range(10)])
    await database_place.close(stores[0])
    await eventually(lambda: _equal(stores[1].leads, True))
    assert (folds[1].total, folds[1].applied) == (10, [])


async def test_a_cut_connection_is_made_anew(database_place: Place) -> None:
    """When the server ends all sessions, nothing is lost or counted twice, and the work goes on."""
    fold = CountingFold()
    store = await database_place.open(fold)
    accepted = set()
    for number in range(60):
        if number % 20 == 10:
            _end_sessions(database_place.target)
        identity = f"e{number}"
        await _send(store, identity)
        accepted.add(identity)
    await eventually(lambda: _equal((store.leads, store.problem, fold.total), (True, None, 60)))
    assert set(fold.applied) == accepted


async def test_a_session_is_over_when_the_server_says_so(
    database_place: Place, postgres: PostgresServer
) -> None:
    """Between a server's last words and the end of its connection, a call fails like after both, and once."""
    async with held_open(postgres.port) as proxy, AsyncExitStack() as stack:
        fold = CountingFold()
        place = Place(dataclasses.replace(postgres, port=proxy.port).url("events"), stack)
        store = await place.open(fold)
        await store.apply([activity("a")])
        _end_sessions(database_place.target)
        await proxy.until_hung_up(2)  # the writer's, and the leader's
        await asyncio.sleep(0.05)  # so that both have heard the words
        with pytest.raises(StoreUnavailableError, match="another operation"):
            await store.apply([activity("b")])
        await _send(store, "b")
        await eventually(lambda: _equal((store.leads, store.problem, fold.applied), (True, None, ["a", "b"])))


async def test_a_former_leader_goes_on_where_it_stands(database_place: Place) -> None:
    """A leader that lost the lead to another, and gets it again, ends with the exact counts."""
    stores, folds = await _two(database_place)
    await stores[0].apply([activity("a"), activity("b")])
    async with stores[0]._folding:  # type: ignore[attr-defined]
        # As if its connection had been lost, and could not be made for a while.
        stores[0]._step_down()  # type: ignore[attr-defined]
        await eventually(lambda: _equal(stores[1].leads, True))
        await stores[1].apply([activity("c"), activity("d")])
        await database_place.close(stores[1])
    await eventually(lambda: _equal(stores[0].leads, True))
    assert await stores[0].apply([activity("e")]) == [Verdict.ACCEPTED]
    assert folds[0].applied == ["a", "b", "c", "d", "e"]
    await database_place.close(stores[0])
    last = CountingFold()
    await database_place.open(last)
    assert last.total == 5


async def test_who_led_before_saves_nothing(database_place: Place) -> None:
    """A state that is saved in the name of an epoch that has passed is refused by the database."""
    store = await database_place.open()
    await store.apply([activity("a")])
    connection = await connect(database_place.target)
    try:
        assert not await postgres_journal.save_state(connection, {"action": b"999"}, 99, epoch=0)
        assert await postgres_journal.state(connection) == []
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
    finally:
        await connection.close()


async def test_a_server_that_is_not_there_is_refused() -> None:
    """The message names the database, and no password."""
    place = Place("postgresql://ansflow:hunter2@127.0.0.1:1/events", stack=None)  # type: ignore[arg-type]
    with pytest.raises(StoreRefusedError) as caught:
        await place.open()
    assert "the store postgresql://ansflow:***@127.0.0.1:1/events can't be opened" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE ansflow_progress SET version = 99", "has schema version 99, and this gateway knows 1"),
        (
            "DROP TABLE ansflow_journal",
            "is incomplete: of its tables there is only ansflow_progress, ansflow_state",
        ),
        ("DELETE FROM ansflow_progress", "is corrupt: ansflow_progress is empty"),
        ("TRUNCATE ansflow_journal", "the state was saved at position 1, and the journal ends at 0"),
    ],
)
async def test_a_database_that_must_not_be_used_is_refused(
    database_place: Place, damage: str, message: str
) -> None:
    """A newer version, missing tables, and a journal that ends too early are refused."""
    store = await database_place.open()
    await store.apply([activity()])
    await database_place.close(store)
    with psycopg.connect(database_place.target) as connection:
        connection.execute(damage.encode())
    with pytest.raises(StoreRefusedError, match=message):
        await database_place.open()


async def test_a_database_that_only_reads_is_a_problem_until_it_writes(database_place: Place) -> None:
    """While commits fail, nothing is acknowledged; the store recovers by itself."""
    fold = CountingFold()
    store = await database_place.open(fold, probe_s=0.05)
    _set_read_only(database_place.target, "on")
    await eventually(lambda: _equal(store.problem is None, True))
    with pytest.raises(StoreUnavailableError, match="can't be written"):
        await store.apply([activity("a")])
    assert store.problem is not None
    _set_read_only(database_place.target, "off")
    await eventually(lambda: _equal(store.problem, None))
    assert await store.apply([activity("a")]) == [Verdict.ACCEPTED]
    await eventually(lambda: _equal(fold.total, 1))


async def test_a_database_that_is_gone_is_a_problem_though_nobody_sends(
    database_place: Place, postgres: PostgresServer
) -> None:
    """Where nobody can connect, a store has a problem before an event is refused, until somebody can."""
    store = await database_place.open(probe_s=0.05)
    postgres.allow_connections("events", "false")
    await eventually(lambda: _equal(store.problem is None, False))
    postgres.allow_connections("events", "true")
    await eventually(lambda: _equal((store.problem, store.leads), (None, True)))


def _set_read_only(url: str, value: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE events SET default_transaction_read_only = {value}".encode())
    _end_sessions(url)


def _end_sessions(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def _send(store: LeadingEventStore, identity: str) -> None:
    """Send an event until it is acknowledged, as a producer does."""
    async with asyncio.timeout(30):
        while True:
            try:
                await store.apply([activity(identity)])
            except StoreUnavailableError:
                await asyncio.sleep(0.02)
            else:
                return


def _equal(left: object, right: object) -> None:
    assert left == right


async def test_gateways_that_start_together_make_the_tables_once(database_place: Place) -> None:
    """Of gateways that find an empty database at once, all open it, and one leads."""
    stores = await asyncio.gather(*(database_place.open() for _ in range(4)))
    assert [store.leads for store in stores].count(True) == 1
