"""The project behind WSGI middleware that never closes what it passes on."""

from collections.abc import Iterator
from typing import Any

from .wsgi import application as whole


def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Pass the chunks on."""
    yield from whole(environ, start_response)
