"""Starts and stops the whole system, and says how it is."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from rich.console import Console

from ansflow_stack.build.binaries import Binary, catalogue
from ansflow_stack.build.builder import ensure
from ansflow_stack.build.checkout import Checkout
from ansflow_stack.local import ports, prometheus, readiness
from ansflow_stack.local.errors import AlreadyRunningError, NotRunningError, StartError
from ansflow_stack.local.logs import LogFollower, last_lines
from ansflow_stack.local.processes import Process, Selection, declare, inherited_environment
from ansflow_stack.local.rundir import RunDirectory
from ansflow_stack.local.supervision import ProcessState, Supervisor

_POLL_SECONDS = 0.1
_FOLLOW_SECONDS = 0.2
_PREPARE_SECONDS = 120
_LOG_LINES = 20


@dataclass(frozen=True)
class ProcessReport:
    """How a process is."""

    state: ProcessState
    ready: bool
    reason: str


class System:
    """The whole system of a checkout.

    Args:
        checkout: where the configuration is.
        run: where the running system keeps its data.
        console: where progress goes.
    """

    def __init__(self, checkout: Checkout, run: RunDirectory, console: Console) -> None:
        self._checkout = checkout
        self._run = run
        self._console = console
        self._supervisor = Supervisor(run)

    def build(self) -> None:
        """Build the binaries that are missing.

        Raises:
            BuildError: a binary could not be built.
        """
        for binary in self._binaries():
            ensure(binary, self._checkout.cache)

    def processes(self, selection: Selection) -> list[Process]:
        """Return what runs.

        Raises:
            StackError: a port's variable holds no port number.
        """
        collector, prom = (self._checkout.binaries / binary.name for binary in self._binaries())
        return declare(self._checkout, self._run, collector, prom, selection)

    def _binaries(self) -> tuple[Binary, Binary]:
        known = catalogue(self._checkout.manifest)
        return known["collector"], known["prometheus"]

    def start(self, processes: Sequence[Process], timeout: float) -> None:
        """Start everything, wave by wave, and return once all are ready. On an error nothing is left running.

        Args:
            processes: what to start.
            timeout: seconds that one wave may take to become ready.

        Raises:
            AlreadyRunningError: this run directory's system is up.
            PortTakenError: somebody holds a port that is needed.
            StartError: a process ended or did not become ready.
        """
        if self._supervisor.pid is not None:
            raise AlreadyRunningError(
                f"the system of {self._run.path} is up already: `ansflow status` says how it is, "
                "`ansflow down` stops it"
            )
        ports.require_free(ports.resolve(port for process in processes for port in process.listens))
        self._run.create()
        prometheus.write_configuration(self._checkout, self._run)
        ready_urls = {process.name: process.ready_url for process in processes}
        self._run.ready_urls.write_text(json.dumps(ready_urls))
        self._supervisor.launch(processes, inherited_environment(os.environ))
        try:
            for wave in sorted({process.wave for process in processes}):
                self._start_wave([process for process in processes if process.wave == wave], timeout)
        except BaseException:
            with suppress(NotRunningError):
                self._supervisor.shut_down()
            raise

    def follow(self, processes: Sequence[Process]) -> None:
        """Print the logs until supervisord ends; it is the caller who stops it, by an exception.

        Raises:
            NotRunningError: supervisord ended.
        """
        follower = LogFollower(
            [(process.name, self._run.log(process.name)) for process in processes], self._console
        )
        while self._supervisor.pid is not None:
            if not follower.print_new():
                time.sleep(_FOLLOW_SECONDS)
        raise NotRunningError("the system was stopped from elsewhere")

    def stop(self) -> None:
        """Stop everything in order: traffic, services, gateway, then what they report to.

        Raises:
            NotRunningError: nothing runs.
        """
        self._supervisor.shut_down()

    def report(self) -> list[ProcessReport]:
        """Return how each process is, in the order of their starts.

        Raises:
            NotRunningError: nothing runs.
        """
        if self._supervisor.pid is None:
            raise NotRunningError(f"nothing runs in {self._run.path}; start it with `ansflow up`")
        # As it was started: this shell's variables may name other ports.
        ready_urls = json.loads(self._run.ready_urls.read_text())
        states = {state.name: state for state in self._supervisor.states()}
        return [_report(states[name], url) for name, url in ready_urls.items()]

    def _start_wave(self, wave: Sequence[Process], timeout: float) -> None:
        for process in wave:
            self._prepare(process)
            self._supervisor.start(process.name)
        begun = time.monotonic()
        waiting = list(wave)
        with self._console.status("") as status:
            while waiting:
                status.update(f"waiting for {', '.join(process.name for process in waiting)}")
                states = {state.name: state for state in self._supervisor.states()}
                elapsed = time.monotonic() - begun
                for process in list(waiting):
                    report = _report(states[process.name], process.ready_url)
                    if report.state.ended:
                        raise StartError(self._obituary(process, f"ended ({report.state.state})"))
                    if report.ready:
                        waiting.remove(process)
                        self._console.print(f"[green]✓[/] {process.name:<10} ready after {elapsed:.1f} s")
                    elif elapsed > timeout:
                        why = f"was not ready after {timeout:.0f} s: {report.reason}"
                        raise StartError(self._obituary(process, why))
                time.sleep(_POLL_SECONDS)

    def _prepare(self, process: Process) -> None:
        if not process.prepare:
            return
        log = self._run.log(f"{process.name}-prepare")
        try:
            with log.open("w") as output:
                subprocess.run(
                    process.prepare,
                    env={**os.environ, **process.env},
                    cwd=self._run.path,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    timeout=_PREPARE_SECONDS,
                    check=True,
                )
        except subprocess.SubprocessError as error:
            raise StartError(f"{process.name}: {error}\n{last_lines(log, _LOG_LINES)}") from error

    def _obituary(self, process: Process, what: str) -> str:
        log = self._run.log(process.name)
        return f"{process.name} {what}\nlast lines of {log}:\n{last_lines(log, _LOG_LINES)}"


def _report(state: ProcessState, ready_url: str | None) -> ProcessReport:
    if not state.running:
        return ProcessReport(state, False, state.state.lower())
    if ready_url is None:
        # Without a URL, having outlived supervisord's start time is what can be seen.
        return ProcessReport(state, state.state == "RUNNING", "runs")
    answer = readiness.probe(ready_url)
    return ProcessReport(state, answer.ready, answer.reason)


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the body as Ctrl-C does, by KeyboardInterrupt."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # What was told to be ignored, as by nohup, stays ignored.
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    former = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Let the body finish: a second Ctrl-C must not leave processes behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
