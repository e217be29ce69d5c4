"""The gateway as a process: its command line, its signals, its last push."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from ansflow_gateway.config import OPTIONS
from support.collector import run_collector
from support.gateway import BATCH, STRUCTURED, run_finished, user_activity
from support.otlp_receiver import OtlpReceiver
from support.polling import poll_until
from support.programs import free_ports, get

COMMAND = [sys.executable, "-m", "ansflow_gateway"]
NEVER = "3600000"
"""An interval of pushes, in milliseconds, that leaves only the last one."""


def environment(**variables: str) -> dict[str, str]:
    """Make the process's environment: the tests' own, without settings of the gateway."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSFLOW_", "OTEL_"))
    }
    return inherited | {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none"} | variables


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(**variables), capture_output=True, text=True, timeout=60
    )


@dataclass
class Process:
    """A gateway that listens."""

    popen: subprocess.Popen[bytes]
    log: Path
    port: int

    def post(self, event: object) -> int:
        """Send an event; give the status."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/events",
            data=json.dumps(event).encode(),
            headers={"Content-Type": STRUCTURED},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; give the exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(60)


Start = Callable[..., Process]


@pytest.fixture(autouse=True)
def state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test's gateways a place of their own for the store."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts the gateway on a free port; variables are its keywords."""
    with ExitStack() as stack:

        def start_process(arguments: tuple[str, ...] = (), **variables: str) -> Process:
            log = tmp_path / "gateway.log"
            with log.open("wb") as output:
                popen = subprocess.Popen(
                    [*COMMAND, "serve", "--port", "0", *arguments],
                    env=environment(**variables),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            stack.callback(popen.wait)
            stack.callback(popen.kill)

            def listens() -> int:
                found = re.search(r"msg=listening url=https?://127\.0\.0\.1:(\d+)", log.read_text())
                assert found, log.read_text()
                return int(found[1])

            return Process(popen, log, poll_until(listens))

        yield start_process


def pushed_runs(receiver: OtlpReceiver) -> list[int]:
    """List the counts of finished runs, one a push."""
    return [
        sum(point.count for point in metric.histogram.data_points)
        for request in receiver.metrics
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "cicd.pipeline.run.duration"
    ]


def head_of_event(length: int) -> bytes:
    """Make the head of a request that takes an event in."""
    lines = ("POST /v1/events HTTP/1.1", "Host: x", f"Content-Type: {STRUCTURED}")
    return "".join(f"{line}\r\n" for line in (*lines, f"Content-Length: {length}", "")).encode()


def pushing_to(endpoint: str) -> Mapping[str, str]:
    """Make the variables of a gateway that pushes only at its end."""
    return {
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": NEVER,
        "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=ansflow",
    }


def test_over_tls_all_is_the_same(start: Start, tmp_path: Path) -> None:
    """On one connection: an event, a batch of many records, and what aiohttp answers, before and after."""
    authority = trustme.CA()
    pair, root = tmp_path / "pair.pem", tmp_path / "root.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pair))
    authority.cert_pem.write_to_path(str(root))
    process = start(("--tls-cert", str(pair), "--tls-key", str(pair)))
    context = ssl.create_default_context(cafile=str(root))
    connection = http.client.HTTPSConnection("127.0.0.1", process.port, context=context, timeout=30)

    def ask(method: str, path: str, body: object = None, content_type: str = "") -> tuple[int, bytes]:
        # Only what a plain sender sends: http.client's own headers are others.
        connection.putrequest(method, path, skip_accept_encoding=True)
        data = json.dumps(body).encode() if body else b""
        if data:
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, answer.read()

    with closing(connection):
        assert ask("POST", "/v1/events", user_activity(), STRUCTURED)[0] == 202
        status, body = ask("POST", "/v1/events", [user_activity() for _ in range(3000)], BATCH)
        assert (status, json.loads(body)["accepted"]) == (200, 3000)
        status, page = ask("GET", "/metrics")
        assert status == 200
        assert ask("POST", "/v1/events", user_activity(), STRUCTURED)[0] == 202
    counted = re.findall(rb"^ansflow_user_activity_total{.*} (.*)$", page, re.MULTILINE)
    assert sum(map(float, counted)) == 3001
    assert process.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_last_push(start: Start, number: signal.Signals) -> None:
    """After SIGTERM, as after Ctrl-C: status 0, everything pushed exactly once, and sober words about it."""
    with OtlpReceiver() as receiver:
        process = start(**pushing_to(receiver.endpoint))
        for _ in range(7):
            assert process.post(run_finished()) == 202
        assert pushed_runs(receiver) == []
        assert process.stop(number) == 0
        assert pushed_runs(receiver) == [7]
    lines = process.log.read_text().splitlines()
    assert "a new store was made" in lines.pop(0)
    said = [found[1] if (found := re.search(r"msg=(\w+)", line)) else line for line in lines]
    assert said == ["listening", "stopping", "stopped"]


@pytest.mark.integration
def test_the_last_push_reaches_a_real_collector(start: Start, tmp_path: Path) -> None:
    """Runs counted in the gateway's last second stand on the Collector's own Prometheus endpoint."""
    with run_collector(["signals-none"], tmp_path) as collector:
        process = start(**pushing_to(collector.endpoint))
        for duration in (1, 2, 3):
            assert process.post(run_finished(duration_s=duration)) == 202
        poll_until(lambda: get(f"http://127.0.0.1:{process.port}/health/ready"))  # the host is sampled
        assert process.stop() == 0

        def arrived() -> None:
            runs = collector.scrape().sums(
                "cicd_pipeline_run_duration_seconds_count", ["job", "instance"], cicd_pipeline_name="build"
            )
            instance = f"{socket.gethostname()}:{process.port}"
            assert runs == {("ansflow/ansflow-gateway", instance): 3}

        poll_until(arrived)
        utilization = collector.scrape().sums("system_cpu_utilization_ratio", ["job"])
        assert utilization[("ansflow/ansflow-gateway",)] == pytest.approx(1)


def test_without_a_collector_it_still_ends_in_order(start: Start) -> None:
    """The last push is given up at its deadline: status 0, and one line that says what is lost."""
    (unused,) = free_ports(1)
    process = start(("--flush-deadline", "0.5"), **pushing_to(f"http://127.0.0.1:{unused}"))
    process.post(run_finished())
    assert process.stop() == 0
    assert "the last metrics weren't pushed" in process.log.read_text()


def test_a_request_under_way_is_finished_before_the_end(start: Start) -> None:
    """A body whose end comes after SIGTERM is answered 202 and pushed; new connections are refused."""
    with OtlpReceiver() as receiver:
        process = start(**pushing_to(receiver.endpoint))
        body = json.dumps(run_finished()).encode()
        head = head_of_event(len(body))
        with socket.create_connection(("127.0.0.1", process.port), timeout=30) as connection:
            connection.sendall(head + body[:10])
            poll_until(lambda: process.post(run_finished()))
            process.popen.send_signal(signal.SIGTERM)

            def refuses() -> None:
                assert "msg=stopping" in process.log.read_text()
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", process.port), timeout=5).close()

            poll_until(refuses)
            connection.sendall(body[10:])
            assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")
        assert process.popen.wait(60) == 0
        assert pushed_runs(receiver) == [2]


def test_a_request_that_never_ends_is_cut_off_at_the_deadline(start: Start) -> None:
    """A client that stops sending can't keep the gateway from ending."""
    process = start(("--drain-deadline", "0.2"))
    with socket.create_connection(("127.0.0.1", process.port), timeout=30) as connection:
        connection.sendall(head_of_event(9) + b"{")
        poll_until(lambda: process.post(run_finished()))
        assert process.stop() == 0


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 128 + signal.SIGINT)]
)
def test_a_second_signal_ends_it_at_once(start: Start, number: signal.Signals, status: int) -> None:
    """Whoever can't wait for requests under way signals again; there is no traceback."""
    process = start(("--drain-deadline", "3600"))
    with socket.create_connection(("127.0.0.1", process.port), timeout=30) as connection:
        connection.sendall(head_of_event(9) + b"{")
        poll_until(lambda: process.post(run_finished()))
        process.popen.send_signal(number)

        def stopping() -> None:
            assert "msg=stopping" in process.log.read_text()

        poll_until(stopping)
        assert process.stop(number) == status
    assert "Traceback" not in process.log.read_text()


