"""The ``ansflow`` command on a whole system."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from ansflow_stack.local import ports
from support.polling import poll_until
from support.running_system import Installation, RunningSystem


@pytest.fixture
def another() -> Iterator[Installation]:
    """Give a second place, beside the running system, for a system that a test starts itself."""
    with tempfile.TemporaryDirectory(prefix="ansflow-e2e-") as folder:
        installation = Installation.on_free_ports(Path(folder))
        yield installation
        installation.ansflow("down")


def _processes_of(installation: Installation) -> list[str]:
    """Return the command lines of the processes that were started for an installation."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("ANSFLOW_RUN_DIR") == str(installation.run_directory):
                found.append(" ".join(process.cmdline()))
    return found


def test_status_says_that_all_is_ready(system: RunningSystem) -> None:
    """Each process has a line, and the exit code is 0; whatever ports this shell's variables name."""
    run_directory = system.installation.run_directory
    status = Installation.on_free_ports(run_directory).ansflow("status")
    assert status.returncode == 0, status.stdout
    for name in ("collector", "prometheus", "gateway", "outside", "fastapi", "django"):
        assert name in status.stdout


def test_status_and_down_where_nothing_runs(another: Installation) -> None:
    """Status exits with 3 and says how to start; down is content."""
    status = another.ansflow("status")
    assert status.returncode == 3
    assert "ansflow up" in status.stdout
    assert another.ansflow("down").returncode == 0


def test_a_second_up_is_refused(system: RunningSystem) -> None:
    """The running system is left alone."""
    second = system.installation.ansflow("up", "--detach")
    assert second.returncode == 1
    assert "is up already" in second.stdout
    assert system.installation.ansflow("status").returncode == 0


def test_a_taken_port_names_holder_and_variable(system: RunningSystem, another: Installation) -> None:
    """With the gateway's port held by the running system's gateway, nothing is started."""
    taken = system.installation.numbers[ports.GATEWAY]
    numbers = another.numbers | {ports.GATEWAY: taken}
    refused = Installation(numbers, another.run_directory).ansflow("up", "--detach")
    assert refused.returncode == 1
    assert f"port {taken} (the gateway) is taken by process" in refused.stdout
    assert "ansflow-gateway" in refused.stdout
    assert "ANSFLOW_GATEWAY_PORT" in refused.stdout
    assert _processes_of(another) == []


def test_one_ctrl_c_stops_everything(system: RunningSystem, another: Installation) -> None:
    """In the foreground: addresses that answer, prefixed logs, and after SIGINT no process is left."""
    assert system.installation.run_directory != another.run_directory
    output = another.run_directory / "terminal"
    with output.open("w") as file:
        process = subprocess.Popen(
            another.command("up", "--no-examples"),
            env=another.env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # A process group of its own, as a terminal gives one, to which Ctrl-C goes as a whole.
            start_new_session=True,
        )
    try:

        def is_up() -> str:
            text = output.read_text()
            assert process.poll() is None, text
            assert "Ctrl-C stops everything" in text
            return text

        addresses = [word for word in poll_until(is_up).split() if word.startswith("http://")]
        assert len(addresses) >= 4
        for address in addresses:
            assert httpx.get(address, trust_env=False).is_success, address

        assert len(_processes_of(another)) >= 4
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 0, output.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert _processes_of(another) == []
    assert output.read_text().rstrip().endswith("stopped")


def test_a_system_starts_again_where_it_was(another: Installation) -> None:
    """Down and up in one run directory: what it wrote before is no obstacle."""
    for _ in range(2):
        started = another.ansflow("up", "--detach", "--no-examples")
        assert started.returncode == 0, started.stdout
        assert another.ansflow("down").returncode == 0
    assert _processes_of(another) == []
