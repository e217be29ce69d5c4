"""How an endpoint that would not take telemetry is found out, against real servers."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from ansflow_instrumentation.configuration.file import load_config_file
from ansflow_instrumentation.doctor.endpoints import Endpoint, ask, endpoints_of
from ansflow_instrumentation.doctor.settings import effective_environment
from support.instrumented_service import free_port
from support.otlp_receiver import OtlpReceiver


class _Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer with the status that the path asks for; 200 only to who has the token."""
        status = int(self.path.lstrip("/"))
        if self.headers.get("x-token") == "secret":
            status = 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


@contextlib.contextmanager
def _server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_each_signal_is_asked_where_it_would_be_sent(receiver: OtlpReceiver) -> None:
    """An empty request to each signal's own path, as OTLP has it, which the receiver reads as OTLP."""
    env = effective_environment(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_LOGS_EXPORTER": "console"}
    )
    answers = [ask(endpoint) for endpoint in endpoints_of(env, None)]
    assert [(answer.endpoint.signal, answer.ok, answer.text) for answer in answers] == [
        ("traces", True, "200"),
        ("metrics", True, "200"),
        ("logs", True, "exporter 'console': not OTLP, not asked"),
    ]
    assert (len(receiver.traces), len(receiver.metrics)) == (1, 1)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("404", "404 Not Found: nothing takes OTLP at this path"),
        ("401", "401 Unauthorized: check OTEL_EXPORTER_OTLP_HEADERS"),
        ("302", "302 Found: name the address that it redirects to"),
        ("503", "503 Service Unavailable"),
    ],
)
def test_a_refusal_says_what_to_check(path: str, text: str) -> None:
    """Every status but success is a failure; headers of the user's are sent."""
    with _server() as port:
        endpoint = Endpoint("traces", f"http://127.0.0.1:{port}/{path}", "http/protobuf")
        assert (ask(endpoint).ok, ask(endpoint).text) == (False, text)
        assert ask(replace(endpoint, headers={"x-token": "secret"})).ok


def test_tls_is_verified(tmp_path: Path) -> None:
    """A certificate of an unknown authority is a failure that names the variable, with which it is none."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    certificate = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    with _server(context) as port:
        endpoint = Endpoint("logs", f"https://127.0.0.1:{port}/200", "http/protobuf")
        untrusted = ask(endpoint)
        assert not untrusted.ok
        assert untrusted.text.startswith("TLS: ")
        assert untrusted.text.endswith("check OTEL_EXPORTER_OTLP_CERTIFICATE")
        assert ask(replace(endpoint, verify=str(certificate))).ok


def test_an_endpoint_that_is_none_is_named() -> None:
    """Nobody listening, TLS where there is none, a URL that is none, a missing file: a sentence each."""
    refused = ask(Endpoint("traces", f"http://127.0.0.1:{free_port()}/v1/traces", "http/protobuf"))
    assert refused.text == "connection refused: nothing listens there"
    assert ask(Endpoint("traces", f"http://127.0.0.1:{free_port()}", "grpc")).text == refused.text
    with _server() as port:
        plain = ask(Endpoint("traces", f"https://127.0.0.1:{port}/200", "http/protobuf"))
        assert plain.text.endswith("is it http:// instead of https://?")
    nonsense = ask(Endpoint("traces", "collector:4318/v1/traces", "http/protobuf"))
    assert nonsense.text == "expected a URL that begins with http:// or https://"
    missing = ask(Endpoint("traces", "https://127.0.0.1/", "http/protobuf", verify="/nowhere.pem"))
    assert (missing.ok, missing.text) == (False, "[Errno 2] No such file or directory")


def test_a_signals_own_variables_win() -> None:
    """A signal's endpoint is taken as it is; protocol, headers and certificates may be its own as well."""
    env = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp_proto_grpc,console",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://everything:4318/",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces.example/in",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20everything",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=Bearer%20traces",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": "ca.pem",
    }
    traces, metrics, console, logs = endpoints_of(env, None)
    assert (traces.url, traces.verify) == ("https://traces.example/in", "ca.pem")
    assert traces.headers == {"authorization": "Bearer traces"}
    assert (metrics.url, metrics.protocol) == ("http://everything:4318/", "grpc")
    assert (console.url, console.protocol) == ("", "console")
    assert (logs.url, logs.protocol) == ("", "none")


def test_the_endpoints_of_a_file_are_asked(tmp_path: Path) -> None:
    """With a configuration file, its exporters are asked, and no variable's."""
    file = tmp_path / "telemetry.yaml"
    file.write_text(
        """
file_format: "1.0"
tracer_provider:
  processors:
    - simple:
        exporter:
          otlp_http:
            endpoint: https://a/v1/traces
            headers: [{name: x, value: y}]
            tls: {ca_file: ca.pem}
meter_provider:
  readers: [{periodic: {exporter: {otlp_http: {endpoint: "http://b/v1/metrics"}}}}]
"""
    )
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://nowhere"}
    assert list(endpoints_of(env, load_config_file(str(file)))) == [
        Endpoint("traces", "https://a/v1/traces", "http/protobuf", {"x": "y"}, "ca.pem"),
        Endpoint("metrics", "http://b/v1/metrics", "http/protobuf"),
        Endpoint("logs", "", "none"),
    ]
