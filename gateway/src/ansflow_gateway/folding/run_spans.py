"""Finished runs and tasks as spans.

Source: https://opentelemetry.io/docs/specs/semconv/cicd/cicd-spans/. Ids are made of the run's identity, so
    that a
span which is exported again is the same span, and a task finds its run's span whichever ended first.
"""

import re
from typing import Final

from ansflow_gateway.domain.events import RunResult, TaskUpdate
from ansflow_gateway.domain.traces import SpanFacts, run_span_id, task_span_id, trace_id
from ansflow_gateway.folding.runs import RunState

_ACTIONS: Final = {"build": "BUILD", "deploy": "SYNC", "deployment": "SYNC", "sync": "SYNC"}
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)


def run_span(state: RunState, labels: tuple[str, str, str, str, str], received_at: float) -> SpanFacts:
    """Make the SERVER span of a run.

    Args:
        state: A complete run.
        labels: Project, pipeline, type, result and error, as it is counted.
        received_at: When its end was told, in seconds since the epoch.

    Returns:
        The span: from its start, or where that isn't known from the earliest time that is, to its end.
    """
    project, pipeline, pipeline_type, result, error = labels
    end = (state.finished.finished_at if state.finished else None) or received_at
    executed = state.executed_s
    start = state.started_at
    if start is None:
        start = end - executed if executed is not None else (state.queued_at or end)
    action = _ACTIONS.get(pipeline_type.lower(), "RUN")
    return SpanFacts(
        trace_id=trace_id(state.run),
        span_id=run_span_id(state.run),
        parent_id=None,
        name=f"{action} {pipeline}",
        server=True,
        start=min(start, end),
        end=end,
        attributes=_present(
            {
                "cicd.pipeline.action.name": action,
                "cicd.pipeline.name": pipeline,
                "cicd.pipeline.result": result,
                "cicd.pipeline.run.id": state.run.run_id,
                "cicd.pipeline.run.url.full": state.say("url"),
                "vcs.ref.head.revision": state.say("revision"),
                "error.type": error,
                "ansflow.project.name": project,
                "ansflow.pipeline.type": pipeline_type,
                "ansflow.cicd.system": state.run.system,
                "ansflow.cicd.run.attempt": state.run.attempt,
            }
        ),
        error=result if RunResult(result).failed else None,
        links=_links(state.say("traceparent")),
    )


def task_span(task: TaskUpdate, start: float, end: float) -> SpanFacts:
    """Make the INTERNAL span of a task, a child of its run's.

    Args:
        task: What was said at its end, with whatever was said before.
        start: When it started, in seconds since the epoch.
        end: When it ended, likewise.

    Returns:
        The span.
    """
    result = task.result or RunResult.ERROR
    name = task.name or task.task_id
    return SpanFacts(
        trace_id=trace_id(task.run),
        span_id=task_span_id(task.run, task.task_id),
        parent_id=run_span_id(task.run),
        name=name,
        server=False,
        start=min(start, end),
        end=end,
        attributes=_present(
            {
                "cicd.pipeline.name": task.pipeline,
                "cicd.pipeline.task.name": name,
                "cicd.pipeline.task.run.id": task.task_id,
                "cicd.pipeline.task.run.result": result.value,
                "cicd.pipeline.task.run.url.full": task.url,
                "cicd.worker.name": task.worker,
                "error.type": result.value if result.failed else None,
                "ansflow.project.name": task.project,
            }
        ),
        error=result.value if result.failed else None,
        links=(),
    )


def _present(attributes: dict[str, str | int | None]) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None and value != ""}


def _links(traceparent: str | None) -> tuple[tuple[bytes, bytes], ...]:
    # https://www.w3.org/TR/trace-context/#traceparent-header
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if not match:
        return ()
    trace, span = bytes.fromhex(match[1]), bytes.fromhex(match[2])
    return ((trace, span),) if any(trace) and any(span) else ()
