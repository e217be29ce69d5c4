"""The gateway is killed again and again while producers send."""

import asyncio
from random import Random

from support.event_facts import RUNNERS, figures
from support.event_load import DISORDER, Load, batched, make_load
from support.gateway_process import GatewayProcess, MakeGateway, business, counted, exported
from support.polling import poll_until_async
from support.retrying_sender import RetryingSender

TOLD = 100_000
"""Events sent, a fifth of them again; that many and the kills are issue 5's."""

KILLS = 20

SINGLES = 4_000
"""Events sent in a request of their own, beside a thousand webhooks; the rest is in batches."""

CONNECTIONS = 8

STRETCH = TOLD // (KILLS + 2)
"""Events in which there is one kill; when the last comes, enough is left to be sent."""

PATIENT = ("--start-deadline", "86400")
"""Nothing is given up meanwhile, on however slow a machine."""


async def test_twenty_kills_lose_nothing_and_count_nothing_twice(make_gateway: MakeGateway) -> None:
    """Killed at random moments, the gateway has each event it answered 2xx, and all counts are exact.

    The senders tell facts in a random order, some again under the same id, some under another; send again
    what was not answered; and hang up now and then before they are. Of the processes that follow a kill some
    are killed while they start. What the journal has is what the meters say, after a start and in the end.
    """
    dice = Random(5)  # noqa: S311 - a seed makes the run the same each time
    load = make_load(dice, TOLD, SINGLES)
    assert load.told == TOLD
    gateway = make_gateway(*PATIENT)
    sender = RetryingSender(gateway.address, dice, impatience=0.02)
    await gateway.start()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(sender.send(load.requests, CONNECTIONS))
        for kill in range(KILLS):
            await sender.reached(dice.randrange(STRETCH * kill, STRETCH * (kill + 1)))
            await asyncio.sleep(dice.uniform(0, 0.05))
            assert not sending.done()
            await gateway.kill()
            acknowledged = {telling.fact for telling in sender.acknowledged}
            gateway.launch()
            if kill % 5 == 4:
                # One that is catching up is killed, too.
                await asyncio.sleep(dice.uniform(0, 1))
                await gateway.kill()
                gateway.launch()
            url = await gateway.listening()
            if kill % 4 == 3:
                there = load.told_by(await exported(gateway.store))
                assert acknowledged <= set(there), "an acknowledged event is lost"
                assert await business(url) == figures(there)
            gateway.url = url
    assert sender.acknowledged == set(load.tellings)
    assert sender.retries.total() > KILLS, "hardly anything had to be sent again"
    await _holds_all(gateway, load)
    assert await gateway.stop() == 0
    await gateway.start()
    await _holds_all(gateway, load)
    await _knows_all(gateway, load, dice)
    assert await gateway.stop() == 0


async def test_kills_amid_compaction_change_no_counter(make_gateway: MakeGateway) -> None:
    """With a short memory most of the journal is gone in the end, and all counts are exact nonetheless.

    What is repeated is repeated while it is remembered.
    """
    dice = Random(8)  # noqa: S311 - a seed makes the run the same each time
    told, kills, memory = 50_000, 4, 12_000
    load = make_load(dice, told, singles=500, batch=200, late=DISORDER)
    gateway = make_gateway(*PATIENT, "--dedup-window", str(memory))
    sender = RetryingSender(gateway.address, dice)
    await gateway.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(sender.send(load.requests, CONNECTIONS))
        for kill in range(kills):
            # The state is saved each 20,000 events: what it has may go, and does so block by block.
            await sender.reached(21_000 + kill * 6_000 + dice.randrange(6_000))
            await gateway.kill()
            told_before = figures(telling.fact for telling in sender.acknowledged)
            gateway.launch()
            url = await gateway.listening()
            page = await business(url)
            for key, value in told_before.items():
                if key[0].endswith(("_count", "_total")):
                    assert page.get(key, 0) >= value, key
            gateway.url = url
    assert gateway.url is not None
    assert await business(gateway.url) == figures(load.facts)
    assert await gateway.stop() == 0
    await gateway.start()
    assert await business(gateway.url) == figures(load.facts)
    left = load.told_by(await exported(gateway.store))
    assert len(left) < len(load.facts) // 2, "hardly anything was compacted"
    assert await gateway.stop() == 0


async def _holds_all(gateway: GatewayProcess, load: Load) -> None:
    """See that the page has the counts of all facts, and the journal each fact once."""
    assert gateway.url is not None
    url = gateway.url
    page = await business(url)
    assert page == figures(load.facts)
    assert not any(name == "cicd_pipeline_run_active" for name, _ in page), "a run is still active"
    there = load.told_by(await exported(gateway.store))
    assert len(there) == len(set(there)), "a fact is in the journal twice"
    assert set(there) == set(load.facts)

    async def workers_are_idle() -> None:
        idle = await counted(url, "cicd_worker_count", cicd_worker_state="available")
        assert (idle, await counted(url, "cicd_worker_count")) == (RUNNERS, RUNNERS)

    await poll_until_async(workers_are_idle)  # taken once a second


async def _knows_all(gateway: GatewayProcess, load: Load, dice: Random) -> None:
    """See that all events of batches are known when they are sent again, and change nothing."""
    again = RetryingSender(gateway.address, dice)
    assert gateway.url is not None
    tellings = [telling for telling in load.tellings if not telling.fact.github]
    requests = [batched(tellings[start : start + 1_000]) for start in range(0, len(tellings), 1_000)]
    await again.send(requests, connections=2)
    assert again.verdicts == {"duplicate": len(tellings)}
    assert await business(gateway.url) == figures(load.facts)
