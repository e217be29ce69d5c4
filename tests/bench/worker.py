"""One process with one set-up: runs a batch of requests for each number on its standard input."""

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from typing import Any

from .setups import ROUTES, SETUPS, Measured


def main() -> None:
    """Answer each line of stdin, a number of requests, with the CPU seconds that they took."""
    measured = SETUPS[sys.argv[1]]()
    paths = itertools.cycle([f"/things{number}/7" for number in range(ROUTES)])
    for line in sys.stdin:
        sys.stdout.write(f"{asyncio.run(_batch(measured, paths, int(line)))!r}\n")
        sys.stdout.flush()


async def _batch(measured: Measured, paths: Iterator[str], requests: int) -> float:
    started = time.process_time()  # of all threads: what exporting costs is in it
    for path in itertools.islice(paths, requests):
        await _request(measured, path)
    measured.send()
    return time.process_time() - started


async def _request(measured: Measured, path: str) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"127.0.0.1:8001"),
            (b"user-agent", b"bench/1.0"),
            (b"accept", b"application/json"),
            (b"accept-encoding", b"gzip, deflate"),
            (b"connection", b"keep-alive"),
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8001),
        "state": {},
    }
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await measured.app(scope, receive, send)  # type: ignore[arg-type] # Starlette types messages as MutableMapping
    if status != 200:
        raise RuntimeError(f"{path} was answered with {status}")


if __name__ == "__main__":
    main()
