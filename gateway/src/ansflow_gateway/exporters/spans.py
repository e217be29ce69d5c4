"""Pushing finished runs to a Collector as spans, by OTLP, http/protobuf."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ansflow_gateway.domain.traces import SpanFacts
from ansflow_gateway.domain.urls import masked
from ansflow_gateway.exporters.moments import unix_nanoseconds
from ansflow_gateway.exporters.outage import Outage, PushState, Withheld

_LOG: Final = logging.getLogger(__name__)

_SAID: Final = Withheld("opentelemetry.exporter.otlp.proto.http.trace_exporter")

BATCH: Final = 512
"""Most spans of one push: what the SDK's batch processor takes."""

POLL_S: Final = 1.0
"""Time between two looks for spans, in seconds."""

MAX_BACKOFF_S: Final = 60.0
"""Longest time between two pushes that fail, in seconds."""

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_INTEGERS_END: Final = 2**63


class SpanSource(Protocol):
    """Keeps spans until a Collector has taken them; it bounds how many, and counts what it gives up."""

    def due(self, most: int) -> Sequence[tuple[str, SpanFacts]]:
        """Return the oldest spans that wait, with their keys.

        Args:
            most: How many at most.
        """
        ...

    def exported(self, keys: Sequence[str]) -> None:
        """Forget spans.

        Args:
            keys: Their keys; those that are gone meanwhile are let be.
        """
        ...


class RunSpanExporter:
    """Pushes the spans of a source, again and again until they are taken.

    A span that the Collector took while the gateway ended is pushed twice; its ids say that it is the same.
    All methods are called on the event loop, and so are the source's.

    Args:
        source: Keeps the spans.
        exporter: Does the work, in a thread of its own.
        endpoint: Where it pushes to, for the log.
        resource: Who tells of the spans: the gateway. What ran is in their attributes.
        scope: Under which scope they are.
        poll_s: Time between two looks for spans, and the first wait after a failure, in seconds.
        jitter: Gives a number from 0 to 1.
    """

    def __init__(
        self,
        source: SpanSource,
        exporter: SpanExporter,
        endpoint: str,
        resource: Resource,
        scope: InstrumentationScope,
        poll_s: float = POLL_S,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._exporter = exporter
        self._resource = resource
        self._scope = scope
        self._poll_s = poll_s
        self._jitter = jitter
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ansflow-spans")
        self._outage = Outage(
            _LOG,
            _SAID,
            endpoint,
            (
                "spans of runs can't be pushed; they are kept and pushed later",
                "spans of runs are pushed again",
            ),
        )

    @property
    def state(self) -> PushState:
        """How it goes."""
        return self._outage.state

    @property
    def failed(self) -> int:
        """Pushes that failed since the start; from any thread."""
        return self._outage.failed

    async def run(self) -> None:
        """Push what is due, until cancelled."""
        while True:
            if not await self.push():
                await asyncio.sleep(self._wait_s())

    async def push(self) -> bool:
        """Push one batch, if anything is due.

        Returns:
            Whether there may be more to push at once: a full batch was taken.
        """
        due = self._source.due(BATCH)
        if not due:
            return False
        self._outage.begin()
        facts = [facts for _, facts in due]
        succeeded = await asyncio.get_running_loop().run_in_executor(self._thread, self._export, facts)
        self._outage.end(succeeded=succeeded)
        if succeeded:
            self._source.exported([key for key, _ in due])
        return succeeded and len(due) == BATCH

    def close(self) -> None:
        """End the exporter, also in the middle of a push; nothing is pushed afterwards."""
        self._exporter.shutdown()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _export(self, facts: Sequence[SpanFacts]) -> bool:
        spans = [readable(each, self._resource, self._scope) for each in facts]
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def _wait_s(self) -> float:
        # The exponent is bounded, as 2 to the number of a week's failures is no float.
        longest = min(MAX_BACKOFF_S, self._poll_s * 2.0 ** min(self.state.failures, 16))
        return longest * (0.5 + self._jitter() / 2) if self.state.failures else self._poll_s


def build_span_exporter(
    endpoint: str, source: SpanSource, resource: Resource, scope: InstrumentationScope
) -> RunSpanExporter:
    """Build the exporter that pushes by OTLP.

    Headers, timeout, compression and certificates are the exporter's own business: it reads the standard
    `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        endpoint: Full URL that spans are posted to.
        source: Keeps the spans.
        resource: The gateway's resource.
        scope: Under which scope they are.

    Returns:
        The exporter; its `run` is to be made a task, and `close` to be called when that is cancelled.
    """
    return RunSpanExporter(source, OTLPSpanExporter(endpoint=endpoint), masked(endpoint), resource, scope)


def readable(facts: SpanFacts, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    """Make the SDK's span of what is known about one.

    What OTLP can't carry (integers beyond 64 bits, lone surrogates, times before 1970) is made into what
    comes nearest: a span that fails to be encoded would hold all spans behind it up for good.

    Args:
        facts: The span.
        resource: Its resource.
        scope: Its scope.

    Returns:
        The span, ended and sampled, with exactly the ids of `facts`.
    """
    return ReadableSpan(
        name=_text(facts.name),
        context=_context(facts.trace_id, facts.span_id),
        parent=_context(facts.trace_id, facts.parent_id) if facts.parent_id else None,
        resource=resource,
        attributes={name: _value(value) for name, value in facts.attributes.items()},
        links=[Link(_context(*ids, is_remote=True)) for ids in facts.links],
        kind=SpanKind.SERVER if facts.server else SpanKind.INTERNAL,
        status=Status(StatusCode.UNSET)
        if facts.error is None
        else Status(StatusCode.ERROR, _text(facts.error)),
        start_time=unix_nanoseconds(facts.start),
        end_time=unix_nanoseconds(facts.end),
        instrumentation_scope=scope,
    )


def _context(trace_id: bytes, span_id: bytes, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big"), is_remote, trace_flags=_SAMPLED
    )


def _value(value: str | float | bool) -> str | int | float | bool:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and not -_INTEGERS_END <= value < _INTEGERS_END:
        return str(value)
    return value


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()
