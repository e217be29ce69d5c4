"""The gateway's disk is full, or fails; then it doesn't."""

import asyncio
import resource
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import aiohttp
import pytest
from support.event_facts import figures
from support.event_load import Load, Request, make_load
from support.failing_disk import FailingDisk
from support.gateway_process import GatewayProcess, MakeGateway, business, counted, exported, status
from support.polling import poll_until_async
from support.retrying_sender import RetryingSender

FAULTS = ("sync", "full", "torn")
"""EIO of each fsync; ENOSPC of each write; and that after a part of it was written."""

EVERYWHERE = "/gateway/"
"""Where store, spool and log are: the folder of the gateway that isn't given a name."""

SMALL_BYTES = 8_000
"""A limit on the size of files that no page of the store stays below."""


@dataclass
class Sent:
    """A load that is sent to one gateway, bit by bit."""

    gateway: GatewayProcess
    load: Load
    sender: RetryingSender

    async def until_ready(self, expected: int = 200) -> None:
        """Wait until readiness is told with this status."""

        async def ready() -> None:
            assert await status(self.url, "/health/ready") == expected

        await poll_until_async(ready, interval_s=0.02)

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        assert self.gateway.url is not None
        return self.gateway.url

    def requests(self, path: str, first: int, end: int) -> Sequence[Request]:
        """Give some of the load's requests to a path."""
        return [request for request in self.load.requests if request.path == path][first:end]

    async def answers(self, requests: Sequence[Request]) -> Counter[int | None]:
        """Send each request once, all at the same time; count the statuses."""
        async with aiohttp.ClientSession() as session:
            return Counter(
                await asyncio.gather(*(self.sender.try_once(session, request) for request in requests))
            )

    async def is_exact(self) -> None:
        """See that all was acknowledged, is in the journal once, and is what the meters say.

        And no connection was ever cut: there are refusals alone.
        """
        assert set(self.sender.retries) <= {"503"}
        assert {telling.fact for telling in self.sender.acknowledged} == set(self.load.facts)

        async def nothing_waits() -> None:
            assert await counted(self.url, "ansflow_gateway_spool_waiting") == 0

        await poll_until_async(nothing_waits)
        assert await business(self.url) == figures(self.load.facts)
        there = self.load.told_by(await exported(self.gateway.store))
        assert len(there) == len(set(there)), "a fact is in the journal twice"
        assert set(there) == set(self.load.facts)


async def _start(make_gateway: MakeGateway, told: int, **variables: str) -> Sent:
    dice = Random(told)  # noqa: S311 - a seed makes the run the same each time
    load = make_load(dice, told, singles=told // 10, batch=20)
    gateway = make_gateway("--start-deadline", "86400", environ=variables)
    await gateway.start()
    sent = Sent(gateway, load, RetryingSender(gateway.address, dice))
    await sent.until_ready()
    return sent


@pytest.mark.parametrize("fault", [*FAULTS, "limit"])
async def test_what_the_disk_refuses_is_not_acknowledged(
    make_gateway: MakeGateway, disk: FailingDisk, fault: str
) -> None:
    """While the store's disk fails, nothing sent to it is answered 2xx, and readiness is 503.

    Webhooks, whose senders don't send again, are spooled. Nothing is counted meanwhile. When the disk works
    again the gateway does, too, without a restart; what is sent again counts once, and so does the spool.
    The `limit` is the kernel's own on the size of files.
    """
    sent = await _start(make_gateway, 2_500, **disk.environ)
    pid, unlimited = sent.gateway.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    await sent.sender.send(sent.requests("/v1/events", 0, 200))
    before = await business(sent.url)
    assert before == figures(telling.fact for telling in sent.sender.acknowledged)
    accepted = await counted(sent.url, "ansflow_gateway_events_accepted_total")
    if fault == "limit":
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL_BYTES, resource.RLIM_INFINITY))
    else:
        disk.fail(fault)
    refused = sent.requests("/v1/events", 200, 260)
    assert any(len(request.tellings) == 1 for request in refused)
    assert any(len(request.tellings) > 1 for request in refused)
    assert await sent.answers(refused) == {503: len(refused)}
    await sent.until_ready(503)
    assert await status(sent.url, "/health/live") == 200
    hooks = sent.requests("/webhooks/github", 0, 12)
    assert await sent.answers([*hooks, *hooks]) == {202: 2 * len(hooks)}
    assert await sent.answers(refused) == {503: len(refused)}
    assert sent.sender.verdicts["spooled"] == 2 * len(hooks)
    assert await counted(sent.url, "ansflow_gateway_spool_waiting") == 2 * len(hooks)
    assert await business(sent.url) == before
    assert await counted(sent.url, "ansflow_gateway_events_accepted_total") == accepted
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    disk.mend()
    await sent.until_ready()
    await sent.sender.send(sent.load.requests)
    assert await counted(sent.url, "ansflow_gateway_events_shed_total") == sent.sender.shed
    assert await counted(sent.url, "ansflow_gateway_events_spooled_total") == 2 * len(hooks)
    await sent.is_exact()
    assert await sent.gateway.stop() == 0
    await sent.gateway.start()
    await sent.is_exact()


