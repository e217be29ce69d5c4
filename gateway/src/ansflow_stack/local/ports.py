"""The ports of the system: their defaults, and the variables that change them."""

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from ansflow_stack.local.errors import PortTakenError, StackError

HOST = "127.0.0.1"
"""Nothing of the local system listens beyond loopback."""


@dataclass(frozen=True)
class Port:
    """One port that a process listens on."""

    variable: str
    default: int
    purpose: str

    def number(self, env: Mapping[str, str]) -> int:
        """Return the port to use: the variable's value, else the default.

        Raises:
            StackError: the variable holds no port number.
        """
        text = env.get(self.variable)
        if not text:
            return self.default
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
            raise StackError(f"{self.variable}={text!r}: expected a port number from 1 to 65535")
        return int(text)


FASTAPI = Port("ANSFLOW_FASTAPI_PORT", 8001, "the FastAPI service")
DJANGO = Port("ANSFLOW_DJANGO_PORT", 8000, "the Django service")
OUTSIDE = Port("ANSFLOW_OUTSIDE_PORT", 8010, "the outside service that integrations call")
GATEWAY = Port("ANSFLOW_GATEWAY_PORT", 8080, "the gateway")
OTLP_GRPC = Port("ANSFLOW_OTLP_GRPC_PORT", 4317, "the Collector's OTLP/gRPC receiver")
OTLP_HTTP = Port("ANSFLOW_OTLP_HTTP_PORT", 4318, "the Collector's OTLP/HTTP receiver")
COLLECTOR_METRICS = Port("ANSFLOW_COLLECTOR_METRICS_PORT", 8889, "the Collector's Prometheus endpoint")
COLLECTOR_TELEMETRY = Port("ANSFLOW_COLLECTOR_TELEMETRY_PORT", 8888, "the Collector's own telemetry")
COLLECTOR_HEALTH = Port("ANSFLOW_COLLECTOR_HEALTH_PORT", 13133, "the Collector's health check")
PROMETHEUS = Port("ANSFLOW_PROMETHEUS_PORT", 9090, "Prometheus")

ALL = (
    FASTAPI,
    DJANGO,
    OUTSIDE,
    GATEWAY,
    OTLP_GRPC,
    OTLP_HTTP,
    COLLECTOR_METRICS,
    COLLECTOR_TELEMETRY,
    COLLECTOR_HEALTH,
    PROMETHEUS,
)


def resolve(ports: Iterable[Port], env: Mapping[str, str] | None = None) -> dict[Port, int]:
    """Return the number of each port.

    Raises:
        StackError: a variable holds no port number, or two name the same one.
    """
    env = os.environ if env is None else env
    numbers: dict[Port, int] = {}
    for port in ports:
        number = port.number(env)
        for other, taken in numbers.items():
            if taken == number:
                raise StackError(
                    f"{port.variable} and {other.variable} are both {number}; each needs its own port"
                )
        numbers[port] = number
    return numbers


def require_free(numbers: Mapping[Port, int]) -> None:
    """Do nothing if each port can be listened on.

    Raises:
        PortTakenError: at least one can't; all of them are named, with who holds them where that can be seen.
    """
    taken = [(port, number) for port, number in numbers.items() if not _is_free(number)]
    if taken:
        raise PortTakenError("\n".join(_complaint(port, number) for port, number in taken))


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection of a former run that is still closing does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return False
    return True


def _complaint(port: Port, number: int) -> str:
    return (
        f"port {number} ({port.purpose}) is taken by {_holder(number)}; "
        f"free it, or set {port.variable} to another port"
    )


def _holder(number: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == number:
            try:
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({' '.join(process.cmdline())[:80] or process.name()})"
            except psutil.Error:
                return f"process {connection.pid}"
    return "another process"
