"""What is read of a request before it is served: its parent, who sent it, and to where.

Source:
    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import DefaultGetter, TextMapPropagator

__all__ = ["DEFAULT_PORTS", "Parent", "host_and_port"]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class _LowerCase(DefaultGetter):
    """Finds a header however the propagator spells it (`X-Amzn-Trace-Id`)."""

    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        """Get a header's values."""
        return super().get(carrier, key.lower())


class Parent:
    """Extracts a request's parent, if any of the headers that could hold one is there.

    Looking into a set costs a twentieth of asking each propagator in vain. A missing propagator (a
    configuration file without one makes the SDK's composite propagator return None) means no parent, never a
    failed request.
    """

    def __init__(self) -> None:
        self._propagator: TextMapPropagator | None = None
        self._bytes: frozenset[bytes] = frozenset()
        self._keys: tuple[tuple[str, str], ...] = ()
        self._getter = _LowerCase()

    def of_asgi(
        self, headers: Mapping[bytes, bytes], received: Iterable[tuple[bytes, bytes]]
    ) -> Context | None:
        """Extract from ASGI headers.

        Args:
            headers: By lower-case name.
            received: As they came, where one may stand several times.

        Returns:
            The context; None where the headers have none.
        """
        if propagate.get_global_textmap() is not self._propagator:
            self._learn()
        if self._bytes.isdisjoint(headers):
            return None
        carrier: dict[str, str] = {}
        for name_bytes, value_bytes in received:
            name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
            carrier[name] = f"{carrier[name]},{value}" if name in carrier else value
        return self._extract(carrier)

    def of_environ(self, environ: Mapping[str, Any]) -> Context | None:
        """Extract from a WSGI environment.

        Args:
            environ: The request's, with headers as `HTTP_<NAME>`.

        Returns:
            The context; None where the headers have none.
        """
        if propagate.get_global_textmap() is not self._propagator:
            self._learn()
        headers = {name: environ[key] for key, name in self._keys if key in environ}
        return self._extract(headers) if headers else None

    def _extract(self, carrier: Mapping[str, str]) -> Context | None:
        # An empty base: what happens to be current in the server's task is not this request's parent.
        extracted: Context | None = propagate.extract(carrier, Context(), self._getter)
        return extracted or None

    def _learn(self) -> None:
        propagator = propagate.get_global_textmap()
        names = sorted(name.lower() for name in propagator.fields)
        self._bytes = frozenset(name.encode("latin-1") for name in names)
        self._keys = tuple(("HTTP_" + name.upper().replace("-", "_"), name) for name in names)
        self._propagator = propagator  # last: another thread takes the rest for known then


@lru_cache(maxsize=256)
def host_and_port(authority: str, scheme: str) -> tuple[str, int | None]:
    """Split a Host header.

    Args:
        authority: The header's value, whatever a client put there.
        scheme: Of the URL, for the port that is not written.

    Returns:
        Address (an IPv6 one without brackets) and port; the port is None if it is no port.
    """
    if authority.startswith("["):
        address, _, port = authority[1:].partition("]")
        port = port.removeprefix(":")
    else:
        address, _, port = authority.partition(":")
    if not port:
        return address, DEFAULT_PORTS.get(scheme)
    return address, int(port) if port.isdecimal() and len(port) < 6 else None
