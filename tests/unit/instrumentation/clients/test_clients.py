"""Outgoing calls by each client library, to a real server: what is recorded, and what is propagated."""

from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.http_peer import Peer
from support.instrumented_service import free_port, run_python, starting_services
from support.otlp_receiver import OtlpReceiver
from support.recorded_calls import attributes_counted, client_spans, counted, finished, span_attributes

DURATION = "http.client.request.duration"

HTTPX = """
import asyncio, httpx, os
URL, DOWN = os.environ["PEER"], os.environ["DOWN"]

def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind:
        return
    raise AssertionError(kind)

with httpx.Client(follow_redirects=True, timeout=20) as client:
    client.get(URL + "/status/200?id=7&api_key=hidden", auth=("user", "hidden"))
    client.get(URL.replace("//", "//user:hidden@") + "/status/404")
    client.post(URL + "/status/500", content=b"x")
    client.get(URL + "/redirect")
    with client.stream("GET", URL + "/status/201") as response:
        response.read()
    raises(httpx.ReadTimeout, client.get, URL + "/slow", timeout=0.1)
    raises(httpx.ConnectError, client.get, DOWN + "/x")
    raises(httpx.RemoteProtocolError, client.get, URL + "/cut")
"""

HTTPX_ASYNC = """
import asyncio, httpx, os
URL, DOWN = os.environ["PEER"], os.environ["DOWN"]

async def raises(kind, awaitable):
    try:
        await awaitable
    except kind:
        return
    raise AssertionError(kind)

async def main():
    async with httpx.AsyncClient(follow_redirects=True, timeout=20) as client:
        await client.get(URL + "/status/200?id=7&api_key=hidden", auth=("user", "hidden"))
        await client.get(URL.replace("//", "//user:hidden@") + "/status/404")
        await client.post(URL + "/status/500", content=b"x")
        await client.get(URL + "/redirect")
        async with client.stream("GET", URL + "/status/201") as response:
            await response.aread()
        await raises(httpx.ReadTimeout, client.get(URL + "/slow", timeout=0.1))
        await raises(httpx.ConnectError, client.get(DOWN + "/x"))
        await raises(httpx.RemoteProtocolError, client.get(URL + "/cut"))
        await raises(TimeoutError, asyncio.wait_for(client.get(URL + "/slow"), 0.1))

asyncio.run(main())
"""

REQUESTS = """
import os, requests, urllib3
URL, DOWN = os.environ["PEER"], os.environ["DOWN"]

def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind:
        return
    raise AssertionError(kind)

with requests.Session() as session:
    session.get(URL + "/status/200?id=7&api_key=hidden", auth=("user", "hidden"))
    session.get(URL.replace("//", "//user:hidden@") + "/status/404")
    session.post(URL + "/status/500", data=b"x")
    session.get(URL + "/redirect")
    with session.get(URL + "/status/201", stream=True) as response:
        response.content
    raises(requests.ReadTimeout, session.get, URL + "/slow", timeout=0.1)
    raises(requests.ConnectionError, session.get, DOWN + "/x")
    raises(requests.exceptions.ChunkedEncodingError, session.get, URL + "/cut")
    retries = urllib3.Retry(total=2, status_forcelist=[503], backoff_factor=0)
    session.mount(URL, requests.adapters.HTTPAdapter(max_retries=retries))
    raises(requests.exceptions.RetryError, session.get, URL + "/status/503")
"""

AIOHTTP = """
import aiohttp, asyncio, os
URL, DOWN = os.environ["PEER"], os.environ["DOWN"]

async def get(session, url, **options):
    async with session.get(url, **options) as response:
        await response.read()

async def raises(kind, awaitable):
    try:
        await awaitable
    except kind:
        return
    raise AssertionError(kind)

async def main():
    async with aiohttp.ClientSession() as session:
        auth = aiohttp.BasicAuth("user", "hidden")
        await get(session, URL + "/status/200", params={"id": "7", "api_key": "hidden"}, auth=auth)
        await get(session, URL.replace("//", "//user:hidden@") + "/status/404")
        async with session.post(URL + "/status/500", data=b"x"):
            pass
        await get(session, URL + "/redirect")
        await get(session, URL + "/status/201")
        await raises(TimeoutError, get(session, URL + "/slow", timeout=aiohttp.ClientTimeout(total=0.1)))
        await raises(aiohttp.ClientConnectorError, get(session, DOWN + "/x"))
        await raises(aiohttp.ClientResponseError, get(session, URL + "/status/503", raise_for_status=True))
        await raises(TimeoutError, asyncio.wait_for(get(session, URL + "/slow"), 0.1))

asyncio.run(main())
"""

