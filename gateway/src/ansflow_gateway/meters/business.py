"""Folding of accepted events into the platform's business meters."""

from ansflow_gateway.domain.active_projects import ActiveProjects
from ansflow_gateway.domain.events import Event, PipelineRunFinished, RunResult, UserActivity
from ansflow_gateway.domain.labels import OVERFLOW, LabelSetLimiter
from ansflow_gateway.meters import catalogue as c
from ansflow_gateway.meters.instruments import Instruments, Measurement

EXECUTING = "executing"
"""The state whose duration a finished run tells: the time it executed."""

UNKNOWN_ERROR = "_OTHER"
"""`error.type` of a failure whose publisher doesn't say: the conventions' own fallback."""


class BusinessMeters:
    """Records what accepted events say; the event loop's thread owns it.

    Args:
        instruments: Record it.
        projects: Is told of finished runs.
        series_limit: Most distinct label sets an instrument; later ones share the overflow series. A run's
            `result` is kept there, so that success rates stay true.
    """

    def __init__(self, instruments: Instruments, projects: ActiveProjects, series_limit: int) -> None:
        self._instruments = instruments
        self._projects = projects
        self._durations = LabelSetLimiter(series_limit)
        self._errors = LabelSetLimiter(series_limit)
        self._activities = LabelSetLimiter(series_limit)
        instruments.observe(c.ACTIVE_PROJECTS, lambda: (Measurement(projects.count, {}),))

    def fold(self, event: Event) -> None:
        """Record one event's effect.

        Args:
            event: An accepted event; who calls sees to it that it comes once.
        """
        match event.payload:
            case PipelineRunFinished() as run:
                self._projects.seen(run.project, event.time.timestamp() if event.time else None)
                self._run_finished(run)
            case UserActivity() as activity:
                self._user_activity(activity)

    def _run_finished(self, run: PipelineRunFinished) -> None:
        error = (run.error_type or UNKNOWN_ERROR) if run.result.failed else ""
        project, pipeline, pipeline_type, result, error_type = self._durations.admit(
            (run.project, run.pipeline, run.pipeline_type, run.result.value, error), _overflow_run
        )
        attributes = {
            c.PROJECT: project,
            c.PIPELINE: pipeline,
            c.PIPELINE_TYPE: pipeline_type,
            c.RUN_STATE: EXECUTING,
            c.RESULT: result,
        }
        if error_type:
            attributes[c.ERROR_TYPE] = error_type
        self._instruments.record(c.RUN_DURATION, run.duration_s, attributes)
        if error:
            name, kind = self._errors.admit((run.pipeline, error), lambda _: (OVERFLOW, OVERFLOW))
            self._instruments.add(c.RUN_ERRORS, 1, {c.PIPELINE: name, c.ERROR_TYPE: kind})

    def _user_activity(self, activity: UserActivity) -> None:
        action, user_type = self._activities.admit(
            (activity.action, activity.user_type), lambda _: (OVERFLOW, OVERFLOW)
        )
        self._instruments.add(c.USER_ACTIVITY, 1, {c.ACTION: action, c.USER_TYPE: user_type})


def _overflow_run(labels: tuple[str, str, str, str, str]) -> tuple[str, str, str, str, str]:
    result = labels[3]
    return OVERFLOW, OVERFLOW, OVERFLOW, result, OVERFLOW if RunResult(result).failed else ""
