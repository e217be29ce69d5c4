"""Two gateways on one PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random

import aiohttp
import pytest
from support.event_facts import Figures, figures
from support.event_load import Load, make_load
from support.gateway_process import GatewayProcess, MakeGateway, business, counted, exported, status
from support.polling import poll_until_async
from support.postgres import PostgresServer, running_postgres
from support.retrying_sender import RetryingSender

TOLD = 10_000

CHANGES = 4
"""How often another gateway comes to lead."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def gateways(postgres: PostgresServer, make_gateway: MakeGateway) -> list[GatewayProcess]:
    """Give two gateways on one empty database, not yet started."""
    postgres.create_database("events")
    return [
        make_gateway("--start-deadline", "86400", name=name, store=postgres.url("events"))
        for name in ("one", "two")
    ]


async def test_duplicates_sent_to_both_count_once(gateways: list[GatewayProcess]) -> None:
    """All that is sent to both at once, in two orders, is accepted by one and counted once."""
    dice = Random(3)  # noqa: S311 - a seed makes the run the same each time
    load = make_load(dice, TOLD, singles=TOLD // 10, batch=50)
    for gateway in gateways:
        await gateway.start()
    senders = [RetryingSender(gateway.address, dice) for gateway in gateways]
    orders = [load.requests, dice.sample(load.requests, len(load.requests))]
    await asyncio.gather(
        *(sender.send(order, connections=4) for sender, order in zip(senders, orders, strict=True))
    )
    verdicts = senders[0].verdicts + senders[1].verdicts
    assert verdicts == {"accepted": len(load.facts), "duplicate": 2 * TOLD - len(load.facts)}
    assert min(sender.verdicts["accepted"] for sender in senders) > 0
    await poll_until_async(partial(_are_exact, gateways, load))
    for name, verdict in (("accepted", "accepted"), ("duplicate", "duplicate")):
        told = [await counted(_url(each), f"ansflow_gateway_events_{name}_total") for each in gateways]
        assert told == [sender.verdicts[verdict] for sender in senders]
    assert sorted([bool(await business(_url(each))) for each in gateways]) == [False, True], (
        "one of the two tells"
    )
    for gateway in gateways:
        assert await gateway.stop() == 0


async def test_when_the_leader_is_killed_the_other_takes_over(gateways: list[GatewayProcess]) -> None:
    """Whoever leads is killed under load, or told to end: the other goes on with counts that are exact.

    Each sender turns to the other gateway while its own isn't there.
    """
    dice = Random(4)  # noqa: S311 - a seed makes the run the same each time
    load = make_load(dice, TOLD, singles=TOLD // 10, batch=25)
    leader, other = gateways
    await leader.start()
    await _leads(leader)
    await other.start()
    senders = [
        RetryingSender(_either(*gateways), dice, impatience=0.02),
        RetryingSender(_either(*gateways[::-1]), dice, impatience=0.02),
    ]
    orders = [load.requests, dice.sample(load.requests, len(load.requests))]
    part = len(load.requests) // CHANGES + 1
    for change in range(CHANGES):
        async with asyncio.TaskGroup() as group:
            for sender, order in zip(senders, orders, strict=True):
                group.create_task(sender.send(order[change * part : (change + 1) * part], connections=4))
            await senders[0].reached(senders[0].answered + dice.randrange(TOLD // CHANGES // 2))
            before = await business(_url(leader))
            if change % 2:
                assert await leader.stop() == 0, leader.said()
            else:
                await leader.kill()
            await _leads(other)
        await poll_until_async(partial(_goes_on, _url(other), before))
        await leader.start()
        leader, other = other, leader
    for sender in senders:
        assert sender.acknowledged == set(load.tellings)
        assert sender.retries.total() > 0
    await poll_until_async(partial(_are_exact, gateways, load))
    there = load.told_by(await exported(leader.store))
    assert len(there) == len(set(there)) == len(load.facts)
    for gateway in gateways:
        assert await gateway.stop() == 0
    await other.start()
    await _leads(other)
    assert await business(_url(other)) == figures(load.facts)


def _either(own: GatewayProcess, spare: GatewayProcess) -> Callable[[], str | None]:
    """Make what gives a sender the gateway to turn to."""
    return lambda: own.address() or spare.address()


async def test_a_database_that_refuses_for_a_while(
    gateways: list[GatewayProcess], postgres: PostgresServer
) -> None:
    """While the database takes no commit, both answer 503 and aren't ready; then they recover by themselves.

    Sessions that the server cuts under load, and a server that crashes, cost nothing but retries: whatever it
    is set to, it has what was acknowledged, and all counts are exact.
    """
    dice = Random(6)  # noqa: S311 - a seed makes the run the same each time
    load = make_load(dice, TOLD, singles=TOLD // 10, batch=25)
    for gateway in gateways:
        await gateway.start()
        await _is_ready(gateway, 200)
    senders = [RetryingSender(gateway.address, dice) for gateway in gateways]
    middle = len(load.requests) // 2
    async with asyncio.TaskGroup() as group:
        for sender in senders:
            group.create_task(sender.send(load.requests[:middle], connections=4))
        for cut in range(6):
            await senders[cut % 2].reached(TOLD // 2 * cut // 8)
            if cut % 3 == 2:
                postgres.crash()
            else:
                postgres.end_sessions("events")
    postgres.make_read_only("events", "on")
    refused = [request for request in load.requests[middle:] if request.path == "/v1/events"][:20]
    for gateway, sender in zip(gateways, senders, strict=True):
        async with aiohttp.ClientSession() as session:
            statuses = [await sender.try_once(session, request) for request in refused]
        assert statuses == [503] * len(refused)
        await _is_ready(gateway, 503)
    postgres.make_read_only("events", "off")
    for gateway in gateways:
        await _is_ready(gateway, 200)
    await asyncio.gather(*(sender.send(load.requests, connections=4) for sender in senders))
    for sender in senders:
        assert set(sender.retries) <= {"503"}
        assert sender.acknowledged == set(load.tellings)
    await poll_until_async(partial(_are_exact, gateways, load))
    there = load.told_by(await exported(gateways[0].store))
    assert len(there) == len(set(there)) == len(load.facts)


async def _are_exact(gateways: Sequence[GatewayProcess], load: Load) -> None:
    """See that the sum of what a Prometheus reads from both is exact: soon, as the leader reads along."""
    total: Counter[object] = Counter()
    for gateway in gateways:
        total.update(await business(_url(gateway)))
    assert total == figures(load.facts)


async def _is_ready(gateway: GatewayProcess, expected: int) -> None:
    """Wait until readiness is told with this status."""

    async def says_so() -> None:
        assert await status(_url(gateway), "/health/ready") == expected

    await poll_until_async(says_so, interval_s=0.02)


async def _leads(gateway: GatewayProcess) -> None:
    """Wait until a gateway does the folding."""

    async def says_so() -> None:
        assert "this gateway does the folding" in gateway.said()

    await poll_until_async(says_so, interval_s=0.02)


async def _goes_on(url: str, before: Figures) -> None:
    """See that no counter is less than it was."""
    page = await business(url)
    assert page
    for key, value in before.items():
        if key[0].endswith(("_count", "_total", "_sum")):
            assert page.get(key, 0) >= value, key


def _url(gateway: GatewayProcess) -> str:
    assert gateway.url is not None
    return gateway.url
