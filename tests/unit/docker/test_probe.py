"""docker/probe.py, the health check of the Python images."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.removeprefix("/")))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the test's output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a server on a free loopback port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _probe(root: Path, url: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "docker" / "probe.py"), url]
    # A proxy that is not there: the container asks itself, whatever the environment says.
    environment = {"http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_good_answer_is_healthy(root: Path, url: str) -> None:
    """2xx exits 0 and says nothing."""
    done = _probe(root, f"{url}/204")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_failing_answer_is_unhealthy(root: Path, url: str) -> None:
    """503, the answer of a failing /health/, exits 1 with the reason."""
    done = _probe(root, f"{url}/503")
    assert done.returncode == 1
    assert done.stderr == f"{url}/503: HTTP Error 503: Service Unavailable\n"


def test_nobody_listening_is_unhealthy(root: Path, url: str) -> None:
    """A refused connection exits 1 rather than with a traceback."""
    closed = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    port = closed.server_address[1]
    closed.server_close()
    done = _probe(root, f"http://127.0.0.1:{port}/200")
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
