"""One HTTP request over ASGI, recorded by the real SDK. Tests that are named after findings say which."""

import asyncio
import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansflow_instrumentation.http import asgi, wsgi
from ansflow_instrumentation.http import telemetry as http_telemetry
from ansflow_instrumentation.http.settings import HttpSettings
from ansflow_instrumentation.http.telemetry import HttpTelemetry, telemetry_of
from opentelemetry import baggage, propagate, trace
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    ParentBasedTraceIdRatio,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from support.recorded_http import Recorded, answer, scope_of

DURATION = "http.server.request.duration"
CAPTURED = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def ok(scope: Any, receive: Any, send: Any) -> None:
    """Answer with 200 and five bytes."""
    await answer(send, 200, b"hello")


async def never() -> Any:
    """Receive nothing."""


async def test_a_request_is_one_server_span_and_one_duration_point() -> None:
    """Names and attributes are the stable semantic conventions'."""
    recorded = Recorded()
    headers = [("host", "shop.test:8443"), ("user-agent", "test/1"), ("content-length", "12")]
    await recorded.request(
        ok,
        method="POST",
        headers=headers,
        query_string=b"a=1&sig=secret&access_token=s2&%70assword=p",
        scheme="https",
    )
    span = recorded.span
    assert (span.name, span.kind, span.status.status_code) == ("POST", SpanKind.SERVER, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "url.scheme": "https",
        "url.path": "/things/1",
        "url.query": "a=1&sig=REDACTED&access_token=REDACTED&%70assword=REDACTED",
        "server.address": "shop.test",
        "server.port": 8443,
        "client.address": "192.0.2.1",
        "user_agent.original": "test/1",
        "network.protocol.version": "1.1",
        "http.request.body.size": 12,
        "http.response.status_code": 200,
        "http.response.body.size": 5,
    }
    (point,) = recorded.points(DURATION)
    assert point.count == 1
    assert dict(point.attributes) == {
        "http.request.method": "POST",
        "url.scheme": "https",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
    }
    assert (span.end_time or 0) - (span.start_time or 0) == pytest.approx(point.sum * 1e9, abs=2)
    assert [(e.trace_id, e.span_id) for e in point.exemplars] == [
        (span.context.trace_id, span.context.span_id)
    ]


async def test_contrib_3591_background_tasks_are_no_part_of_the_duration() -> None:
    """What runs after the response's last byte is not waited for, and the request is not active meanwhile."""
    recorded = Recorded()
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200)
        await release.wait()

    serving = asyncio.create_task(recorded.request(app))
    await asyncio.sleep(0)
    assert recorded.span.end_time is not None, "the span has ended while the background task runs"
    assert (recorded.points(DURATION)[0].count, recorded.active()) == (1, 0)
    release.set()
    await serving
    assert (len(recorded.spans), recorded.points(DURATION)[0].count) == (1, 1)


async def test_contrib_5081_concurrent_responses_never_swap_sizes() -> None:
    """Each span has the size of its own response, also of streamed ones that overlap."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        size = int(scope["path"].rpartition("/")[2])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(size):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})

    await asyncio.gather(*(recorded.request(app, path=f"/{size}") for size in range(1, 20)))
    attributes = [span.attributes or {} for span in recorded.spans]
    sizes = {each["url.path"]: each["http.response.body.size"] for each in attributes}
    assert sizes == {f"/{size}": size for size in range(1, 20)}
    (point,) = recorded.points("http.server.response.body.size")
    assert (point.count, point.sum) == (19, sum(range(1, 20)))


async def test_contrib_2343_a_request_is_one_span() -> None:
    """No spans for messages received or sent."""
    recorded = Recorded()
    await recorded.request(ok)
    assert len(recorded.spans) == 1


async def test_contrib_2140_an_excluded_request_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither span nor count, and what it calls is not sampled either."""
    monkeypatch.setenv("OTEL_PYTHON_TEST_EXCLUDED_URLS", "shop.test/internal,/private$")
    recorded = Recorded()
    sampled = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        child = recorded.provider.get_tracer("child").start_span("query")
        sampled.append(child.get_span_context().trace_flags.sampled)
        child.end()
        await answer(send, 200)

    for path in ("/internal/a", "/x/private", "/public"):
        await recorded.request(app, path=path)
    assert sampled == [False, False, True]
    assert sorted(span.name for span in recorded.spans) == ["GET", "query"]
    assert recorded.points(DURATION)[0].count == 1


