"""Every process has its own `service.instance.id`, and a worker's successor has the predecessor's.

Two processes that send cumulative sums under one identity overwrite each other's series, so that requests
go uncounted. Without an id of the user's, the SDK draws a random one per process, so that each recycled
worker (gunicorn's `--max-requests`) begins new series, which nobody ends. With one, the SDK 1.45 gives each
*forked* worker a random id (the user's is lost), and each *spawned* worker (`uvicorn --workers`) the same
one (counts are lost).

Here each process holds a slot (see `slots`) of its service: the processes with the same service name,
namespace and deployment environment, configuration, chosen id, command line and working directory on the same
machine. A slot that is given up is
taken by the next process that starts, be it a recycled worker or the whole service after an upgrade. So
there are as many identities as there were processes at the same time.

| | no id of the user's | the user's id |
|---|---|---|
| the process that started first | the slot's UUID | the user's id, unchanged |
| any other, forked or spawned | its slot's UUID | `<id>-<slot>`, from 1 |

Where slots are not to be had (Windows, no writable directory), ids are the SDK's, and `<id>-<pid>`.

Source: https://opentelemetry.io/docs/specs/semconv/resource/#service, `service.instance.id`.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.sdk.environment_variables import OTEL_EXPERIMENTAL_RESOURCE_DETECTORS
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_NAMESPACE,
    OTELResourceDetector,
    Resource,
    ResourceDetector,
)

from ansflow_instrumentation.configuration.file import CONFIG_FILE_VARIABLE, resource_attributes
from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.workers.slots import MAX_SLOTS, Slot, Slots, directory, key_of, remove_abandoned

__all__ = [
    "STATE_DIR_VARIABLE",
    "WorkerIdentityDetector",
    "claim_identity",
    "collector_was_silent",
    "instance_id",
    "note_silent_collector",
    "register_detector",
    "slot_of_this_process",
    "start_over",
]

STATE_DIR_VARIABLE = "ANSFLOW_STATE_DIR"
"""Directory of the slots, with what a worker leaves to its successor; empty for neither."""

NAMING = (SERVICE_NAMESPACE, SERVICE_NAME, "deployment.environment.name", "deployment.environment")
"""Resource attributes that name a service; the last one is the older name of the one before."""

GROUP = "_ANSFLOW_WORKERS"
"""Inherited by every child process: `<pid of the first process> <service> <group> <chosen id>`."""

DETECTOR_NAME = "ansflow_worker"
"""Name of the detector's entry point."""


@dataclass(frozen=True)
class Group:
    """The processes of a service.

    Attributes:
        first: Process id of the one that started first.
        service: What names the service, hashed.
        key: Names the group.
        chosen: The user's instance id; empty for none.
    """

    first: int
    service: str
    key: str
    chosen: str

    @classmethod
    def inherited(cls, env: Mapping[str, str]) -> "Group | None":
        """Read the group that this process was started in.

        Args:
            env: The process's environment.

        Returns:
            The group; None outside of any.
        """
        first, service, key, chosen = (*env.get(GROUP, "").split(" ", 3), "", "", "", "")[:4]
        return cls(int(first), service, key, chosen) if first.isdecimal() and key else None


class WorkerIdentityDetector(ResourceDetector):
    """Gives each process its instance id."""

    def is_process_dependent(self) -> bool:
        """Tell the SDK to detect again after a fork.

        Returns:
            Always true.
        """
        return True

    def detect(self) -> Resource:
        """Detect this process's instance id.

        Returns:
            The id; nothing where the SDK's, or the user's, is right.
        """
        found = instance_id(os.environ)
        return Resource({SERVICE_INSTANCE_ID: found} if found else {})


def claim_identity(env: MutableMapping[str, str], pid: int) -> None:
    """Make this process the first of its service, unless it was started by another process of it.

    Args:
        env: The process's environment, changed in place.
        pid: The process.
    """
    stated = resource_attributes(env)
    attributes = {**OTELResourceDetector().detect().attributes, **stated}
    file = env.get(CONFIG_FILE_VARIABLE, "")
    service = key_of(*(str(attributes.get(name) or "") for name in NAMING), file)
    chosen = str(attributes.get(SERVICE_INSTANCE_ID) or "")
    inherited = Group.inherited(env)
    # A child with a name or an id of its own is another service that a service started, not its worker.
    if inherited is None or (inherited.service, inherited.chosen) != (service, chosen):
        # Django's settings name no service: a process sets them for its children while it starts.
        settings = env.get("DJANGO_SETTINGS_MODULE", "")
        key = key_of(service, settings, chosen, _folder(), *sys.orig_argv)
        env[GROUP] = f"{pid} {service} {key} {chosen}"


def _folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # removed while the process is in it
        return ""


def register_detector(env: MutableMapping[str, str]) -> None:
    """Add the detector behind the user's own, and after `otel`, whose value it has to replace.

    Args:
        env: The process's environment, changed in place.
    """
    configured = [name.strip() for name in env.get(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS, "").split(",")]
    others = [name for name in configured if name and name != DETECTOR_NAME]
    if "otel" not in others:
        others.append("otel")
    env[OTEL_EXPERIMENTAL_RESOURCE_DETECTORS] = ",".join([*others, DETECTOR_NAME])


class _Held:
    """What this process holds; asked for by several threads (the SDK detects in some of its own)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.slots: Slots | None = None
        self.is_open = False
        self.slot: Slot | None = None
        self.is_held = False


_held = _Held()


def start_over() -> None:
    """Let a forked child take a slot of its own: locks of processes are not inherited."""
    held = _held
    held.lock = threading.Lock()
    held.slot, held.is_held = None, False


def instance_id(env: Mapping[str, str]) -> str | None:
    """Give this process's instance id.

    Args:
        env: The process's environment.

    Returns:
        The id; None where the SDK's own choice is right.
    """
    group = Group.inherited(env)
    if group is None:
        return None
    slot = slot_of_this_process()
    if not group.chosen:
        return slot.instance_id if slot else None
    if group.first == os.getpid():
        return None
    return f"{group.chosen}-{slot.number if slot else os.getpid()}"


def slot_of_this_process() -> Slot | None:
    """Give the slot that this process holds, which it takes where it has none yet.

    Returns:
        The slot; None where slots are not to be had.
    """
    held = _held
    with held.lock:
        if not held.is_held:
            held.is_held = True
            with survive("Taking a slot"):
                held.slot = _take(held)
        return held.slot


def _take(held: _Held) -> Slot | None:
    group = Group.inherited(os.environ)
    if group is None:
        return None
    if not held.is_open:
        held.is_open = True
        folder = directory(os.environ.get(STATE_DIR_VARIABLE))
        if folder is None:
            return None
        remove_abandoned(folder)
        held.slots = Slots(folder / f"{group.key}.slots")
    if held.slots is None:
        return None
    if not group.chosen:
        return held.slots.hold()
    return held.slots.hold([0] if group.first == os.getpid() else range(1, MAX_SLOTS))


def note_silent_collector() -> None:
    """Leave word for the other processes of this service that waiting for the Collector is in vain."""
    if _held.slots is not None:
        with contextlib.suppress(OSError):
            _held.slots.silence.touch(mode=0o600)


def collector_was_silent(within_s: float) -> bool:
    """Tell whether another process of this service has waited for the Collector in vain.

    Args:
        within_s: The last so many seconds.

    Returns:
        Whether one has.
    """
    if _held.slots is None:
        return False
    try:
        return 0 <= time.time() - _held.slots.silence.stat().st_mtime < within_s
    except OSError:
        return False
