"""Every worker process has its own `service.instance.id`, also where the user chose one.

Two processes that send cumulative sums under one identity overwrite each other's series, so that requests go
uncounted. Without an id of the user's, the SDK draws a random one per process, also after a fork. With one,
the SDK 1.45 gives each *forked* worker a random id (the user's is lost), and each *spawned* worker
(`uvicorn --workers`) the same one (counts are lost). Here the process that started first keeps the user's id
unchanged, and every process below it, forked or spawned, is `<id>-<pid>`.

Source: https://opentelemetry.io/docs/specs/semconv/resource/#service, `service.instance.id`.
"""

import os
from collections.abc import Mapping, MutableMapping

from opentelemetry.sdk.environment_variables import OTEL_EXPERIMENTAL_RESOURCE_DETECTORS
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, OTELResourceDetector, Resource, ResourceDetector

__all__ = ["WorkerIdentityDetector", "claim_instance_id", "register_detector", "worker_instance_id"]

INSTANCE_OWNER = "_ANSFLOW_INSTANCE_OWNER"
"""Inherited by every child process: `<pid> <id>` of the process that carries the user's id unchanged."""

DETECTOR_NAME = "ansflow_worker"
"""Name of the detector's entry point."""


class WorkerIdentityDetector(ResourceDetector):
    """Gives a worker of a service with a user's own instance id an id derived from it."""

    def is_process_dependent(self) -> bool:
        """Tell the SDK to detect again after a fork.

        Returns:
            Always true.
        """
        return True

    def detect(self) -> Resource:
        """Detect this process's instance id.

        Returns:
            A worker's id; nothing where the user chose none, or where this process carries it unchanged.
        """
        instance_id = worker_instance_id(os.environ, os.getpid())
        return Resource({SERVICE_INSTANCE_ID: instance_id} if instance_id else {})


def worker_instance_id(env: Mapping[str, str], pid: int) -> str | None:
    """Derive a worker's instance id from the user's.

    Args:
        env: The process's environment.
        pid: The process.

    Returns:
        `<id>-<pid>`, or None where the SDK's own choice is right.
    """
    owner_pid, _, chosen = env.get(INSTANCE_OWNER, "").partition(" ")
    if not chosen or owner_pid == str(pid):
        return None
    return f"{chosen}-{pid}"


def claim_instance_id(env: MutableMapping[str, str], pid: int) -> None:
    """Record that this process carries the user's instance id, unless a process above it does already.

    Args:
        env: The process's environment, changed in place.
        pid: The process.
    """
    chosen = OTELResourceDetector().detect().attributes.get(SERVICE_INSTANCE_ID)
    if not chosen:
        env.pop(INSTANCE_OWNER, None)
        return
    # A child with an id of its own is another service that a service started, not its worker.
    if env.get(INSTANCE_OWNER, "").partition(" ")[2] != chosen:
        env[INSTANCE_OWNER] = f"{pid} {chosen}"


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
