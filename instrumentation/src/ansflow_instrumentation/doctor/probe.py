"""Sets telemetry up as `opentelemetry-instrument` does, in a process of its own, and tells what came.

`python -m ansflow_instrumentation.doctor.probe <file>` writes JSON. Nothing is exported: the process ends
without a flush.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.metadata import EntryPoint
from os import _exit
from pathlib import Path
from typing import Any

from opentelemetry.instrumentation.auto_instrumentation import _load
from opentelemetry.instrumentation.bootstrap_gen import libraries
from opentelemetry.instrumentation.dependencies import (
    DependencyConflict,
    get_dependency_conflicts,
    get_dist_dependency_conflicts,
)
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # the module is untyped
    BaseInstrumentor,
)
from packaging.requirements import Requirement

from ansflow_instrumentation.configuration.lists import ENABLED_VARIABLE, reason_off
from ansflow_instrumentation.http.choice import is_contrib_chosen
from ansflow_instrumentation.instrumentors import LOADERS, REPLACEMENTS
from ansflow_instrumentation.version import DISTRO_NAME

__all__ = ["Instrumentation", "probe"]

GROUP = "opentelemetry_instrumentor"

HTTP = ("django", "fastapi")
"""Loaders that choose between ours and contrib's by ANSFLOW_HTTP_INSTRUMENTATION."""

COVERED = ("asgi", "click", "starlette", "system-metrics", "tortoiseorm", "urllib3", "wsgi")
"""Instrumentations that nobody misses: those above and below them record the same, or they are off anyway;
Tortoise's is taken for needed wherever pydantic is.
"""


@dataclass
class Instrumentation:
    """What became of one instrumentation.

    Attributes:
        name: Of its entry point.
        status: `on`, `off`, `absent` (no library to instrument), `conflict`, `failed` or `missing` (a library
            without its instrumentation).
        owner: Who records: `ansflow`, or the distribution and its version.
        libraries: What it instruments, with the versions that are installed.
        reason: Why it is not on.
    """

    name: str
    status: str = "on"
    owner: str = ""
    libraries: str = ""
    reason: str = ""


class _Collected(logging.Handler):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's message."""
        self.messages.append(record.getMessage())


_TOLD = re.compile(r"^Loading the |nothing can be instrumented")
"""Warnings that an instrumentation's own line tells."""


def probe() -> dict[str, Any]:
    """Set telemetry up, and tell what came of it.

    Returns:
        The distro, the configurator, each instrumentation, and all warnings.
    """
    collected = _Collected()
    # Only ours: a console of the libraries' would show the same again.
    logging.getLogger().handlers[:] = []
    logging.lastResort = None
    for name in ("opentelemetry", "ansflow_instrumentation"):
        logging.getLogger(name).addHandler(collected)

    called: list[str] = []
    instrument = BaseInstrumentor.instrument

    def instrument_and_tell(self: Any, **kwargs: Any) -> Any:
        called.append(type(self).__module__)
        return instrument(self, **kwargs)

    BaseInstrumentor.instrument = instrument_and_tell
    installed = list(metadata.entry_points(group=GROUP))
    seen: dict[str, Instrumentation] = {}
    distro_name, configurator = "none", "none"
    try:
        distro = _load._load_distro()
        distro_name = _name_of("opentelemetry_distro", type(distro))
        distro.configure()
        configurator = os.environ.get("OTEL_PYTHON_CONFIGURATOR") or next(
            (entry.name for entry in metadata.entry_points(group="opentelemetry_configurator")), "none"
        )
        _load._load_configurators()  # type: ignore[no-untyped-call] # untyped, as all of the module
        load = distro.load_instrumentor

        def load_and_tell(entry_point: EntryPoint, **kwargs: Any) -> None:
            called.clear()
            warnings = len(collected.messages)
            one = seen[entry_point.name] = Instrumentation(entry_point.name)
            try:
                load(entry_point, **kwargs)
            except ModuleNotFoundError as error:
                one.status, one.reason = "absent", f"{error.name} is not installed"
                raise
            failed = [text for text in collected.messages[warnings:] if text.startswith("Loading the ")]
            if failed:
                one.status, one.reason = "failed", failed[0].rpartition("without it: ")[2]
            one.owner = _owner(entry_point, called)

        distro.load_instrumentor = load_and_tell
        _load._load_instrumentors(distro)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 # whatever stops the set-up is what is asked for
        collected.messages.append(f"Setting telemetry up failed: {error!r}")
    return {
        "distro": distro_name,
        "distros": [entry.name for entry in metadata.entry_points(group="opentelemetry_distro")],
        "configurator": configurator,
        "instrumentations": [
            asdict(one)
            for one in [
                *_once(_settle(entry, seen.get(entry.name), distro_name) for entry in installed),
                *_missing({entry.name for entry in installed} | set(REPLACEMENTS)),
            ]
        ],
        "warnings": [text for text in collected.messages if not _TOLD.search(text)],
    }


