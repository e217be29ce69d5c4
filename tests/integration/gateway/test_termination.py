"""The gateway is told to end while producers send."""

import asyncio
from random import Random

from support.event_facts import figures
from support.event_load import make_load
from support.gateway_process import MakeGateway, business, exported
from support.retrying_sender import RetryingSender

ENDS = 5

TOLD = 15_000

STRETCH = TOLD // (ENDS + 1)
"""Events in which there is one end; when the last comes, enough is left to be sent."""


async def test_what_was_answered_before_the_end_is_there_after_it(make_gateway: MakeGateway) -> None:
    """After SIGTERM under load the status is 0, and each event that was answered 2xx is in the journal.

    Requests that come too late are cut or refused, and never answered with an error of the gateway's own. The
    next process goes on with exact counts.
    """
    dice = Random(11)  # noqa: S311 - a seed makes the run the same each time
    load = make_load(dice, TOLD, singles=TOLD // 5, batch=50)
    gateway = make_gateway("--start-deadline", "86400")
    sender = RetryingSender(gateway.address, dice)
    await gateway.start()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(sender.send(load.requests))
        for end in range(ENDS):
            await sender.reached(dice.randrange(STRETCH * end, STRETCH * (end + 1)))
            await asyncio.sleep(dice.uniform(0, 0.02))
            assert not sending.done()
            assert await gateway.stop() == 0, gateway.said()
            said = gateway.said()
            assert "msg=stopped" in said
            assert "level=error" not in said
            assert "Traceback" not in said
            acknowledged = {telling.fact for telling in sender.acknowledged}
            there = load.told_by(await exported(gateway.store))
            assert acknowledged <= set(there), "an acknowledged event is lost"
            gateway.launch()
            url = await gateway.listening()
            assert await business(url) == figures(there)
            gateway.url = url
    assert sender.acknowledged == set(load.tellings)
    assert sender.retries.total() >= ENDS
    assert gateway.url is not None
    assert await business(gateway.url) == figures(load.facts)
    there = load.told_by(await exported(gateway.store))
    assert len(there) == len(set(there)) == len(load.facts)
    assert await gateway.stop() == 0