async def test_an_exception_is_recorded_once() -> None:
    """One event, ERROR, error.type on span and point, the status that was sent, and the exception goes on."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 500)  # as Starlette's outermost middleware does, before it raises again
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await recorded.request(app)
    span = recorded.span
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "LookupError"
    (point,) = recorded.points(DURATION)
    assert (point.attributes["error.type"], point.attributes["http.response.status_code"]) == (
        "LookupError",
        500,
    )
    assert recorded.active() == 0


async def test_a_server_error_without_exception_has_the_status_as_error_type() -> None:
    """A 503 that the application chose is an error of class 503; a 404 is none."""
    recorded = Recorded()
    for status in (503, 404):
        await recorded.request(lambda scope, receive, send, status=status: answer(send, status))
    assert [(span.attributes or {}).get("error.type") for span in recorded.spans] == ["503", None]
    assert [span.status.status_code for span in recorded.spans] == [StatusCode.ERROR, StatusCode.UNSET]


async def test_a_cancelled_request_is_recorded_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes away is no error of the server's, and detaching does not complain (asgiref#534)."""
    recorded = Recorded()
    waiting = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        waiting.set()
        await asyncio.Event().wait()

    serving = asyncio.create_task(recorded.request(app))
    await waiting.wait()
    assert recorded.active() == 1
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert recorded.active() == 0
    span = recorded.span
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in (span.attributes or {})
    assert recorded.points(DURATION)[0].count == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_an_incoming_trace_goes_on_with_its_baggage() -> None:
    """The parent is the caller's span, and what else its headers say is in the context."""
    recorded = Recorded()
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(baggage.get_baggage("tenant"))
        await answer(send)

    await recorded.request(app, headers=[("traceparent", TRACEPARENT), ("baggage", "tenant=blue")])
    span = recorded.span
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == tuple(
        TRACEPARENT.split("-")[1:3]
    )
    assert span.parent.is_remote
    assert seen == ["blue"]


async def test_finding_1_what_is_current_in_the_server_is_no_parent() -> None:
    """A span that is current around the server (click's command, for one) begins no endless trace."""
    recorded = Recorded()
    with recorded.provider.get_tracer("click").start_as_current_span("uvicorn") as command:
        await recorded.request(ok)
        await recorded.request(ok)
        assert trace.get_current_span() is command
    requests = [span for span in recorded.spans if span.kind is SpanKind.SERVER]
    assert len({span.context.trace_id for span in (*requests, command)}) == 3  # type: ignore[attr-defined] # the SDK's
    assert [span.parent for span in requests] == [None, None]


@pytest.mark.parametrize(
    "sampler",
    [ALWAYS_ON, ALWAYS_OFF, TraceIdRatioBased(0.5), ParentBasedTraceIdRatio(0.5), ParentBased(ALWAYS_OFF)],
)
@pytest.mark.parametrize("flags", [None, "00", "01"])
async def test_sampling_is_as_the_sampler_decides(sampler: Any, flags: str | None) -> None:
    """Decisions made here without a call are the sampler's own, and every request counts all the same."""
    recorded = Recorded(sampler=sampler)
    headers = [("traceparent", f"{TRACEPARENT[:-2]}{flags}")] if flags else []
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(trace.get_current_span().get_span_context())
        await answer(send)

    for _ in range(50):
        await recorded.request(app, headers=headers)
    parent = trace.set_span_in_context(
        trace.NonRecordingSpan(
            trace.SpanContext(
                seen[0].trace_id, 1, is_remote=True, trace_flags=trace.TraceFlags(int(flags or "0", 16))
            )
        )
    )
    for context in seen:
        decision = sampler.should_sample(parent if flags else None, context.trace_id, "GET").decision
        assert context.trace_flags.sampled == decision.is_sampled()
    assert len(recorded.spans) == sum(context.trace_flags.sampled for context in seen)
    assert recorded.points(DURATION)[0].count == 50


