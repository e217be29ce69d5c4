"""Starting, watching and stopping real processes under supervisord."""

import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from ansflow_stack.local.errors import AlreadyRunningError, NotRunningError, PortTakenError, StartError
from ansflow_stack.local.processes import Process, Selection
from ansflow_stack.local.rundir import RunDirectory
from ansflow_stack.local.system import System
from support.polling import poll_until

ServerFactory = Callable[..., Process]
TIMEOUT = 20.0


def test_waves_start_in_order_and_stop_in_reverse(
    system: System, server: ServerFactory, journal: Path
) -> None:
    """A wave starts when the one before is ready; the last started is the first to stop."""
    system.start([server("store", 1), server("service", 2), server("load", 3)], TIMEOUT)
    system.stop()
    assert journal.read_text().split("\n")[:-1] == [
        "start store",
        "start service",
        "start load",
        "stop load",
        "stop service",
        "stop store",
    ]


def test_nothing_is_left_behind(system: System, server: ServerFactory, run_directory: RunDirectory) -> None:
    """After a stop no process of the run is alive, supervisord included, and another stop says so."""
    processes = [server("store", 1), server("service", 2)]
    system.start(processes, TIMEOUT)
    reports = system.report()
    assert [report.state.name for report in reports] == ["store", "service"]
    pids = [report.state.pid for report in reports]
    pids.append(int(run_directory.supervisor_pid.read_text()))
    assert all(psutil.pid_exists(pid) for pid in pids)
    system.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(NotRunningError):
        system.stop()


def test_a_program_gets_its_arguments_and_environment_unchanged(
    system: System, server: ServerFactory
) -> None:
    """Quotes, per cent signs, commas and backslashes survive supervisord's configuration."""
    odd = """50% "of" all, it's {a=b} \\n # ; ü"""
    process = server("echo", env={"GREETING": odd})
    system.start([process], TIMEOUT)
    assert process.ready_url is not None
    with urllib.request.urlopen(process.ready_url) as answer:  # noqa: S310 - loopback
        assert answer.read().decode() == odd


def test_processes_get_the_token_without_showing_it(
    system: System, run_directory: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes by inheritance: neither a file of the run nor a command line holds it."""
    monkeypatch.setenv("ANSFLOW_GATEWAY_TOKEN", "correct-horse-battery")
    seen = tmp_path / "seen"
    script = (
        "import os, pathlib, sys, time; "
        "pathlib.Path(sys.argv[1]).write_text(os.environ['EVENT_SINK_TOKEN']); time.sleep(600)"
    )
    system.start([Process("publisher", (sys.executable, "-c", script, str(seen)), wave=1)], TIMEOUT)
    assert seen.read_text() == "correct-horse-battery"
    assert "correct-horse" not in run_directory.supervisor_config.read_text()
    pids = [report.state.pid for report in system.report()]
    assert not any("correct-horse" in word for pid in pids for word in psutil.Process(pid).cmdline())


def test_a_program_that_ends_is_an_error_with_its_last_words(system: System, server: ServerFactory) -> None:
    """The error names the process and carries the end of its log; what had started is stopped."""
    crash = Process(
        "crash", (sys.executable, "-c", "raise SystemExit('no licence')"), wave=2, ready_url="http://x/"
    )
    with pytest.raises(StartError, match=r"(?s)^crash ended .*no licence$"):
        system.start([server("store"), crash], TIMEOUT)
    with pytest.raises(NotRunningError):
        system.report()


def test_a_program_that_does_not_become_ready_is_an_error(system: System, server: ServerFactory) -> None:
    """The error says what the last probe saw."""
    with pytest.raises(StartError, match=r"lazy was not ready after 1 s: http\S+ answers 503"):
        system.start([server("lazy", status=503)], 1.0)


def test_a_program_that_does_not_exist_is_an_error(system: System) -> None:
    """The error names the process and carries what the system said."""
    with pytest.raises(StartError, match=r"(?s)^ghost ended .*/nowhere/ghost.*No such file"):
        system.start([Process("ghost", ("/nowhere/ghost",), wave=1)], TIMEOUT)


def test_a_failing_preparation_is_an_error_with_its_output(system: System) -> None:
    """What has to run before the start is not silently passed over."""
    process = Process(
        "app", ("sleep", "60"), wave=1, prepare=(sys.executable, "-c", "raise SystemExit('no table')")
    )
    with pytest.raises(StartError, match=r"(?s)^app: Command .* returned non-zero exit status 1\.\nno table"):
        system.start([process], TIMEOUT)


def test_a_second_start_is_refused(system: System, server: ServerFactory) -> None:
    """A run directory has one system at a time."""
    system.start([server("one")], TIMEOUT)
    with pytest.raises(AlreadyRunningError, match="ansflow down"):
        system.start([server("two")], TIMEOUT)


def test_a_taken_port_is_found_before_anything_starts(
    system: System, server: ServerFactory, run_directory: RunDirectory
) -> None:
    """Nothing was written when the error comes."""
    process = server("held")
    with socket.create_server(("127.0.0.1", process.listens[0].default)), pytest.raises(PortTakenError):
        system.start([process], TIMEOUT)
    assert not run_directory.path.exists()


def test_the_report_shows_what_died_and_came_back(system: System, server: ServerFactory) -> None:
    """A process that is killed is started again, under another process id."""
    process = server("phoenix")
    system.start([process], TIMEOUT)
    former = system.report()[0]
    assert former.ready
    psutil.Process(former.state.pid).kill()

    def came_back() -> None:
        now = system.report()[0]
        assert now.ready, now.reason
        assert now.state.pid != former.state.pid

    poll_until(came_back)


def test_asking_builds_nothing(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would run can be told, and that nothing does, on a machine where no binary has been built."""
    monkeypatch.setenv("ANSFLOW_CACHE_DIR", str(tmp_path / "cache"))
    processes = system.processes(Selection())
    assert {"collector", "prometheus"} <= {process.name for process in processes}
    with pytest.raises(NotRunningError, match="ansflow up"):
        system.report()
    assert not (tmp_path / "cache").exists()
