"""The business events that the end-to-end tests send."""

import itertools
import json
from typing import Any

PROJECT = "end-to-end"
"""The services' own runs belong to other projects."""

USER_TYPE = "end-to-end"

RUNS = {"success": 20, "failed": 10, "timeout": 2}
"""Finished runs by their published status."""

_RESULTS = {"success": "success", "failed": "failure", "timeout": "timeout"}
_SECONDS = 12.5

DURATION_SUM = _SECONDS * sum(RUNS.values())

_ids = itertools.count()


def events() -> list[dict[str, Any]]:
    """Return each event once: the runs of ``RUNS``, three deployments and four reviews by users."""
    runs = [
        _envelope(
            "dev.ansflow.pipeline.run.finished.v1",
            f"{status}-{number}",
            {
                "run_id": f"{status}-{number}",
                "pipeline": "build",
                "project": PROJECT,
                "result": _RESULTS[status],
                "duration_s": _SECONDS,
            },
        )
        for status, count in RUNS.items()
        for number in range(count)
    ]
    actions = [
        _envelope(
            "dev.ansflow.user.activity.v1", f"{action}-{number}", {"action": action, "user_type": USER_TYPE}
        )
        for action, count in {"deploy": 3, "review": 4}.items()
        for number in range(count)
    ]
    return runs + actions


def run_finished(*, type: str = "dev.ansflow.pipeline.run.finished.v1", **data: Any) -> bytes:  # noqa: A002 - CloudEvents' own name
    """Return a new structured event, with some of its data replaced."""
    whole = {"run_id": "r", "pipeline": "p", "project": "bad-input", "result": "success", "duration_s": 1.0}
    return json.dumps(_envelope(type, f"single-{next(_ids)}", whole | data)).encode()


def _envelope(type_: str, id_: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id_, "source": "/tests/e2e", "type": type_, "data": data}
