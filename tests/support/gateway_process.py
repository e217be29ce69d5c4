"""The gateway as a process: started, killed and stopped, and asked over HTTP alone."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from support.event_facts import Figures
from support.event_load import GITHUB_SECRET

COMMAND = (sys.executable, "-m", "ansflow_gateway")

START_S, STOP_S = 60.0, 60.0
"""Bounds on a hang."""

_LISTENING = re.compile(r"msg=listening url=(\S+)")


def environment(**variables: str) -> dict[str, str]:
    """Make a gateway's environment: the tests' own, without its settings; it pushes nothing."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSFLOW_", "OTEL_"))
    }
    silent = {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none"}
    return inherited | silent | {"ANSFLOW_GATEWAY_GITHUB_SECRET": GITHUB_SECRET} | variables


class GatewayProcess:
    """A gateway with a store, process after process.

    Each process takes a free port of its own: a client that waits for the one before can't be connected with
    itself meanwhile, as it may be by a port of the range that connections take theirs from.

    Args:
        store: The file, or the database's URL.
        folder: For the log and the spool.
        arguments: More of the command line.
        environ: Variables.
    """

    def __init__(
        self,
        store: str,
        folder: Path,
        arguments: Iterable[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.store = store
        self.log = folder / "gateway.log"
        self.url: str | None = None
        """Where the present process listens; None while there is none, or it doesn't yet."""
        self._command = [
            *(*COMMAND, "serve", "--port", "0", "--store", store, "--spool", str(folder / "spool")),
            *arguments,
        ]
        self._environ = environment(**(environ or {}))
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0
        self._ending = False

    @property
    def pid(self) -> int:
        """The present process."""
        assert self._process is not None
        return self._process.pid

    def address(self) -> str | None:
        """Give `url`.

        Raises:
            AssertionError: The process has ended by itself.
        """
        if self.url is not None and not self._ending and self._process is not None:
            assert self._process.poll() is None, self.said()
        return self.url

    def launch(self) -> None:
        """Start a process, without waiting for it."""
        self._ending = False
        self._said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, env=self._environ, stdout=output, stderr=subprocess.STDOUT
            )

    async def listening(self) -> str:
        """Wait until the process listens, and tell where, senders not yet: that is `url`."""
        assert self._process is not None
        async with asyncio.timeout(START_S):
            while not (found := _LISTENING.search(self.said())):
                assert self._process.poll() is None, self.said()
                await asyncio.sleep(0.01)
        return found[1]

    async def start(self) -> str:
        """Start a process, and wait until it listens."""
        self.launch()
        self.url = await self.listening()
        return self.url

    def said(self) -> str:
        """Read what the present process has logged."""
        return self.log.read_bytes()[self._said :].decode()

    async def kill(self) -> None:
        """End the process with SIGKILL, whatever it does."""
        assert self._process is not None
        self.url = None
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def stop(self) -> int:
        """End the process with SIGTERM; give its exit status."""
        assert self._process is not None
        self._ending = True
        self._process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(self._process.wait, STOP_S)
        self.url = None
        return status

    async def ended(self) -> int:
        """Wait until the process ends by itself; give its exit status."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, STOP_S)

    def end(self) -> None:
        """End the process, if there still is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


MakeGateway = Callable[..., GatewayProcess]
"""Makes a gateway, not yet started: more of the command line, then its name, store and variables."""


async def status(url: str, path: str) -> int:
    """Ask for a page; give the answer's status."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return (await client.get(url + path)).status_code


async def samples(url: str) -> Figures:
    """Scrape `/metrics`; give all samples but those that are zero."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.get(f"{url}/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.value
    }


async def business(url: str) -> Figures:
    """Scrape `/metrics`; give the samples that events alone decide, in whatever order they came."""
    return {key: value for key, value in (await samples(url)).items() if _BUSINESS.fullmatch(key[0])}


_BUSINESS = re.compile(
    r"cicd_(pipeline|system)_\w+(?<!_bucket)"
    r"|ansflow_(user_activity|integration|websocket|pipeline_runs|project_cpu|project_network)\w*(?<!_bucket)"
)


async def counted(url: str, name: str, **given: str) -> float:
    """Scrape `/metrics`; sum a name's samples with these labels."""
    return sum(
        value
        for (sample, series), value in (await samples(url)).items()
        if sample == name and given.items() <= dict(series).items()
    )


async def exported(store: str) -> list[dict[str, Any]]:
    """Run `ansflow-gateway export`; give the events, in the journal's order."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "export", store),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return [json.loads(line)["event"] for line in out.splitlines()]