ANSWERS: dict[tuple[str, str | None, str | None], int] = {
    ("GET", "200", None): 2,
    ("GET", "404", "404"): 1,
    ("POST", "500", "500"): 1,
    ("GET", "201", None): 1,
}
FAILURES = {
    "httpx": ("httpx.ReadTimeout", "httpx.ConnectError", "httpx.RemoteProtocolError"),
    "requests": tuple(
        f"requests.exceptions.{name}"
        for name in ("ReadTimeout", "ConnectionError", "ChunkedEncodingError", "RetryError")
    ),
    "aiohttp": ("TimeoutError", "aiohttp.client_exceptions.ClientConnectorError"),
}
CANCELLED = "asyncio.exceptions.CancelledError"

PROGRAMS = [
    pytest.param(HTTPX, FAILURES["httpx"], id="httpx"),
    pytest.param(HTTPX_ASYNC, (*FAILURES["httpx"], CANCELLED), id="httpx-async"),
    pytest.param(REQUESTS, FAILURES["requests"], id="requests"),
    pytest.param(AIOHTTP, (*FAILURES["aiohttp"], CANCELLED, "503"), id="aiohttp"),
]


def run(
    program: str, peer: Peer, receiver: OtlpReceiver, directory: Path, **variables: str
) -> dict[str, str]:
    """Run a program that calls the peer, and return where it called."""
    places = {"PEER": peer.url, "DOWN": f"http://127.0.0.1:{free_port()}"}
    finished(run_python(program, receiver, directory, variables={**places, **variables}))
    return places


@pytest.mark.parametrize(("program", "failures"), PROGRAMS)
def test_a_call_is_one_span_and_one_point(
    program: str, failures: tuple[str, ...], peer: Peer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Whatever becomes of it: an answer, a redirect, a time-out, a refusal, half a body, a cancellation.

    Of contrib's, httpx's has no point for those that raise, and each one's span has the secret of the query.
    """
    places = run(program, peer, receiver, tmp_path)

    calls = counted(receiver, DURATION, "http.request.method", "http.response.status_code", "error.type")
    failed_calls: dict[tuple[str, str | None, str | None], int] = {
        ("GET", "503" if error == "503" else None, error): 1 for error in failures
    }
    expected = {**ANSWERS, **failed_calls}
    assert calls == expected

    spans = client_spans(receiver)
    assert len(spans) == sum(expected.values())
    failed = [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
    errors = sorted(span_attributes(span)["error.type"] for span in failed)
    assert errors == sorted(["404", "500", *failures])
    urls = [span_attributes(span)["url.full"] for span in spans]
    assert urls[0] == f"{places['PEER']}/status/200?id=7&api_key=REDACTED"
    assert urls[1] == f"{places['PEER'].replace('//', '//REDACTED:REDACTED@')}/status/404"
    assert "hidden" not in str(receiver.traces)
    assert "hidden" not in str(receiver.metrics)

    servers = counted(receiver, DURATION, "server.address", "server.port")
    assert set(servers) == {("127.0.0.1", place.rpartition(":")[2]) for place in places.values()}
    assert not any(
        "url" in name for attributes, _ in attributes_counted(receiver, DURATION) for name in attributes
    )

    by_id = {span.span_id.hex(): span for span in spans}
    for path, traceparent in peer.requests:
        _, trace_id, span_id, flags = traceparent.split("-")
        assert by_id[span_id].trace_id.hex() == trace_id, path
        assert int(flags, 16) & 1


UNSAMPLED = """
import asyncio, os
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
import aiohttp, httpx, requests

URL = os.environ["PEER"] + "/status/500"
parent = NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(0)))

