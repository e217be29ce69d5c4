"""Ports: their variables, and what is said where one is taken."""

import os
import socket

import pytest
from ansflow_stack.local import ports
from ansflow_stack.local.errors import PortTakenError, StackError


def test_a_variable_changes_the_port() -> None:
    """The default holds where the variable is unset or empty, else the variable."""
    assert ports.GATEWAY.number({}) == 8080
    assert ports.GATEWAY.number({"ANSFLOW_GATEWAY_PORT": ""}) == 8080
    assert ports.GATEWAY.number({"ANSFLOW_GATEWAY_PORT": "9999"}) == 9999


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "80.0", "٨٠"])
def test_a_variable_that_is_no_port_is_refused(value: str) -> None:
    """The error names the variable, its value, and what was expected."""
    with pytest.raises(
        StackError, match=r"^ANSFLOW_GATEWAY_PORT=.*: expected a port number from 1 to 65535$"
    ):
        ports.GATEWAY.number({"ANSFLOW_GATEWAY_PORT": value})


def test_two_parts_on_one_port_are_refused() -> None:
    """Both variables are named, before anything is started."""
    with pytest.raises(StackError, match="ANSFLOW_DJANGO_PORT and ANSFLOW_FASTAPI_PORT are both 8001"):
        ports.resolve(ports.ALL, {"ANSFLOW_DJANGO_PORT": "8001"})


def test_a_taken_port_names_its_holder_and_its_variable() -> None:
    """The message has the port, the process that holds it, and the variable that changes it."""
    with socket.create_server((ports.HOST, 0)) as holder:
        number = holder.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            ports.require_free({ports.GATEWAY: number})
    message = str(caught.value)
    assert f"port {number} (the gateway) is taken by process {os.getpid()}" in message
    assert "set ANSFLOW_GATEWAY_PORT to another port" in message


def test_a_free_port_passes() -> None:
    """A port that was just given back is free."""
    with socket.create_server((ports.HOST, 0)) as former:
        number = former.getsockname()[1]
    ports.require_free({ports.GATEWAY: number})