async def test_hosts_are_no_series() -> None:
    """Three thousand Host headers make one series: in the old conventions each was one."""
    recorded = Recorded()
    for number in range(3000):
        await recorded.request(ok, headers=[("host", f"h{number}.test")])
    assert [point.count for point in recorded.points(DURATION)] == [3000]


async def test_invented_methods_are_one_series() -> None:
    """Unknown methods are `_OTHER`; the span says which it was."""
    recorded = Recorded()
    for method in ("BREW", "FOO", "get"):
        await recorded.request(ok, method=method)
    assert [point.attributes["http.request.method"] for point in recorded.points(DURATION)] == ["_OTHER"]
    assert {span.name for span in recorded.spans} == {"HTTP"}
    assert {(s.attributes or {})["http.request.method_original"] for s in recorded.spans} == {
        "BREW",
        "FOO",
        "get",
    }


async def test_headers_are_captured_and_sanitized(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that users know from OpenTelemetry hold, patterns and all."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "x-tenant,authorization")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "x-.*")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "authorization")
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x-a", b"1"), (b"x-a", b"2"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    sent_headers = [("x-tenant", "blue"), ("x-tenant", "red"), ("authorization", "Bearer obviously-fake")]
    await recorded.request(app, headers=sent_headers)
    attributes = recorded.span.attributes or {}
    assert attributes["http.request.header.x_tenant"] == ["blue", "red"]
    assert attributes["http.request.header.authorization"] == ["[REDACTED]"]
    assert attributes["http.response.header.x_a"] == ["1", "2"]


async def test_a_handler_may_use_the_span_as_any_other() -> None:
    """Attributes, events, links, status and name set by the application arrive, cleaned as by the SDK."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        span = trace.get_current_span()
        span.set_attribute("tenant", "blue")
        span.set_attributes({"n": 3, "bad": object()})  # type: ignore[dict-item] # that is the point
        span.add_event("paid", {"amount": 1})
        span.add_link(trace.SpanContext(1, 2, is_remote=True))
        span.set_status(StatusCode.ERROR, "because")
        await answer(send, 201)

    await recorded.request(app)
    span = recorded.span
    attributes = span.attributes or {}
    assert (attributes["tenant"], attributes["n"], attributes["bad"]) == ("blue", 3, None)
    assert attributes["http.response.status_code"] == 201
    assert [event.name for event in span.events] == ["paid"]
    assert [link.context.trace_id for link in span.links] == [1]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "because")
    assert '"name": "GET"' in span.to_json()


async def test_an_ended_span_does_not_change() -> None:
    """What comes after the end is ignored with the SDK's warning: exporters read the span itself."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200)
        span = trace.get_current_span()
        span.set_attribute("late", True)
        span.add_event("late")
        span.end()

    await recorded.request(app)
    assert "late" not in (recorded.span.attributes or {})
    assert not recorded.span.events


async def test_limits_hold() -> None:
    """Limits on attributes that a request may exceed are the SDK's to keep, and kept."""
    recorded = Recorded(span_limits=SpanLimits(max_span_attributes=3, max_span_attribute_length=2))
    await recorded.request(ok)
    assert len(recorded.span.attributes or {}) == 3
    assert all(len(v) <= 2 for v in (recorded.span.attributes or {}).values() if isinstance(v, str))


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        ("shop.test", "shop.test", 80),
        ("shop.test:99", "shop.test", 99),
        ("[2001:db8::1]:99", "2001:db8::1", 99),
        ("[2001:db8::1]", "2001:db8::1", 80),
        ("shop.test:nonsense", "shop.test", None),
        ("shop.test:999999", "shop.test", None),
        ("\xff\xfe:::", "\xff\xfe", None),
    ],
)
async def test_any_host_header_is_survived(host: str, address: str, port: int | None) -> None:
    """Whatever a client sends as Host, the request is served and recorded."""
    recorded = Recorded()
    await recorded.request(ok, headers=[("host", host)])
    attributes = recorded.span.attributes or {}
    assert (attributes["server.address"], attributes.get("server.port")) == (address, port)


