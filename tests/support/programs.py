"""Real programs for tests: found, started on free ports, awaited, stopped in order."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from ansflow_stack.build.checkout import Checkout

from support.polling import poll_until

ROOT = Path(__file__).parents[2]

_STOP_SECONDS = 20.0


def get(url: str, headers: Mapping[str, str] | None = None) -> str:
    """Return a page of a program on this machine, past any proxy.

    Raises:
        AssertionError: nobody answers, or the answer is an error; so that it can be polled.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - our own http URLs
    try:
        with opener.open(request, timeout=10) as answer:
            body: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise AssertionError(f"{url}: {error}") from error
    return body.decode()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def find_binary(name: str, variable: str) -> Path:
    """Return a program's path: its variable, else the built one; skip, or fail in CI, where there is none."""
    path = Path(os.environ.get(variable) or Checkout(ROOT).binaries / name)
    if path.is_file():
        return path
    message = f"{path} is not there: build it, or set {variable}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def running(command: Sequence[str], env: Mapping[str, str], log: Path, ready_url: str) -> Iterator[None]:
    """Run a program until the block ends: from its first good answer to its end after SIGTERM.

    Args:
        command: the program and its arguments.
        env: variables beside those of the tests' own environment, of which ANSFLOW_* and OTEL_* are left out.
        log: the file for its output; its end is in the message if the program fails.
        ready_url: answers 2xx when the program is ready.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ANSFLOW_", "OTEL_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**inherited, **env}, stdout=output, stderr=subprocess.STDOUT)
        try:

            def is_ready() -> None:
                if process.poll() is not None:
                    pytest.fail(f"{command[0]} ended with {process.returncode}:\n{_tail(log)}")
                get(ready_url)

            poll_until(is_ready)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                pytest.fail(f"{command[0]} did not end after SIGTERM:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]
