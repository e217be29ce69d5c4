"""TLS of the listener, with certificates that are read again when they change."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansflow_gateway.web.reloading import Reloaded


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What TLS needs.

    Args:
        certificate: PEM file of the certificate and those between it and the root.
        key: PEM file of its private key, not encrypted.
    """

    certificate: Path
    key: Path


def build_context(files: TlsFiles, clock: Callable[[], float] = time.monotonic) -> ssl.SSLContext:
    """Build the listener's context: TLS 1.2 and later, HTTP/1.1.

    At each handshake the two files are looked at, at most once a second. A new pair is taken once both fit
    each other; until then the former one stays.

    Args:
        files: The certificate and the key.
        clock: Present time in seconds, monotonic.

    Returns:
        The context.

    Raises:
        OSError: A file can't be read.
        ValueError: They hold no certificate and key, or such that don't belong together.
    """
    newest = Reloaded([files.certificate, files.key], lambda *_: _load(files), clock)
    context = newest()

    def on_hello(connection: ssl.SSLSocket | ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = newest()

    context.sni_callback = on_hello  # called whether or not the client names a server
    return context


def _load(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without a function of its own, OpenSSL would ask the terminal for the password of an encrypted key.
    context.load_cert_chain(files.certificate, files.key, _no_password)
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")