async def main():
    async with httpx.AsyncClient() as client, aiohttp.ClientSession() as session:
        await client.get(URL)
        await (await session.get(URL)).read()
        try:
            await session.get(os.environ["DOWN"])
        except aiohttp.ClientConnectorError:
            pass

with trace.use_span(parent):
    requests.get(URL)
    httpx.get(URL)
    asyncio.run(main())
"""


def test_a_call_in_an_unsampled_trace_is_measured(peer: Peer, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """No span, the callee is told so, and the metric has the error, which contrib's for aiohttp loses."""
    run(UNSAMPLED, peer, receiver, tmp_path)

    assert client_spans(receiver) == []
    refused = FAILURES["aiohttp"][1]
    assert counted(receiver, DURATION, "error.type") == {("500",): 4, (refused,): 1}
    assert len(peer.requests) == 4
    for _, traceparent in peer.requests:
        _, trace_id, span_id, flags = traceparent.split("-")
        assert int(trace_id, 16) == 1
        assert int(span_id, 16) not in (0, 2)
        assert int(flags, 16) & 1 == 0


INTEGRATIONS = """
import asyncio, os
import aiohttp, httpx, requests
from ansflow_instrumentation import business

URL = os.environ["PEER"]

async def main():
    async with httpx.AsyncClient() as client, aiohttp.ClientSession() as session:
        async with business.integration_call("registry"):
            await asyncio.gather(client.get(URL + "/status/200"), session.get(URL + "/status/200"))
        await client.get(URL + "/status/404")

with business.integration_call("registry"):
    requests.get(URL + "/status/200")
    httpx.get(URL + "/status/200")
asyncio.run(main())
"""


