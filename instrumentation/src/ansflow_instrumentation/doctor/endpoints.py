"""Whether what is exported would arrive: each signal's endpoint is sent an empty OTLP request.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp, https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import IO, Any
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

from ansflow_instrumentation.configuration.rules import read_list
from ansflow_instrumentation.doctor.settings import hidden

__all__ = ["Answer", "Endpoint", "ask", "endpoints_of"]

SIGNALS = ("traces", "metrics", "logs")

TIMEOUT_S = 5.0
"""How long an answer is waited for; an exporter itself would wait longer."""

HTTP_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoint:
    """Where a signal goes.

    Attributes:
        signal: traces, metrics or logs.
        url: Where to; empty where nothing is sent over the network.
        protocol: `http/protobuf` or `grpc`; of an exporter that is not OTLP's, its name.
        headers: Sent with each request.
        verify: Certificate file of an authority, or empty for the system's.
        client: Certificate and key files of the client, or empty.
    """

    signal: str
    url: str
    protocol: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: str = ""
    client: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered.

    Attributes:
        endpoint: Which.
        ok: Whether an exporter would be content.
        text: What happened, in a few words.
        latency_ms: Until the answer, if there was one.
    """

    endpoint: Endpoint
    ok: bool
    text: str
    latency_ms: float | None = None


def endpoints_of(env: Mapping[str, str], config: Any | None) -> Iterator[Endpoint]:
    """Find where each signal goes.

    Args:
        env: The environment, completed by the distro.
        config: The configuration file, which then says it alone.

    Yields:
        An endpoint for each signal and exporter.
    """
    for signal in SIGNALS:
        if config is not None:
            yield from _endpoints_of_file(signal, env, config)
            continue
        variable = f"OTEL_{signal.upper()}_EXPORTER"
        exporters = read_list(env, variable) or ["none"]
        for exporter in exporters:
            protocol = _setting(env, signal, "PROTOCOL") or "grpc"
            if exporter in ("otlp_proto_http", "otlp_proto_grpc"):
                protocol = "grpc" if exporter.endswith("grpc") else "http/protobuf"
            if exporter.startswith("otlp"):
                yield _endpoint(env, signal, protocol)
            else:
                yield Endpoint(signal, "", exporter)


def _endpoint(env: Mapping[str, str], signal: str, protocol: str) -> Endpoint:
    own = env.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if protocol == "grpc":
        url = own or base or "http://localhost:4317"
    else:
        url = own or f"{(base or 'http://localhost:4318').rstrip('/')}/v1/{signal}"
    return Endpoint(
        signal,
        url,
        protocol,
        parse_env_headers(_setting(env, signal, "HEADERS"), liberal=True),
        _setting(env, signal, "CERTIFICATE"),
        (_setting(env, signal, "CLIENT_CERTIFICATE"), _setting(env, signal, "CLIENT_KEY")),
    )


def _setting(env: Mapping[str, str], signal: str, name: str) -> str:
    return (
        env.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "")
        or env.get(f"OTEL_EXPORTER_OTLP_{name}", "")
    ).strip()


def _endpoints_of_file(signal: str, env: Mapping[str, str], config: Any) -> Iterator[Endpoint]:
    if signal == "metrics":
        readers = config.meter_provider.readers if config.meter_provider else []
        exporters = [reader.periodic.exporter for reader in readers if reader.periodic]
    else:
        provider = config.tracer_provider if signal == "traces" else config.logger_provider
        processors = provider.processors if provider else []
        exporters = [(p.batch or p.simple).exporter for p in processors if p.batch or p.simple]
    for exporter in exporters:
        for protocol, otlp in (("http/protobuf", exporter.otlp_http), ("grpc", exporter.otlp_grpc)):
            if otlp is None:
                continue
            fallback = _endpoint(env, signal, protocol)
            headers = {pair.name: pair.value or "" for pair in otlp.headers or []}
            headers |= parse_env_headers(otlp.headers_list or "", liberal=True)
            tls = otlp.tls
            yield Endpoint(
                signal,
                otlp.endpoint or fallback.url,
                protocol,
                headers,
                (tls.ca_file if tls else None) or "",
                ((tls.cert_file if tls else None) or "", (tls.key_file if tls else None) or ""),
            )
    if not exporters:
        yield Endpoint(signal, "", "none")


def ask(endpoint: Endpoint) -> Answer:
    """Send an empty request.

    Args:
        endpoint: Where to.

    Returns:
        What came of it; no error of the network is raised.
    """
    if not endpoint.url:
        text = (
            "off" if endpoint.protocol == "none" else f"exporter {endpoint.protocol!r}: not OTLP, not asked"
        )
        return Answer(endpoint, True, text)
    started = time.monotonic()
    try:
        if endpoint.protocol == "grpc":
            text, ok = _connect(endpoint)
        else:
            text, ok = _post(endpoint)
    except (OSError, ValueError) as error:
        return Answer(endpoint, False, _explain(error, endpoint))
    return Answer(endpoint, ok, text, round((time.monotonic() - started) * 1000, 1))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An exporter does not follow redirects either: what would be sent is lost."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow none."""


def _post(endpoint: Endpoint) -> tuple[str, bool]:
    if urlsplit(endpoint.url).scheme not in HTTP_PORTS:
        raise ValueError("expected a URL that begins with http:// or https://")
    context = ssl.create_default_context(cafile=endpoint.verify or None)
    if endpoint.client[0]:
        context.load_cert_chain(endpoint.client[0], endpoint.client[1] or None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect())
    headers = {**endpoint.headers, "Content-Type": "application/x-protobuf"}
    # An empty message of protobuf is no bytes at all.
    request = urllib.request.Request(endpoint.url, data=b"", headers=headers, method="POST")  # noqa: S310 # checked above
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return str(response.status), True
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.reason}{_HINTS.get(error.code, '')}", False


_HINTS = {
    301: ": name the address that it redirects to",
    302: ": name the address that it redirects to",
    308: ": name the address that it redirects to",
    401: ": check OTEL_EXPORTER_OTLP_HEADERS",
    403: ": check OTEL_EXPORTER_OTLP_HEADERS",
    404: ": nothing takes OTLP at this path",
    405: ": nothing takes OTLP at this path",
    415: ": what answers takes no protobuf",
}


def _connect(endpoint: Endpoint) -> tuple[str, bool]:
    parts = urlsplit(endpoint.url if "://" in endpoint.url else f"http://{endpoint.url}")
    with socket.create_connection((parts.hostname or "", parts.port or 4317), timeout=TIMEOUT_S):
        return "takes connections (gRPC itself is not asked)", True


def _explain(error: Exception, endpoint: Endpoint) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"TLS: {reason.verify_message}: check OTEL_EXPORTER_OTLP_CERTIFICATE"
    if isinstance(reason, ssl.SSLError):
        return f"TLS: {reason.reason or reason}: is it http:// instead of https://?"
    if isinstance(reason, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(reason, socket.gaierror):
        return f"the host {urlsplit(endpoint.url).hostname!r} is not known"
    return hidden("", str(reason))
