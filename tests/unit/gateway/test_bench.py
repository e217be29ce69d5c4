"""What the figures of the gateway's benchmark rest on: everything is sent once, and counted as it is."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from bench.gateway.load_client import _http
from bench.gateway.payloads import BATCH_EVENTS, Kind, statsd_lines
from bench.gateway.processes import total


class Received:
    """A real server that notes the ids of the events it gets."""

    def __init__(self) -> None:
        self.ids: Counter[str] = Counter()
        self.status = 202

    async def post(self, request: web.Request) -> web.Response:
        """Take one event or a batch."""
        decoded = json.loads(await request.read())
        for event in decoded if isinstance(decoded, list) else [decoded]:
            self.ids[event["id"]] += 1
        return web.json_response({}, status=self.status)


@asynccontextmanager
async def receiving(received: Received) -> AsyncIterator[int]:
    """Run the server; give its port."""
    app = web.Application()
    app.add_routes([web.post("/v1/events", received.post)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("kind", [Kind.EVENT, Kind.BATCH])
@pytest.mark.parametrize("rate", [0, 500])
async def test_each_event_is_sent_once_under_its_own_number(kind: Kind, rate: int) -> None:
    """Connections that share a block, evenly or not, paced or not, send each number of it once."""
    received = Received()
    async with receiving(received) as port:
        command = {"kind": kind, "connections": 3, "requests": 20, "first": 1000, "rate": rate, "port": port}
        answer = await asyncio.wait_for(_http(command), 20)
    assert received.ids == {f"{1000 + number:012d}": 1 for number in range(20 * kind.events)}
    assert answer["answers"] == {"202": 20}
    assert len(answer["latencies_s"]) == 20
    assert kind.events == (BATCH_EVENTS if kind is Kind.BATCH else 1)


async def test_paced_requests_come_no_faster_than_they_are_due() -> None:
    """Twenty requests at a hundred a second take at least the time between the first and the last."""
    async with receiving(Received()) as port:
        command = {
            "kind": Kind.EVENT,
            "connections": 2,
            "requests": 20,
            "first": 0,
            "rate": 100,
            "port": port,
        }
        answer = await asyncio.wait_for(_http(command), 20)
    assert answer["elapsed_s"] >= 0.19


async def test_what_was_answered_is_told_by_status() -> None:
    """A server that refuses is seen to refuse: its answers cost less, and aren't to be compared."""
    received = Received()
    received.status = 429
    async with receiving(received) as port:
        command = {"kind": Kind.EVENT, "connections": 1, "requests": 3, "first": 0, "port": port}
        answer = await asyncio.wait_for(_http(command), 20)
    assert answer["answers"] == {"429": 3}


def test_samples_are_added_up_by_name_and_labels() -> None:
    """Names that only begin alike, other labels and comments don't count; bare samples do."""
    page = """\
# HELP jobs_total 100
jobs_total{a="1",b="x y"} 2.0
jobs_total{b="z",a="1"} 3
jobs_total{a="11"} 50 # {trace_id="0"} 1.0
jobs_total_more{a="1"} 70
idle 4
"""
    assert total(page, "jobs_total", a="1") == 5
    assert total(page, "jobs_total") == 55
    assert total(page, "idle") == 4
    assert total(page, "absent") == 0


def test_a_line_of_statsd_is_one_increment() -> None:
    """Each line has an end of its own, so that lines can be joined into one datagram."""
    lines = b"".join(statsd_lines(0, 12)).splitlines()
    assert len(lines) == 12
    assert all(line.startswith(b"ansflow_user_activity:1|c|#action:") for line in lines)
