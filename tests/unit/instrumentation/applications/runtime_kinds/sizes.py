"""A WSGI application whose workers differ in size, and gunicorn's settings that make them so."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import psutil

held: list[bytes] = [b"x" * 20_000_000]
"""What the master holds before it forks, and each worker beside."""


def post_fork(server: Any, worker: Any) -> None:
    """Let the first worker have 60 MB, the second 120 MB, and so on."""
    held.append(b"x" * 60_000_000 * worker.age)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with this process's id and memory, as psutil has them."""
    start_response("200 OK", [("content-type", "application/json")])
    this = psutil.Process()
    return [json.dumps({"pid": this.pid, "rss": this.memory_info().rss}).encode()]