async def test_without_a_propagator_requests_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration file without `propagator:` gives one that extracts None: no request fails by it."""
    from opentelemetry.propagators.composite import CompositePropagator

    monkeypatch.setattr(propagate, "propagators", None, raising=False)
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(CompositePropagator([]))
    try:
        recorded = Recorded()
        await recorded.request(ok, headers=[("traceparent", TRACEPARENT)])
        assert recorded.span.parent is None
    finally:
        propagate.set_global_textmap(before)


async def test_a_proxy_prefix_hides_no_health_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a root path the operational paths are recognised as well."""
    from ansflow_instrumentation.http.settings import OPERATIONAL_PATHS

    monkeypatch.setenv("OTEL_PYTHON_TEST_EXCLUDED_URLS", OPERATIONAL_PATHS)
    recorded = Recorded()
    for path in ("/api/health/live", "/api/healthcare", "/health"):
        await recorded.request(ok, path=path, root_path="/api")
    assert [(span.attributes or {})["url.path"] for span in recorded.spans] == ["/api/healthcare"]


@pytest.mark.parametrize("length", ["9" * 400, "9" * 5000, "1" * 20, "\u00b2", "-1", "1.5", ""])
async def test_a_content_length_that_is_none_harms_nothing(length: str) -> None:
    """Whatever a client writes there, the request is served, and metrics can still be sent."""
    recorded = Recorded()
    await recorded.request(ok, headers=[("content-length", "1")])
    await recorded.request(ok, headers=[("content-length", length)])
    assert recorded.points("http.server.request.body.size")[0].sum == 1
    encode_metrics(recorded.collected())


async def test_a_stream_that_breaks_behind_middleware_is_a_failure() -> None:
    """Starlette's BaseHTTPMiddleware ends the body before it raises again what broke the stream."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await send({"type": "http.response.body"})
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await recorded.request(app)
    assert (recorded.span.attributes or {})["error.type"] == "LookupError"
    assert recorded.points(DURATION)[0].attributes["error.type"] == "LookupError"


async def test_an_exception_that_cannot_be_written_is_the_applications_all_the_same() -> None:
    """An exception whose text raises goes on, and nothing of ours comes out instead."""

    class Unprintable(Exception):  # noqa: N818 # it is what the test is about
        def __str__(self) -> str:
            raise RuntimeError("no text")

    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise Unprintable

    with pytest.raises(Unprintable):
        await recorded.request(app)
    assert recorded.points(DURATION)[0].count == 1


async def test_what_the_application_says_of_the_span_stays() -> None:
    """A name and a status of its own are not overwritten."""
    recorded = Recorded()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        span = trace.get_current_span()
        span.update_name("checkout")
        span.set_status(StatusCode.ERROR, "the till is broken")
        await answer(send, 503)

    await recorded.request(app)
    assert (recorded.span.name, recorded.span.status.description) == ("checkout", "the till is broken")


async def test_sizes_are_those_on_the_wire() -> None:
    """A HEAD's body is not sent; how large a file is that the server sends by itself is not known."""
    recorded = Recorded()

    async def by_path(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": __file__})

    await recorded.request(ok, method="HEAD")
    await recorded.request(by_path)
    sizes = [(span.attributes or {}).get("http.response.body.size") for span in recorded.spans]
    assert sizes == [0, None]


async def test_a_parent_is_found_however_its_header_is_spelt() -> None:
    """A propagator whose field has capitals finds it; a header that came twice is one list."""

    class Capitals(TraceContextTextMapPropagator):
        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
            values = getter.get(carrier, "X-Parent") or []
            return super().extract({"traceparent": values[0].split(",")[0]}, context)

        @property
        def fields(self) -> set[str]:
            return {"X-Parent"}

    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Capitals())
    try:
        recorded = Recorded()
        await recorded.request(ok, headers=[("x-parent", TRACEPARENT), ("x-parent", "second")])
        assert recorded.span.parent is not None
    finally:
        propagate.set_global_textmap(before)


