"""Runs of pipelines."""

import asyncio
from enum import StrEnum
from typing import Literal

from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from ansflow_instrumentation.business.block import Measured, MeasuredBlock, error_type_of
from ansflow_instrumentation.business.instruments import (
    ERROR_TYPE,
    FAILED_RESULTS,
    PIPELINE,
    PIPELINE_TYPE,
    PROJECT,
    RESULT,
    Instruments,
    instruments,
)
from ansflow_instrumentation.business.labels import OTHER, OVERFLOW, label, warn_once

__all__ = ["PipelineRun", "ResultName", "RunResult", "pipeline_run"]

ResultName = Literal["success", "failure", "error", "timeout", "cancellation", "skip"]


class RunResult(StrEnum):
    """How a run ended: `cicd.pipeline.result` of the semantic conventions.

    Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/cicd/
    """

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLATION = "cancellation"
    SKIP = "skip"


class PipelineRun(Measured):
    """A run that is executing; see `pipeline_run`."""

    __slots__ = (
        "_action",
        "_active",
        "_error_type",
        "_instruments",
        "_pipeline",
        "_pipeline_type",
        "_project",
        "_result",
        "_run_id",
        "_url",
    )

    def __init__(
        self,
        pipeline: str,
        project: str,
        pipeline_type: str,
        action: str,
        run_id: str | None,
        url: str | None,
    ) -> None:
        super().__init__()
        self._pipeline = pipeline
        self._project = project
        self._pipeline_type = pipeline_type
        self._action = action
        self._run_id = run_id
        self._url = url
        self._result: RunResult | None = None
        self._error_type = ""
        self._instruments: Instruments | None = None

    @property
    def result(self) -> RunResult | None:
        """How the run ended, as far as the block has said; None where it leaves that to its end.

        What the block sets stands, but for a `success` or `skip` before an exception. A value that is no
        result is one warning, and recorded as `error`.
        """
        return self._result

    @result.setter
    def result(self, value: RunResult | ResultName) -> None:
        try:
            self._result = RunResult(value)
        except ValueError:
            warn_once("result", "run.result: expected one of %s, got %.80r", ", ".join(RunResult), value)
            self._result = RunResult.ERROR

    @property
    def error_type(self) -> str:
        """The class of the failure, of low cardinality; empty where the block has not said."""
        return self._error_type

    @error_type.setter
    def error_type(self, value: str) -> None:
        self._error_type = label(value, "run.error_type")

    def fail(self, error_type: str, result: RunResult | ResultName = RunResult.FAILURE) -> None:
        """Say that the run failed, without raising.

        Args:
            error_type: The class of the failure, of low cardinality: `compile_error`, not the message.
            result: `failure` (of what was run), `error` (of what runs it) or `timeout`.
        """
        self.error_type = error_type
        self.result = result

    def _begin(self) -> None:
        found = self._instruments = instruments()
        if found is None:
            return
        self._project = label(self._project, "project")
        self._pipeline = label(self._pipeline, "pipeline")
        self._pipeline_type = label(self._pipeline_type, "pipeline_type")
        self._active = found.admit_pipeline.admit((self._pipeline,))[0]
        action = label(self._action, "action")
        attributes: dict[str, AttributeValue] = {
            PROJECT: self._project,
            PIPELINE: self._pipeline,
            PIPELINE_TYPE: self._pipeline_type,
            "cicd.pipeline.action.name": action,
        }
        if self._run_id is not None:
            attributes["cicd.pipeline.run.id"] = str(self._run_id)
        if self._url is not None:
            attributes["cicd.pipeline.run.url.full"] = str(self._url)
        name = action if self._active == OVERFLOW else f"{action} {self._pipeline}"
        self._start(found.tracer, name, SpanKind.SERVER, attributes)
        found.count_active(self._active, 1)

    def _finish(self, duration_s: float, error: BaseException | None) -> None:
        found = self._instruments
        if found is None:
            return
        found.count_active(self._active, -1)
        result = self._ended_as(error)
        error_type = ""
        if result in FAILED_RESULTS:
            error_type = self._error_type or (error_type_of(error) if error is not None else OTHER)
        labels = (self._project, self._pipeline, self._pipeline_type, result.value, error_type)
        found.runs.record(found.admit_run.admit(labels), duration_s, self._exemplar())
        attributes: dict[str, AttributeValue] = {RESULT: result.value}
        if error_type:
            found.errors.add(found.admit_error.admit((self._pipeline, error_type)))
            attributes[ERROR_TYPE] = error_type
        self._end_span(attributes, error_type, error)

    def _ended_as(self, error: BaseException | None) -> RunResult:
        said = self._result
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            return said or RunResult.SUCCESS
        if said is not None and said not in (RunResult.SUCCESS, RunResult.SKIP):
            return said
        if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
            return RunResult.CANCELLATION
        return RunResult.FAILURE


def pipeline_run(
    pipeline: str,
    *,
    project: str,
    pipeline_type: str = "pipeline",
    action: str = "RUN",
    run_id: str | None = None,
    url: str | None = None,
) -> MeasuredBlock[PipelineRun]:
    """Measure the run of a pipeline: a block (`with`, `async with`), or each call of a decorated function.

    Records `cicd.pipeline.run.duration` (with project, pipeline, its type, result, class of the error),
    `cicd.pipeline.run.active`, `cicd.pipeline.run.errors` and a span that is current in the block. The result
    is `success`, or `failure` where the block raises an exception, which goes on; a cancelled task's, a
    closed generator's and Ctrl-C's run is `cancellation`; the block may set another. `sys.exit()` and
    `sys.exit(0)` are success.

    Args:
        pipeline: Its name, of low cardinality.
        project: The project that it belongs to.
        pipeline_type: What the pipeline is for, such as `build` or `deploy`.
        action: What the run does, `cicd.pipeline.action.name`: `RUN`, `BUILD` or `SYNC`.
        run_id: Identity of the run, for the span; never a metric's attribute.
        url: Where the run can be looked at, for the span likewise.

    Returns:
        A context manager, whose value is the `PipelineRun`, and decorator. A value that cannot be recorded
        is one warning, and `_OTHER`; more label sets than `ANSFLOW_BUSINESS_SERIES_LIMIT` are `__overflow__`.

    Example:
        >>> with pipeline_run("build-and-test", project="web-shop", pipeline_type="build") as run:
        ...     run.fail("compile_error")
        >>> run.result
        <RunResult.FAILURE: 'failure'>

    Source:
        https://opentelemetry.io/docs/specs/semconv/cicd/cicd-metrics/ and …/cicd/cicd-spans/
    """
    return MeasuredBlock(lambda: PipelineRun(pipeline, project, pipeline_type, action, run_id, url))