def test_a_taken_port_is_a_clear_error(start: Start) -> None:
    """Status 1, and a line that names the address and what sets another; nothing is pushed, no traceback."""
    with OtlpReceiver() as receiver, socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        ended = run("serve", "--port", port, **pushing_to(receiver.endpoint))
        assert receiver.metrics == []
    assert ended.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in ended.stderr
    assert "ANSFLOW_GATEWAY_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_invalid_configuration_ends_it_at_once() -> None:
    """Status 2, and one line with key, value and what was expected."""
    ended = run("serve", ANSFLOW_GATEWAY_PORT="http")
    assert ended.returncode == 2
    assert ended.stderr == (
        "ansflow-gateway: ANSFLOW_GATEWAY_PORT is 'http'; expected a whole number from 0 to 65535\n"
    )


def test_check_prints_the_effective_configuration_without_secrets() -> None:
    """The configuration comes as JSON, from flags and twins; the token is masked; nothing is listened on."""
    ended = run("serve", "--check", "--port", "1", ANSFLOW_GATEWAY_TOKEN="correct-horse-battery")
    assert ended.returncode == 0
    shown = json.loads(ended.stdout)
    assert (shown["port"]["value"], shown["token"]["value"]) == (1, "***")
    assert "correct-horse" not in ended.stdout + ended.stderr


def test_help_names_every_flag_and_its_twin() -> None:
    """The help of `serve` is complete."""
    text = "".join(run("serve", "--help").stdout.split())
    for option in OPTIONS:
        assert option.flag in text
        assert option.variable in text