def test_a_django_inside_is_part_of_the_request() -> None:
    """A WSGI application that an ASGI one mounts finds the request owned: one span, one point."""
    recorded = Recorded()

    def inner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"hello"]

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/inner", "SERVER_PROTOCOL": "HTTP/1.1"}
        # As Starlette's WSGIMiddleware: in a thread, with the context of the request.
        body = await asyncio.to_thread(wsgi.serve, recorded.telemetry, environ, lambda *_: None, inner)
        await answer(send, 200, *body)

    asyncio.run(recorded.request(outer))
    assert len(recorded.spans) == 1
    assert recorded.points(DURATION)[0].count == 1


async def test_frameworks_share_their_instruments() -> None:
    """Two frameworks in one process are one gauge: the SDK ignores the callbacks of a second one."""
    recorded = Recorded()
    other = recorded.telemetry.with_settings(HttpSettings.of("TEST", {"OTEL_X": "1"}))
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await answer(send)

    async def send(message: Any) -> None:
        pass

    serving = [
        asyncio.create_task(asgi.serve(telemetry, scope_of("/", "GET", []), never, send, app))
        for telemetry in (recorded.telemetry, other)
    ]
    await asyncio.sleep(0)
    assert recorded.active() == 2
    release.set()
    await asyncio.gather(*serving)
    assert recorded.active() == 0


def test_requests_that_come_first_together_find_one_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask while it is made wait for it: none of their requests is left out."""
    monkeypatch.setattr(http_telemetry, "_made", {})
    make = http_telemetry._make

    def make_slowly(framework: str) -> HttpTelemetry:
        started.set()
        assert asked.wait(10)
        return make(framework)

    monkeypatch.setattr(http_telemetry, "_make", make_slowly)
    started, asked = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(telemetry_of, "TEST")
        assert started.wait(10)
        second = threads.submit(telemetry_of, "TEST")
        with pytest.raises(TimeoutError):
            second.result(0.05)
        asked.set()
        assert first.result() is not None
        assert first.result() is second.result()


def test_settings_that_cannot_be_read_leave_requests_unrecorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A regular expression that is none is one warning, and never a failed request."""
    monkeypatch.setattr("ansflow_instrumentation.http.telemetry._made", {})
    for variable in ("OTEL_PYTHON_TEST_EXCLUDED_URLS", CAPTURED, f"{CAPTURED[:-7]}RESPONSE"):
        monkeypatch.setenv(variable, "*x")
        assert (
            telemetry_of(f"TEST{variable}" if variable != "OTEL_PYTHON_TEST_EXCLUDED_URLS" else "TEST")
            is None
        )
        monkeypatch.delenv(variable)
    assert len(caplog.records) == 3
    assert telemetry_of("TEST") is None
    assert len(caplog.records) == 3, "once"


async def test_a_request_leaves_no_work_for_the_garbage_collector() -> None:
    """A server's object that has the scope, and whose method is `send`, is gone when the request is over."""

    class Cycle:
        def __init__(self) -> None:
            self.scope = scope_of("/", "GET", [])

        async def send(self, message: Any) -> None:
            pass

    recorded = Recorded()
    cycle = Cycle()
    gone = weakref.ref(cycle)
    gc.disable()
    try:
        await asgi.serve(recorded.telemetry, cycle.scope, never, cycle.send, ok)
        del cycle
        assert gone() is None
    finally:
        gc.enable()


def test_a_scope_is_what_uvicorn_makes() -> None:
    """The tests' scope has the keys that the specification requires."""
    assert {"type", "asgi", "http_version", "method", "path", "query_string", "headers"} <= scope_of(
        "/", "GET", []
    ).keys()
