"""Runs as traces: what a span says, and the ids by which a run's spans find each other.

Ids are made of the run's identity and nothing else, so that whoever makes a span of a run, whenever and
however often, makes the same one.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from ansflow_gateway.domain.events import RunKey

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
"""Lengths of the ids of W3C Trace Context: https://www.w3.org/TR/trace-context/#traceparent-header."""


class SpanFacts(msgspec.Struct, frozen=True, gc=False):
    """A finished span.

    Args:
        trace_id: Its trace: `TRACE_ID_BYTES` bytes, not all zero.
        span_id: The span: `SPAN_ID_BYTES` bytes, not all zero.
        parent_id: The span it is a part of, in the same trace; None for the trace's root.
        name: Its name.
        server: Whether it is a SERVER span; else it is INTERNAL.
        start: When it began, in seconds since the epoch.
        end: When it ended, likewise, not before its start.
        attributes: What else is known of it, by the conventions' names.
        error: Why it failed: its status is ERROR with this description; None leaves the status unset.
        links: Spans that it has to do with, each as trace id and span id.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    name: str
    server: bool
    start: float
    end: float
    attributes: dict[str, str | int | float | bool]
    error: str | None
    links: tuple[tuple[bytes, bytes], ...]


def trace_id(run: RunKey) -> bytes:
    """Make the id of a run's trace.

    Args:
        run: The run.

    Returns:
        `TRACE_ID_BYTES` bytes.
    """
    return _digest(TRACE_ID_BYTES, "trace", run)


def run_span_id(run: RunKey) -> bytes:
    """Make the id of a run's own span, the root of its trace.

    Args:
        run: The run.

    Returns:
        `SPAN_ID_BYTES` bytes.
    """
    return _digest(SPAN_ID_BYTES, "run", run)


def task_span_id(run: RunKey, task_id: str) -> bytes:
    """Make the id of a task's span.

    Args:
        run: The run that the task is a part of.
        task_id: The task within the run.

    Returns:
        `SPAN_ID_BYTES` bytes.
    """
    return _digest(SPAN_ID_BYTES, "task", run, task_id)


def _digest(size: int, *parts: str | RunKey) -> bytes:
    hashed = blake2b(digest_size=size)
    for part in parts:
        texts = (
            (part.system, part.scope, part.run_id, str(part.attempt)) if isinstance(part, RunKey) else (part,)
        )
        for text in texts:
            # Told with its length, no part can run into the next: run 12 attempt 3 isn't run 1 attempt 23.
            encoded = text.encode(errors="surrogatepass")
            hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    made = hashed.digest()
    # All zero is no id at all for Trace Context.
    return made if any(made) else b"\x01".rjust(size, b"\0")