def test_a_call_that_the_business_api_counts_says_so(
    peer: Peer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Whoever counts integrations by the called hosts can leave it out; other calls lack the attribute."""
    run(INTEGRATIONS, peer, receiver, tmp_path)

    assert counted(receiver, DURATION, "ansflow.integration.type", "http.response.status_code") == {
        ("registry", "200"): 4,
        (None, "404"): 1,
    }
    assert counted(receiver, "ansflow.integration.calls", "integration_type", "status") == {
        ("registry", "success"): 2
    }


SERVICE = """
import os, httpx
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
@app.get("/orders")
def call():
    return httpx.get(os.environ["PEER"] + "/ok").status_code
"""


def test_contrib_2140_a_call_within_an_excluded_request(
    peer: Peer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """It makes no span, is measured all the same, and the callee is told not to sample."""
    (tmp_path / "service.py").write_text(SERVICE)
    with starting_services(receiver, tmp_path, tmp_path) as start:
        command = ("uvicorn", "service:app", "--port", "{port}")
        service = start(*command, variables={"PEER": peer.url})
        assert service.get("/health").body == "200"
        assert service.get("/orders").body == "200"
        service.stop()

    assert [span.kind for span in client_spans(receiver)] == [Span.SPAN_KIND_CLIENT]
    assert receiver.server_spans() == {"GET /orders": 1}
    assert counted(receiver, DURATION, "http.response.status_code") == {("200",): 2}
    assert [int(traceparent[-2:], 16) & 1 for _, traceparent in peer.requests] == [0, 1]


@pytest.mark.parametrize(
    ("propagators", "expected"),
    [
        ("tracecontext,baggage", {"traceparent", "tracestate", "baggage"}),
        ("baggage", {"baggage"}),
        ("none", set()),
    ],
)
def test_the_propagators_decide(
    propagators: str, expected: set[str], peer: Peer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Baggage and a trace's state go along; what is not asked for does not."""
    program = (
        "import httpx, os\n"
        "from opentelemetry import baggage, context, trace\n"
        "state = trace.TraceState([('vendor', 'x')])\n"
        "identity = trace.SpanContext(1, 2, False, trace.TraceFlags(1), state)\n"
        "context.attach(baggage.set_baggage('tenant', 'a'))\n"
        "with trace.use_span(trace.NonRecordingSpan(identity)):\n"
        "    httpx.get(os.environ['PEER'] + '/ok')\n"
    )
    run(program, peer, receiver, tmp_path, OTEL_PROPAGATORS=propagators)

    (sent,) = peer.headers
    assert {"traceparent", "tracestate", "baggage"} & sent.keys() == expected


def test_the_exporters_calls_are_nobodys(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The OTLP exporter sends by requests; several exports later there is no trace of them."""
    program = (
        "import requests, time\n"
        "from opentelemetry import metrics, trace\n"
        "metrics.get_meter('t').create_counter('work').add(1)\n"
        "for _ in range(3):\n"
        "    with trace.get_tracer('t').start_as_current_span('work'):\n        pass\n"
        "    trace.get_tracer_provider().force_flush()\n"
        "    time.sleep(0.15)\n"
    )
    finished(run_python(program, receiver, tmp_path, variables={"OTEL_METRIC_EXPORT_INTERVAL": "100"}))

    assert [span.name for span in receiver.spans()] == ["work"] * 3
    assert "work" in receiver.metric_names()
    assert DURATION not in receiver.metric_names()


def test_excluded_urls_and_captured_headers(peer: Peer, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The variables that contrib has for clients hold."""
    program = (
        "import httpx, os\n"
        "headers = {'x-tenant': 'a', 'authorization': 'hidden'}\n"
        "httpx.get(os.environ['PEER'] + '/status/200', headers=headers)\n"
        "httpx.get(os.environ['PEER'] + '/ok')\n"
    )
    variables = {
        "OTEL_PYTHON_HTTPX_EXCLUDED_URLS": "/ok",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": "x-tenant,authorization",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE": "content-length",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": "authorization",
    }
    run(program, peer, receiver, tmp_path, **variables)

    (span,) = client_spans(receiver)
    assert span.kind == Span.SPAN_KIND_CLIENT
    captured = {pair.key: str(pair.value) for pair in span.attributes if ".header." in pair.key}
    assert '"a"' in captured["http.request.header.x_tenant"]
    assert "hidden" not in str(captured)
    assert '"2"' in captured["http.response.header.content_length"]
    assert sum(counted(receiver, DURATION).values()) == 1
    assert [traceparent != "" for _, traceparent in peer.requests] == [True, False]


@pytest.mark.parametrize("name", ["httpx", "ansflow_httpx"])
def test_the_users_list_turns_a_client_off(
    name: str, peer: Peer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """`httpx` turns it off; `ansflow_httpx` brings contrib's back."""
    program = "import httpx, os\nhttpx.get(os.environ['PEER'] + '/ok')"
    run(program, peer, receiver, tmp_path, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=name)

    assert len(client_spans(receiver)) == (1 if name == "ansflow_httpx" else 0)


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_a_bad_expression_for_headers_costs_the_headers_only(
    library: str, peer: Peer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """What is no expression fails no call, and calls are recorded without the headers."""
    program = (
        f"import {library}, os\nassert {library}.get(os.environ['PEER'] + '/status/200').status_code == 200\n"
    )
    variables = {
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": "*",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE": "content-.*",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": "(",
    }
    run(program, peer, receiver, tmp_path, **variables)

    assert len(client_spans(receiver)) == 1
    assert counted(receiver, DURATION, "http.response.status_code") == {("200",): 1}


def test_what_cannot_be_recorded_is_called_all_the_same(
    peer: Peer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """A request that has no headers to propagate in is sent, and there is one warning."""
    program = """
import os, requests
from requests.adapters import HTTPAdapter

class Adapter(HTTPAdapter):
    def send(self, request, **kwargs):
        request.headers = {}
        return super().send(request, **kwargs)

with requests.Session() as session:
    session.mount("http://", Adapter())
    for _ in range(2):
        request = requests.Request("GET", os.environ["PEER"] + "/status/200").prepare()
        request.headers = None
        assert session.send(request).status_code == 200
"""
    ended = run_python(program, receiver, tmp_path, variables={"PEER": peer.url})

    assert ended.returncode == 0, ended.stderr
    assert len(peer.requests) == 2
    assert ended.stderr.count("Recording an HTTP call failed") == 1
