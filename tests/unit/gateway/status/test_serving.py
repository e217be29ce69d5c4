"""The page over a real server: negotiation, headers, and the stream of changes."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from ansflow_gateway.domain.rejection import GOT_LIMIT, Reason, Rejection
from ansflow_gateway.web.status.assets import ASSETS
from ansflow_gateway.web.status.events import LiveOptions
from ansflow_gateway.web.status.handlers import prefers_html
from ansflow_gateway.web.status.rejections import RECENT, RecentRejections
from ansflow_gateway.web.status.source import Refusals, StatusView, Store
from support.gateway import eventually
from support.status import EMPTY_VIEW, StatusServer, ToldSource, full_view, serve_status

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def waiting(events: int) -> StatusView:
    """Make an empty view of a store with so many waiting events."""
    return replace(EMPTY_VIEW, store=Store("SQLite", events))


async def updates(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str]]:
    """Give a stream's events: kind and data."""
    kind = ""
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, value


async def next_section(stream: AsyncIterator[tuple[str, str]]) -> tuple[str, str]:
    """Return the next updated section: its id and HTML."""
    async with asyncio.timeout(10):
        kind, data = await anext(stream)
    assert kind == "section"
    update = json.loads(data)
    return update["id"], update["html"]


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML;q=0.5, application/json;q=0.4", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0", False),
        ("text/html;q=broken", False),
        (";;,,q=", False),
    ],
)
def test_who_names_html_gets_html(accept: str, html: bool) -> None:
    """Browsers name it; programs that take anything, or like JSON better, get JSON."""
    assert prefers_html(accept) == html


async def test_browsers_get_the_page_and_programs_the_list(server: StatusServer) -> None:
    """One address, two forms, told apart by Accept, which caches are told."""
    async with aiohttp.ClientSession() as session:
        async with session.get(server.url + "/", headers={"Accept": BROWSER}) as response:
            text = await response.text()
            assert (response.status, response.content_type) == (200, "text/html")
            assert "fastapi is down" in text
            page = response.headers
        async with session.get(server.url + "/") as response:
            assert (await response.json())["version"] == "1.2.3"
            assert page["Vary"] == response.headers["Vary"] == "Accept"


async def test_the_page_may_load_nothing_but_its_own_files(server: StatusServer) -> None:
    """The policy allows nothing inline and nothing foreign; the page isn't kept, framed or guessed at."""
    async with aiohttp.ClientSession() as session:
        async with session.get(server.url + "/", headers={"Accept": BROWSER}) as response:
            headers = response.headers
        policy = dict(
            directive.strip().split(" ", 1) for directive in headers["Content-Security-Policy"].split(";")
        )
        assert policy.pop("default-src") == "'none'"
        assert {policy.pop(name) for name in ("script-src", "style-src", "img-src", "connect-src")} == {
            "'self'"
        }
        assert policy == dict.fromkeys(("base-uri", "form-action", "frame-ancestors"), "'none'")
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        for path in ASSETS.served:
            async with session.get(server.url + path) as response:
                assert response.status == 200
                assert "immutable" in response.headers["Cache-Control"]
                assert response.headers["X-Content-Type-Options"] == "nosniff"
        for path in ("/static/status.css", "/static/..%2Fhandlers.py", "/static/"):
            async with session.get(server.url + path) as response:
                assert response.status == 404


async def test_a_stream_begins_with_everything_and_goes_on_with_what_changes() -> None:
    """First all sections, then only those whose content became another."""
    source = ToldSource(EMPTY_VIEW)
    async with (
        serve_status(source, LiveOptions(tick_s=0.02, sample_s=100)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + "/status/events") as response,
    ):
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        stream = updates(response)
        assert await anext(stream) == ("hello", ASSETS.build)
        first = dict([await next_section(stream) for _ in range(9)])
        assert "0 events" in first["store"]
        source.shown = waiting(5)
        changed = dict([await next_section(stream) for _ in range(2)])
        assert set(changed) == {"summary", "store"}
        assert "5 events" in changed["store"]
        source.shown = replace(waiting(5), refusals=Refusals((("missing", 1),)))
        assert {(await next_section(stream))[0] for _ in range(2)} == {"summary", "refusals"}


async def test_a_state_that_came_back_reaches_who_saw_another() -> None:
    """A client that joined in between, with a state that the others weren't told yet, isn't left behind."""
    source = ToldSource(waiting(1))
    async with (
        serve_status(source, LiveOptions(tick_s=0.02, sample_s=100)) as server,
        aiohttp.ClientSession() as session,
    ):
        for shown in range(2, 8):
            async with session.get(server.url + "/status/events") as response:
                stream = updates(response)
                await anext(stream)
                for _ in range(9):
                    await next_section(stream)
                source.shown = waiting(1 if shown % 2 else shown)
                html = ""
                while f"{source.shown.store.waiting} events" not in html:
                    _, html = await next_section(stream)


async def test_all_clients_share_one_rendering() -> None:
    """Twenty clients cost no more looks at the source than one; without clients nobody looks."""
    source = ToldSource(full_view())
    async with serve_status(source, LiveOptions(tick_s=0.1, sample_s=100)) as server:
        await asyncio.sleep(0.3)
        assert source.asked == 0
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            began = asyncio.get_running_loop().time()
            responses = [await session.get(server.url + "/status/events") for _ in range(20)]
            await asyncio.sleep(0.5)
            ticks = (asyncio.get_running_loop().time() - began) / 0.1
            assert server.live.clients == 20
            assert 2 <= source.asked <= ticks + 2
            for response in responses:
                response.close()


