"""Names that lead to nothing: services, networks, volumes, secrets and configs that are not there."""

from collections.abc import Iterator
from typing import Any

from ansflow_stack.checks.compose_check.project import Problem, Project, section


def problems(project: Project) -> Iterator[Problem]:
    """Yield each name that a service uses and nobody declares, and waits that can't end."""
    services = section(project.resolved, "services")
    for name, service in project.services():
        yield from _dependencies(name, service, services)
        for kind in ("networks", "secrets", "configs"):
            declared = section(project.resolved, kind).keys()
            # The default network needs no declaration.
            known = declared | {"default"} if kind == "networks" else declared
            for used in _names(service.get(kind)):
                if used not in known:
                    yield Problem(f"services.{name}.{kind}", f"{used} is not declared in {kind}")


def _dependencies(name: str, service: dict[str, Any], services: dict[str, Any]) -> Iterator[Problem]:
    depends_on = service.get("depends_on") or {}
    if isinstance(depends_on, list):
        depends_on = {target: {} for target in depends_on}
    for target, how in depends_on.items():
        where = f"services.{name}.depends_on"
        condition = how.get("condition", "service_started")
        if target not in services:
            yield Problem(where, f"there is no service {target}")
        elif condition == "service_healthy" and not _has_healthcheck(services[target]):
            yield Problem(where, f"waits for {target} to be healthy, which has no healthcheck")
        elif condition == "service_completed_successfully" and _restarts(services[target]):
            yield Problem(where, f'waits for {target} to complete, which restarts (set restart: "no")')


def _has_healthcheck(service: dict[str, Any]) -> bool:
    healthcheck = service.get("healthcheck") or {}
    return bool(healthcheck.get("test")) and not healthcheck.get("disable")


def _restarts(service: dict[str, Any]) -> bool:
    return service.get("restart", "no") not in {"no", "on-failure"}


def _names(value: Any) -> Iterator[str]:
    """Yield the names in a list of names, a list of long forms, or a mapping."""
    for item in value or ():
        yield item["source"] if isinstance(item, dict) else item