@pytest.mark.parametrize("fault", ["sync", "full"])
async def test_where_the_spool_fails_too_webhooks_are_refused(
    make_gateway: MakeGateway, disk: FailingDisk, fault: str
) -> None:
    """With the disk of store, spool and log failing, a webhook is 503 like everything; then all is well."""
    sent = await _start(make_gateway, 2_000, **disk.environ)
    hooks = sent.requests("/webhooks/github", 0, 12)
    await sent.sender.send([*hooks[:2], *sent.requests("/v1/events", 0, 50)])
    before = await business(sent.url)
    disk.fail(fault, EVERYWHERE)
    assert await sent.answers(hooks[2:]) == {503: len(hooks) - 2}
    assert await sent.answers(sent.requests("/v1/events", 50, 60)) == {503: 10}
    await sent.until_ready(503)
    assert await business(sent.url) == before
    assert await counted(sent.url, "ansflow_gateway_spool_waiting") == 0
    disk.mend()
    await sent.until_ready()
    await sent.sender.send(sent.load.requests)
    assert sent.sender.verdicts["spooled"] == 0
    assert await counted(sent.url, "ansflow_gateway_events_shed_total") == sent.sender.shed
    await sent.is_exact()


async def test_faults_come_and_go_under_load(make_gateway: MakeGateway, disk: FailingDisk) -> None:
    """A disk that fails for moments, in each way, during the work: all counts are exact, by one process."""
    sent = await _start(make_gateway, 10_000, **disk.environ)
    dice = Random(7)  # noqa: S311 - a seed makes the run the same each time
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(sent.sender.send(sent.load.requests))
        for number in range(12):
            await sent.sender.reached(sent.sender.answered + dice.randrange(200, 500))
            assert not sending.done()
            refused = sent.sender.shed
            disk.fail(FAULTS[number % 3], dice.choice((".db", EVERYWHERE)))
            await asyncio.sleep(dice.uniform(0, 0.2))

            async def some_were_refused(before: int = refused) -> None:
                assert sent.sender.shed > before

            await poll_until_async(some_were_refused, interval_s=0.005)
            disk.mend()
    shed = await counted(sent.url, "ansflow_gateway_events_shed_total", reason="unavailable")
    assert shed == sent.sender.shed
    await sent.is_exact()
    assert await sent.gateway.stop() == 0


@pytest.mark.parametrize("fault", ["sync", "torn"])
async def test_a_kill_amid_faults_loses_nothing(
    make_gateway: MakeGateway, disk: FailingDisk, fault: str
) -> None:
    """A gateway that is killed while its disk fails has what it acknowledged, the spool's events too."""
    sent = await _start(make_gateway, 2_000, **disk.environ)
    middle = len(sent.load.requests) // 2
    await sent.sender.send(sent.load.requests[:middle])
    disk.fail(fault)
    later = sent.load.requests[middle:]
    refused = [request for request in later if request.path == "/v1/events"][:40]
    hooks = [request for request in later if request.path != "/v1/events"]
    assert await sent.answers(refused) == {503: len(refused)}
    assert await sent.answers(hooks) == {202: len(hooks)}
    assert sent.sender.verdicts["spooled"] == len(hooks) > 0
    acknowledged = figures(telling.fact for telling in sent.sender.acknowledged)
    await sent.gateway.kill()
    disk.mend()
    await sent.gateway.start()

    async def all_are_counted() -> None:
        page = await business(sent.url)
        for key, value in acknowledged.items():
            if key[0].endswith(("_count", "_total")):
                assert page.get(key, 0) >= value, key

    await poll_until_async(all_are_counted)
    await sent.sender.send(sent.load.requests)
    await sent.is_exact()


@pytest.mark.parametrize("fault", ["sync", "full"])
async def test_it_ends_in_order_while_the_disk_fails(
    make_gateway: MakeGateway, disk: FailingDisk, fault: str
) -> None:
    """After SIGTERM amid faults the status is 0, without a traceback, and nothing acknowledged is lost.

    A commit whose sync failed may be there: its events count, and are known when they are sent again.
    """
    sent = await _start(make_gateway, 2_000, **disk.environ)
    await sent.sender.send(sent.requests("/v1/events", 0, 100))
    disk.fail(fault)
    refused = sent.requests("/v1/events", 100, 110)
    assert await sent.answers(refused) == {503: len(refused)}
    assert await sent.gateway.stop() == 0
    assert "Traceback" not in sent.gateway.said()
    disk.mend()
    await sent.gateway.start()
    there = sent.load.told_by(await exported(sent.gateway.store))
    assert {telling.fact for telling in sent.sender.acknowledged} <= set(there)
    assert await business(sent.url) == figures(there)
    await sent.sender.send(sent.load.requests)
    await sent.is_exact()


async def test_a_gateway_starts_on_a_failing_disk(make_gateway: MakeGateway, disk: FailingDisk) -> None:
    """After a kill it starts although no fsync works: it tells what it has, and takes nothing until then."""
    sent = await _start(make_gateway, 2_000, **disk.environ)
    await sent.sender.send(sent.requests("/v1/events", 0, 100))
    await sent.gateway.kill()
    disk.fail("sync")
    await sent.gateway.start()
    assert await business(sent.url) == figures(telling.fact for telling in sent.sender.acknowledged)
    refused = sent.requests("/v1/events", 100, 120)
    assert await sent.answers(refused) == {503: len(refused)}
    await sent.until_ready(503)
    disk.mend()
    await sent.until_ready()
    await sent.sender.send(sent.load.requests)
    await sent.is_exact()


async def test_a_gateway_does_not_start_on_a_full_disk(make_gateway: MakeGateway, disk: FailingDisk) -> None:
    """SQLite needs room to open a store: without it the gateway ends with words about the disk."""
    sent = await _start(make_gateway, 2_000, **disk.environ)
    await sent.sender.send(sent.requests("/v1/events", 0, 100))
    await sent.gateway.kill()
    disk.fail("full")
    sent.gateway.launch()
    assert await sent.gateway.ended() == 1
    (said,) = sent.gateway.said().splitlines()
    assert "can't be opened" in said
    assert "has room" in said
    disk.mend()
    await sent.gateway.start()
    await sent.sender.send(sent.load.requests)
    await sent.is_exact()
