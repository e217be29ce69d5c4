"""The receiver of events by itself: its routes on a real server, and a real store behind them."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from ansflow_gateway.domain.events import Event, EventType
from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.domain.store import Entry, EventStore, StateRow, Verdict
from ansflow_gateway.receivers import events
from ansflow_gateway.server import listen
from ansflow_gateway.storage.sqlite import SqliteEventStore
from ansflow_gateway.web import openapi, schemas
from ansflow_gateway.web.problem import problems

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

_IDS = count(1)


def event(event_type: str, data: Mapping[str, object], **attributes: object) -> dict[str, object]:
    """Make a CloudEvent with an id of its own."""
    envelope = {"specversion": "1.0", "id": f"e-{next(_IDS)}", "source": "/tests", "type": event_type}
    return {**envelope, "data": dict(data), **attributes}


def run_finished(**changes: object) -> dict[str, object]:
    """Make a valid event of the end of a run of its own; `changes` are members of its data."""
    data = {
        "run_id": f"r-{next(_IDS)}",
        "pipeline": "build",
        "project": "shop",
        "result": "success",
        "duration_s": 12.5,
    }
    return event("dev.ansflow.pipeline.run.finished.v1", data | changes)


@dataclass
class Applied:
    """A fold that keeps what it is given."""

    events: list[Event] = field(default_factory=list)

    def load(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Begin with nothing."""

    def apply(self, entries: Sequence[Entry]) -> None:
        """Keep the events."""
        self.events.extend(entry.event for entry in entries)

    def changed(self) -> Sequence[StateRow]:
        """Have no state."""
        return ()

    @property
    def unsaved(self) -> bool:
        """Have no state."""
        return False


@dataclass
class Counted:
    """A tally that can be looked at: each heading with what it is counted by."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def taken(self, event_type: EventType, verdict: Verdict, count: int = 1) -> None:
        """Count events that were taken."""
        self.counts[verdict.value, event_type.value] += count

    def rejected(self, rejection: Rejection, path: str) -> None:
        """Count a refusal."""
        self.counts["rejected", rejection.reason.value] += 1

    def unsupported(self, system: str, kind: str) -> None:
        """Count an event that isn't used."""
        self.counts["unsupported", system, kind] += 1

    def shed(self, reason: Reason, count: int) -> None:
        """Count events that weren't taken."""
        self.counts["shed", reason.value] += count

    def spooled(self, events: int) -> None:
        """Count events that were put aside."""
        self.counts["spooled",] += events


@dataclass
class Receiver:
    """A running receiver, what it has stored, and what it has counted."""

    app: web.Application
    url: str
    session: aiohttp.ClientSession
    applied: Applied
    counted: Counted

    async def post(
        self, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Post a body; give the status, the decoded answer, and its headers."""
        sent = {"Content-Type": content_type, **(headers or {})}
        async with self.session.post(self.url + events.PATH, data=body, headers=sent) as response:
            return response.status, await response.json(content_type=None), response.headers


@asynccontextmanager
async def run_receiver(path: Path, store: EventStore | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of the loopback interface.

    Args:
        path: A folder for the store's file.
        store: Another store than SQLite's, already open.

    Yields:
        The receiver.
    """
    applied, counted = Applied(), Counted()
    own = SqliteEventStore(path / "events.db", applied)
    await own.open()
    app = web.Application(middlewares=[problems])
    app[events.RECEIVER] = events.EventReceiver(store or own, counted)
    app.add_routes([web.post(events.PATH, events.post_events), *schemas.routes(), *openapi.routes()])
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=1)
    await runner.setup()
    listener = listen("127.0.0.1", 0)
    await web.SockSite(runner, listener).start()
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield Receiver(app, url, session, applied, counted)
    finally:
        await runner.cleanup()
        await own.close()