def _name_of(group: str, kind: type) -> str:
    value = f"{kind.__module__}:{kind.__qualname__}"
    return next(
        (entry.name for entry in metadata.entry_points(group=group) if entry.value == value), kind.__name__
    )


def _settle(entry_point: EntryPoint, one: Instrumentation | None, distro: str) -> Instrumentation:
    """Say why an instrumentation was passed over, and what it is for."""
    one = one or Instrumentation(entry_point.name, status="off")
    requirements, conflict = _requirements(entry_point)
    one.libraries = ", ".join(filter(None, map(_installed, requirements)))
    off = _reason_off(entry_point.name) if distro == "ansflow" else None
    if off:
        one.status, one.owner, one.reason = "off", "", off
    elif conflict is not None and not one.libraries:
        one.status, one.owner = "absent", ""
        one.reason = f"{', '.join(sorted({r.name for r in requirements}))} is not installed"
    elif conflict is not None:
        one.status, one.owner = "conflict", ""
        one.reason = "instruments " + ", ".join(map(str, _bare(requirements)))
    elif one.status == "off":
        one.status, one.reason = "failed", "it was not loaded"
    return one


def _once(every: Iterable[Instrumentation]) -> Iterator[Instrumentation]:
    """Tell of ours and of the one that it stands in for once: the former only where the latter is not on."""
    by_name = {one.name: one for one in every}
    for theirs, ours in REPLACEMENTS.items():
        if theirs in by_name and ours.name in by_name:
            both = (by_name[theirs], by_name[ours.name])
            stands_alone = both[0].status in ("absent", "conflict") and both[1].status == "on"
            del by_name[theirs if stands_alone else ours.name]
    yield from by_name.values()


def _reason_off(name: str) -> str | None:
    """Tell what keeps an instrumentation off; one of ours goes by the name that it stands in for as well."""
    replaced = next((theirs for theirs, ours in REPLACEMENTS.items() if ours.name == name), name)
    by_replaced = reason_off(replaced, os.environ)
    return reason_off(name, os.environ) or (by_replaced if by_replaced != ENABLED_VARIABLE else None)


def _requirements(entry_point: EntryPoint) -> tuple[list[Requirement], DependencyConflict | None]:
    """Find what an instrumentation needs, and what is not as it needs it."""
    distribution = entry_point.dist
    if distribution is not None and distribution.name != DISTRO_NAME:
        needed = [
            Requirement(text)
            for text in distribution.requires or ()
            if "extra" in text and "instruments" in text
        ]
        return needed, get_dist_dependency_conflicts(distribution)
    try:
        dependencies: Collection[str] = entry_point.load()().instrumentation_dependencies()
    except ModuleNotFoundError as error:
        return [Requirement(error.name.partition(".")[0])] if error.name else [], DependencyConflict(
            error.name
        )
    except Exception:  # noqa: BLE001 # its loading has been told already
        return [], None
    return [Requirement(text) for text in dependencies], get_dependency_conflicts(dependencies)


def _bare(requirements: list[Requirement]) -> Iterator[str]:
    for requirement in requirements:
        yield f"{requirement.name}{requirement.specifier}"


def _installed(requirement: Requirement) -> str:
    try:
        return f"{requirement.name} {metadata.version(requirement.name)}"
    except metadata.PackageNotFoundError:
        return ""


def _owner(entry_point: EntryPoint, called: list[str]) -> str:
    """Tell who records: the instrumentors that were called say it, or a loader of ours that calls none."""
    distribution = entry_point.dist
    theirs = f"{distribution.name} {distribution.version}" if distribution is not None else entry_point.value
    if entry_point.name in HTTP and is_contrib_chosen(os.environ):
        return theirs
    if any(module.startswith("ansflow_instrumentation") for module in called):
        return "ansflow"
    if not called and entry_point.name in LOADERS:
        return "ansflow"
    return theirs


def _missing(installed: set[str]) -> Iterator[Instrumentation]:
    """Find libraries that are installed without the instrumentation that there is for them."""
    for pair in libraries:
        library = Requirement(pair["library"])
        package = pair["instrumentation"].partition("=")[0].partition(">")[0]
        short = package.removeprefix("opentelemetry-instrumentation-")
        found = _installed(library)
        if found and short not in COVERED and not {short, short.replace("-", "_"), library.name} & installed:
            yield Instrumentation(short, "missing", "", found, f"pip install {package}")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(probe()), encoding="utf-8")
    _exit(0)  # as it was before the distro made it flush: nothing was meant to be sent
