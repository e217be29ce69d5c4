"""A store in a process of its own, driven through its input and output: see `store_program`."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


class Program:
    """A running `support.store_program`."""

    def __init__(self, path: Path, environ: dict[str, str] | None = None, **settings: float) -> None:
        arguments = [f"{name}={value}" for name, value in settings.items()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.store_program", str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": "tests", **(environ or {})},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout
        self.greeting = self.answers.readline().strip()

    def ask(self, line: str) -> str:
        """Send a line, and wait for one."""
        self.send(line)
        return self.answers.readline().strip()

    def send(self, line: str) -> None:
        """Send a line."""
        self.requests.write(line + "\n")
        self.requests.flush()

    def end(self) -> None:
        """Have it close its store, and wait until it has."""
        self.requests.close()
        self.process.wait(timeout=60)
        self.answers.close()

    def kill(self, after_s: float = 0.0) -> None:
        """Kill it, whatever it is doing."""
        time.sleep(after_s)
        self.process.kill()
        self.process.wait()

    def wait_for_recovery(self) -> None:
        """Wait until the store has no problem any more."""
        deadline = time.monotonic() + 30
        while (problem := self.ask("p")) != "p None":
            assert time.monotonic() < deadline, problem
            time.sleep(0.02)


@contextlib.contextmanager
def running(path: Path, environ: dict[str, str] | None = None, **settings: float) -> Iterator[Program]:
    """Run the program until the block ends."""
    program = Program(path, environ, **settings)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                program.end()
        program.process.wait()
        with contextlib.suppress(BrokenPipeError):
            program.requests.close()
        program.answers.close()
