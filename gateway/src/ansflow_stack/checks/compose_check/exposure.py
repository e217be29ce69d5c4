"""What others could reach or guess: open ports, passwords with a default, privileges, tags that move."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from ansflow_stack.checks.compose_check.interpolation import Reference, parse
from ansflow_stack.checks.compose_check.project import Problem, Project, section, texts

_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_KEY|TOKEN|API_KEY|_AUTH)$")
_USERINFO = re.compile(r"://[^/@\s:]*:(?P<password>(?:\$\{[^}]*\}|[^@/\s])+)@")


def problems(project: Project) -> Iterator[Problem]:
    """Yield what makes the system reachable or its secrets known."""
    for name, service in project.services():
        where = f"services.{name}"
        yield from _ports(where, service)
        yield from _privileges(where, service)
        yield from _image(where, service)
    for name, service in section(project.raw, "services").items():
        yield from _passwords(f"services.{name}", service if isinstance(service, dict) else {})


def _ports(where: str, service: dict[str, Any]) -> Iterator[Problem]:
    for index, port in enumerate(service.get("ports") or []):
        host = str(port.get("host_ip", "")) if isinstance(port, dict) else _host_of(str(port))
        if not _is_loopback(host):
            at = host or "every address"
            yield Problem(f"{where}.ports[{index}]", f"publishes on {at} (write 127.0.0.1:HOST:CONTAINER)")


def _host_of(port: str) -> str:
    # [host_ip:][host_port:]container_port, where the address may be IPv6 in brackets.
    if port.startswith("["):
        return port[1 : port.find("]")]
    return port.split(":")[0] if port.count(":") == 2 else ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _privileges(where: str, service: dict[str, Any]) -> Iterator[Problem]:
    if service.get("privileged"):
        yield Problem(f"{where}.privileged", "gives the container the host's root")
    for key in ("network_mode", "pid", "ipc"):
        if service.get(key) == "host":
            yield Problem(f"{where}.{key}", "shares the host's namespace")
    if "no-new-privileges:true" not in (service.get("security_opt") or []):
        yield Problem(f"{where}.security_opt", "lacks no-new-privileges:true")
    if service.get("cap_drop") != ["ALL"]:
        yield Problem(f"{where}.cap_drop", "is not [ALL]; add what is needed with cap_add")


def _image(where: str, service: dict[str, Any]) -> Iterator[Problem]:
    image = str(service.get("image", ""))
    if not image or "build" in service or "@sha256:" in image:
        return
    # A colon before the last slash is a registry's port.
    tag = image.rpartition("/")[2].partition(":")[2]
    if not re.search(r"\d", tag):
        yield Problem(f"{where}.image", f"{image} is not pinned to a version")


def _passwords(where: str, service: dict[str, Any]) -> Iterator[Problem]:
    environment = service.get("environment") or {}
    if isinstance(environment, list):
        environment = dict(entry.partition("=")[::2] for entry in environment)
    for key, value in environment.items():
        if _SECRET_NAME.search(key) and not _must_be_given(str(value)):
            yield Problem(f"{where}.environment.{key}", "has a default password (write ${NAME:?message})")
    for path, text in texts(service, where):
        for match in _USERINFO.finditer(text):
            if not _must_be_given(match["password"]):
                yield Problem(path, "has a password in its URL (write ${NAME:?message} for it)")


def _must_be_given(text: str) -> bool:
    parts = parse(text)
    return len(parts) == 1 and isinstance(parts[0], Reference) and parts[0].is_required
