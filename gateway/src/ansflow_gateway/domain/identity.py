"""What makes two events the same: deduplication on two levels.

A delivery that is repeated has the same source and id. A fact that is told again under another id (a
redelivery by hand, a second webhook, a rerun of the sender) has the same semantic key: system, scope, run or
task, attempt and transition. Facts that may truly happen twice (a user's action, a call) have none.
"""

from hashlib import blake2b

from ansflow_gateway.domain.events import (
    ChangeMerged,
    Deployed,
    Event,
    IncidentUpdate,
    RunAbandoned,
    RunKey,
    RunUpdate,
    TaskUpdate,
)

KEY_BYTES = 16
"""Length of a key: of a billion events, two share one with a probability of about 10^-21."""


def delivery_key(event: Event) -> bytes:
    """Make the key of a delivery.

    Args:
        event: A valid event: its `source` and `id` hold no control characters.

    Returns:
        `KEY_BYTES` bytes.
    """
    return blake2b(f"{event.source}\0{event.id}".encode(), digest_size=KEY_BYTES).digest()


def semantic_key(event: Event) -> bytes | None:
    """Make the key of the fact that an event tells.

    Args:
        event: A valid event.

    Returns:
        `KEY_BYTES` bytes; None for a fact that has no identity but its delivery's.
    """
    match event.payload:
        case RunUpdate() as update:
            parts = (*_run(update.run), update.phase)
        case TaskUpdate() as task:
            parts = (*_run(task.run), task.task_id, task.phase)
        case RunAbandoned() as abandoned:
            parts = (*_run(abandoned.run), "abandoned", abandoned.missing)
        case Deployed() as deployed:
            parts = (
                "deployment",
                deployed.project,
                deployed.environment,
                deployed.deployment_id,
                deployed.kind,
            )
        case IncidentUpdate() as incident:
            parts = ("incident", incident.project, incident.incident_id, str(incident.resolved))
        case ChangeMerged() as change:
            parts = ("change", change.project, change.revision)
        case _:
            return None
    # "\1" keeps these apart from deliveries, whose texts hold no control characters.
    return blake2b(("\1" + "\0".join(parts)).encode(), digest_size=KEY_BYTES).digest()


def _run(run: RunKey) -> tuple[str, ...]:
    return (run.system, run.scope, run.run_id, str(run.attempt))
