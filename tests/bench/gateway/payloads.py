"""What is sent: ready bytes, made before the clock runs, so that the client costs little."""

import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import count

__all__ = ["ACTIONS", "BATCH_EVENTS", "METER", "USER_TYPES", "Kind", "requests", "statsd_lines"]

BATCH_EVENTS = 100
"""Events of a batch."""

BATCH_RUNS = 33
"""Runs of a batch of runs, which has as many events of each phase."""

PHASES = ("queued", "started", "finished")
ACTIONS = ("login", "logout", "build", "deploy", "review")
USER_TYPES = ("admin", "developer")
METER = "ansflow_user_activity_total"
"""The counter that all of it ends up in, as Prometheus has it."""


class Kind(StrEnum):
    """What one HTTP request carries."""

    EVENT = "event"
    """A structured CloudEvent: one user's activity."""

    BATCH = "batch"
    """A batch of `BATCH_EVENTS` of them."""

    SERIES = "series"
    """A batch of them, each of a label set of its own: what fills the gateway with series."""

    RUNS = "runs"
    """A batch of pipeline runs, each queued, started and finished: what costs the most to fold."""

    PUSH = "push"
    """One counter for Pushgateway, with the same labels."""

    @property
    def events(self) -> int:
        """Events in one request."""
        match self:
            case Kind.BATCH | Kind.SERIES:
                return BATCH_EVENTS
            case Kind.RUNS:
                return BATCH_RUNS * len(PHASES)
            case _:
                return 1


def requests(kind: Kind, first: int, number: int, connection: int = 0) -> Iterator[bytes]:
    """Make requests with ids of their own.

    Args:
        kind: What each carries.
        first: Number of the first event; a store takes each number once.
        number: Requests.
        connection: Which connection sends them: Pushgateway gets a group of each.

    Returns:
        HTTP requests, head and body.
    """
    numbers = count(first)
    for _ in range(number):
        match kind:
            case Kind.PUSH:
                yield _push(next(numbers), connection)
            case Kind.EVENT:
                yield _post("application/cloudevents+json", _json(_event(next(numbers))))
            case Kind.BATCH | Kind.SERIES:
                make = _event if kind is Kind.BATCH else _event_of_its_own
                batch = [make(next(numbers)) for _ in range(BATCH_EVENTS)]
                yield _post("application/cloudevents-batch+json", _json(batch))
            case Kind.RUNS:
                runs = [_run(next(numbers)) for _ in range(BATCH_RUNS)]
                yield _post(
                    "application/cloudevents-batch+json", _json([each for run in runs for each in run])
                )


def statsd_lines(first: int, number: int) -> Iterator[bytes]:
    """Make the same increments as lines of the StatsD protocol, with DogStatsD's tags.

    Args:
        first: Number of the first.
        number: Lines.

    Returns:
        Lines, each with its end.
    """
    for each in range(first, first + number):
        tags = f"action:{ACTIONS[each % len(ACTIONS)]},user_type:{USER_TYPES[each % len(USER_TYPES)]}"
        yield f"{METER.removesuffix('_total')}:1|c|#{tags}\n".encode()


def _event(number: int, action: str = "") -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"{number:012d}",
        "source": "/bench/web",
        "type": "dev.ansflow.user.activity.v1",
        "time": f"2026-01-31T12:00:{number // 1_000_000 % 60:02d}.{number % 1_000_000:06d}Z",  # each its own
        "datacontenttype": "application/json",
        "data": {
            "action": action or ACTIONS[number % len(ACTIONS)],
            "user_type": USER_TYPES[number % len(USER_TYPES)],
        },
    }


def _event_of_its_own(number: int) -> dict[str, object]:
    return _event(number, f"action-{number:07d}")


def _run(number: int) -> list[dict[str, object]]:
    data: dict[str, object] = {
        "run_id": f"{number:012d}",
        "pipeline": f"pipeline-{number % 20}",
        "project": f"project-{number % 10}",
    }
    ending = {"result": "failure" if number % 7 == 0 else "success", "duration_s": 12.5}
    return [
        _event(number)
        | {
            "id": f"{number:012d}-{phase}",
            "type": f"dev.ansflow.pipeline.run.{phase}.v1",
            "data": data | (ending if phase == "finished" else {}),
        }
        for phase in PHASES
    ]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _post(content_type: str, body: bytes, path: str = "/v1/events") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _push(number: int, connection: int) -> bytes:
    labels = f'action="{ACTIONS[number % len(ACTIONS)]}",user_type="{USER_TYPES[number % len(USER_TYPES)]}"'
    body = f"# TYPE {METER} counter\n{METER}{{{labels}}} {number}\n".encode()
    return _post("text/plain; version=0.0.4", body, f"/metrics/job/bench/instance/{connection}")
