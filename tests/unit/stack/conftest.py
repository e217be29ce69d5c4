"""Small real programs to supervise."""

import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansflow_stack.build.checkout import Checkout
from ansflow_stack.local.errors import NotRunningError
from ansflow_stack.local.ports import HOST, Port
from ansflow_stack.local.processes import Process
from ansflow_stack.local.rundir import RunDirectory
from ansflow_stack.local.system import System
from rich.console import Console

_SERVER = textwrap.dedent(
    """
    import http.server, os, pathlib, signal, sys, time

    journal, name, port, status = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

    def note(what):
        with journal.open("a") as file:
            file.write(f"{what} {name}\\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(os.environ.get("GREETING", "").encode())

        def log_message(self, *_):
            pass

    def stop(*_):
        note("stop")
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
    note("start")
    print(f"{name} listens", flush=True)
    server.serve_forever()
    """
)

ServerFactory = Callable[..., Process]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where the servers write that they start and stop."""
    return tmp_path / "journal"


@pytest.fixture
def server(tmp_path: Path, journal: Path) -> ServerFactory:
    """Make the declaration of a real HTTP server that answers one status."""
    script = tmp_path / "server.py"
    script.write_text(_SERVER)

    def make(name: str, wave: int = 1, *, status: int = 200, env: dict[str, str] | None = None) -> Process:
        with socket.create_server((HOST, 0)) as probe:
            number = probe.getsockname()[1]
        return Process(
            name=name,
            command=(sys.executable, str(script), str(journal), name, str(number), str(status)),
            wave=wave,
            listens=(Port(f"TEST_{name.upper()}_PORT", number, name),),
            env=env or {},
            ready_url=f"http://{HOST}:{number}/",
        )

    return make


@pytest.fixture
def run_directory(tmp_path: Path) -> RunDirectory:
    """A run directory whose name has what configuration files like to trip over."""
    return RunDirectory(tmp_path / 'a "new" run; it\'s #1')


@pytest.fixture
def system(run_directory: RunDirectory) -> Iterator[System]:
    """A system in its own run directory; what a test left running is stopped."""
    system = System(Checkout.find(Path(__file__)), run_directory, Console(quiet=True))
    yield system
    try:
        system.stop()
    except NotRunningError:
        return
