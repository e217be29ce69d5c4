"""Runs processes under supervisord: writes its configuration, starts it, and speaks to it.

supervisord (http://supervisord.org) starts, restarts, and stops the processes and keeps their logs; it
lives on without us, which is what ``--detach`` needs. Readiness is not its business: see ``readiness.py``.
"""

import configparser
import contextlib
import getpass
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from ansflow_stack.local.errors import NotRunningError, StackError, StartError
from ansflow_stack.local.processes import Process
from ansflow_stack.local.rundir import RunDirectory

_STOP_SECONDS = 15
"""How long a process may take to stop by itself before it is killed."""

_ENDED = frozenset({"BACKOFF", "EXITED", "FATAL"})
"""supervisord's names of the states of a process that ended without being told to."""


@dataclass(frozen=True)
class ProcessState:
    """What supervisord knows of a process."""

    name: str
    state: str
    """supervisord's name for it: RUNNING, STOPPED, STARTING, STOPPING, BACKOFF, EXITED, FATAL, UNKNOWN."""
    pid: int
    uptime: float
    """Seconds since it started; 0 where it does not run."""

    @property
    def running(self) -> bool:
        """Whether its program is alive."""
        return self.state in {"STARTING", "RUNNING"}

    @property
    def ended(self) -> bool:
        """Whether its program ended without being told to."""
        return self.state in _ENDED


class Supervisor:
    """One run directory's supervisord."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    @property
    def pid(self) -> int | None:
        """The process id of a supervisord that is alive, else None."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            pid = int(self._run.supervisor_pid.read_text())
            # Process ids are used again: only one whose command line names our configuration is ours.
            if str(self._run.supervisor_config) in psutil.Process(pid).cmdline():
                return pid
        return None

    def launch(self, processes: Iterable[Process], env: Mapping[str, str]) -> None:
        """Start supervisord with the processes declared, none of them started.

        Args:
            processes: what to declare.
            env: the environment that all of them start from.

        Raises:
            StartError: supervisord did not come up; the message carries what it said.
        """
        _write_config(self._run, processes)
        command = [str(Path(sys.executable).parent / "supervisord"), "-c", str(self._run.supervisor_config)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self._run.path, env=env
        )
        if done.returncode != 0:
            raise StartError(f"supervisord did not start:\n{(done.stderr or done.stdout).strip()}")
        deadline = time.monotonic() + _STOP_SECONDS
        while True:
            try:
                self.states()
            except StackError as error:
                if time.monotonic() > deadline:
                    with contextlib.suppress(NotRunningError):
                        self.shut_down()
                    raise StartError(f"supervisord does not answer: {error}") from error
                time.sleep(0.05)
            else:
                return

    def start(self, name: str) -> None:
        """Start a declared process, without waiting for anything.

        A program that ends at once is not an error here: its state says so, and its log why.

        Raises:
            StartError: supervisord refused.
        """
        try:
            with self._rpc() as rpc:
                rpc.supervisor.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.SPAWN_ERROR:
                raise StartError(f"{name} could not be started: {fault.faultString}") from fault

    def states(self) -> list[ProcessState]:
        """Return the state of each declared process.

        Raises:
            NotRunningError: no supervisord answers.
        """
        with self._rpc() as rpc:
            answer = rpc.supervisor.getAllProcessInfo()
        if not isinstance(answer, list):
            raise StackError(f"supervisord answered {type(answer).__name__}, expected a list")
        return [
            ProcessState(
                name=str(info["name"]),
                state=str(info["statename"]),
                pid=int(info["pid"]),
                uptime=float(max(0, info["now"] - info["start"])) if info["pid"] else 0.0,
            )
            for info in answer
        ]

    def shut_down(self) -> None:
        """Stop all processes, the last started first, then supervisord; return when it is gone.

        Raises:
            NotRunningError: there is no supervisord.
        """
        pid = self.pid
        if pid is None:
            raise NotRunningError(f"nothing runs in {self._run.path}")
        supervisord = psutil.Process(pid)
        # The signal, not the call: it also works where the socket was lost, and a second one does no harm.
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisord.send_signal(signal.SIGTERM)
            supervisord.wait()

    @contextlib.contextmanager
    def _rpc(self) -> Iterator[xmlrpc.client.ServerProxy]:
        transport = SupervisorTransport(serverurl=f"unix://{self._run.supervisor_socket}")
        try:
            with xmlrpc.client.ServerProxy(f"http://{_IGNORED_HOST}", transport=transport) as proxy:
                yield proxy
        except OSError as error:
            raise NotRunningError(f"nothing answers in {self._run.path}: {error}") from error
        finally:
            transport.close()


_IGNORED_HOST = "supervisor"
"""The URL has to be there; the transport goes to the Unix socket."""


def _write_config(run: RunDirectory, processes: Iterable[Process]) -> None:
    config = configparser.RawConfigParser()
    config["unix_http_server"] = {"file": _place(run, run.supervisor_socket), "chmod": "0700"}
    config["supervisord"] = {
        "logfile": _place(run, run.log("supervisord")),
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "pidfile": _place(run, run.supervisor_pid),
        "childlogdir": _place(run, run.logs),
        "nocleanup": "true",
    }
    if os.geteuid() == 0:
        # Said outright, or supervisord complains about running as root at every start.
        config["supervisord"]["user"] = getpass.getuser()
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for process in processes:
        config[f"program:{process.name}"] = _program(run, process)
    with run.supervisor_config.open("w") as file:
        config.write(file)


def _program(run: RunDirectory, process: Process) -> dict[str, str]:
    # By `env`, as supervisord's own `environment` key can't hold every value.
    words = ("env", *(f"{name}={value}" for name, value in process.env.items()), *process.command)
    return {
        "command": " ".join(_quote(word) for word in words),
        "directory": _place(run, run.path),
        "priority": str(process.wave),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "3",
        "stopsignal": process.stop_signal,
        "stopwaitsecs": str(_STOP_SECONDS),
        # A process that had to be killed leaves no children behind.
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _place(run, run.log(process.name)),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "1",
    }


def _place(run: RunDirectory, path: Path) -> str:
    """Write a path so that any name of the run directory survives: supervisord puts it in after parsing."""
    if not path.is_relative_to(run.path):
        return str(path)
    return str(Path("%(here)s") / path.relative_to(run.path))


def _quote(word: str) -> str:
    """Quote a word for supervisord, which expands ``%``, cuts at ``;`` and ``#``, and splits as a shell."""
    escaped = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    # A comment needs white space before its mark, also inside quotes; a backslash outside of them is none.
    return '"' + escaped.replace(";", '"\\;"').replace("#", '"\\#"') + '"'