async def test_streams_are_limited_in_number() -> None:
    """One too many is told to come again later; a place that is left is free again."""
    options = LiveOptions(tick_s=0.02, sample_s=100, max_clients=2)
    async with (
        serve_status(ToldSource(), options) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + "/status/events"),
    ):
        second = await session.get(server.url + "/status/events")
        async with session.get(server.url + "/status/events") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "10"
            assert response.content_type == "application/problem+json"
        second.close()

        def left() -> None:
            assert server.live.clients == 1

        await eventually(left)
        async with session.get(server.url + "/status/events") as response:
            assert response.status == 200


async def test_a_client_that_does_not_keep_up_is_cut_off() -> None:
    """One that doesn't read loses its connection once its queue is full; the others notice nothing."""
    source = ToldSource()
    big = full_view()
    async with (
        serve_status(source, LiveOptions(tick_s=0.01, sample_s=100, queue=4)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + "/status/events") as healthy,
    ):
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.setblocking(False)
        host, _, port = server.url.removeprefix("http://").partition(":")
        await asyncio.get_running_loop().sock_connect(stuck, (host, int(port)))
        await asyncio.get_running_loop().sock_sendall(
            stuck, b"GET /status/events HTTP/1.1\r\nHost: x\r\n\r\n"
        )

        async def read_on() -> None:
            async for _ in healthy.content.iter_any():
                pass

        reading = asyncio.create_task(read_on())

        def joined() -> None:
            assert server.live.clients == 2

        await eventually(joined)
        number = 0

        def dropped() -> None:
            nonlocal number
            number += 1
            source.shown = replace(
                big,
                runs=tuple(
                    replace(run, project=f"{number}" * 200, trace_id=f"{run.trace_id}{each}")
                    for run in big.runs
                    for each in range(100)
                ),
            )
            assert server.live.dropped == 1

        await eventually(dropped, 30)
        assert server.live.clients == 1
        assert not reading.done()
        stuck.close()
        reading.cancel()


async def test_the_end_of_the_gateway_ends_the_streams() -> None:
    """Draining isn't held up: streams end at its start, and no new one begins."""
    async with (
        serve_status(ToldSource(), LiveOptions(tick_s=0.02, sample_s=100)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + "/status/events") as response,
    ):
        await response.content.readline()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await server.stop()
        assert loop.time() - began < 2
        rest = await response.content.read()
        assert rest.endswith(b"\n\n")
        assert await server.live.join(None) is None


async def test_a_silent_stream_has_heartbeats() -> None:
    """Where nothing changes a comment comes now and then, so that a dead connection is noticed."""
    async with (
        serve_status(ToldSource(), LiveOptions(tick_s=0.02, sample_s=100, heartbeat_s=0.05)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + "/status/events") as response,
    ):
        beats = 0
        async with asyncio.timeout(10):
            async for line in response.content:
                beats += line == b":\n"
                if beats == 3:
                    break


async def test_a_defect_of_a_part_is_logged_once_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    """While the source fails the page is a 500 and streams wait; when it is well again they go on."""

    class Failing(ToldSource):
        broken = False

        def view(self) -> StatusView:
            if self.broken:
                raise RuntimeError("a part is broken")
            return super().view()

    source = Failing()
    async with (
        serve_status(source, LiveOptions(tick_s=0.02, sample_s=100)) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + "/status/events") as response,
    ):
        stream = updates(response)
        await anext(stream)
        for _ in range(9):
            await next_section(stream)
        source.broken = True
        await asyncio.sleep(0.2)
        async with session.get(server.url + "/", headers={"Accept": BROWSER}) as page:
            assert page.status == 500
        source.broken, source.shown = False, waiting(3)
        assert "3" in (await next_section(stream))[1]
    logged = [record for record in caplog.records if "brought up to date" in record.message]
    assert len(logged) == 1


async def test_charts_fill_while_nobody_looks(server: StatusServer) -> None:
    """Samples are taken from the start, so that the first look has a history."""

    def sampled() -> None:
        assert len(server.live.history.of("cpu")) >= 3

    await eventually(sampled)
    assert server.source.asked == 0


def test_refusals_are_bounded_and_counted() -> None:
    """The latest are kept, newest first, their texts cut; all are counted by reason."""
    times = iter(range(1000))
    log = RecentRejections(lambda: float(next(times)))
    for number in range(RECENT + 10):
        log.note(Rejection(Reason.MISSING, f"data.f{number}", "a text", "nothing"), "/v1/events")
    log.note(Rejection(Reason.NOT_JSON, "body", "JSON", "x" * 1000), "/v1/events?" + "y" * 9999)
    refusals = log.refusals()
    assert refusals.counts == (("missing", RECENT + 10), ("not_json", 1))
    assert len(refusals.recent) == RECENT
    assert (refusals.recent[0].reason, refusals.recent[1].field) == ("not_json", f"data.f{RECENT + 9}")
    assert len(refusals.recent[0].got) == len(refusals.recent[0].path) == GOT_LIMIT
