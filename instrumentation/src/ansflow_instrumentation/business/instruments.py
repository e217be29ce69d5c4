"""The instruments of the business API, made when they are needed and there is somebody to record for."""

import os
import threading
from collections.abc import Iterable
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.util.types import Attributes

from ansflow_instrumentation.business.labels import OVERFLOW, LabelSetLimiter, series_limit, warn_once
from ansflow_instrumentation.version import __version__

__all__ = ["Instruments", "instruments"]

SCOPE: Final = "ansflow_instrumentation.business"

PIPELINE: Final = "cicd.pipeline.name"
RUN_STATE: Final = "cicd.pipeline.run.state"
RESULT: Final = "cicd.pipeline.result"
ERROR_TYPE: Final = "error.type"
PROJECT: Final = "ansflow.project.name"
PIPELINE_TYPE: Final = "ansflow.pipeline.type"

INTEGRATION_TYPE: Final = "ansflow.integration.type"

EXECUTING: Final = "executing"
"""The state of a run while its block runs."""

RUN_BOUNDS: Final = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
"""Seconds to hours, as the gateway's catalogue has them, so that the histograms of both add up."""

CALL_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""As HTTP durations have them, https://opentelemetry.io/docs/specs/semconv/http/http-metrics/, in seconds."""

RunKey = tuple[str, str, str, str, str]
"""Project, pipeline, type of pipeline, result, and the class of the error or an empty text."""

FAILED_RESULTS: Final = frozenset({"failure", "error", "timeout"})
"""Results of runs that failed, and so have an `error.type`."""


class Instruments:
    """What the business API records on.

    Names and attributes are those of the gateway's catalogue, and of
    https://opentelemetry.io/docs/specs/semconv/cicd/cicd-metrics/.

    Attributes:
        tracer: Starts the blocks' spans.
        runs: Durations of finished runs, in seconds.
        errors: Failed runs.
        activity: What users did.
        calls: Calls of integrations.
        call_durations: Their durations, in seconds.
    """

    def __init__(self) -> None:
        # Imported here, as they import the SDK: an application without one should not pay for it.
        from ansflow_instrumentation.recording import CounterSeries, HistogramSeries

        meter = metrics.get_meter(SCOPE, __version__)
        self.tracer = trace.get_tracer(SCOPE, __version__)
        self.runs: HistogramSeries[RunKey] = HistogramSeries(
            meter.create_histogram(
                "cicd.pipeline.run.duration",
                unit="s",
                description="Time that finished pipeline runs executed",
                explicit_bucket_boundaries_advisory=RUN_BOUNDS,
            ),
            _run_attributes,
        )
        self.errors: CounterSeries[tuple[str, str]] = CounterSeries(
            meter.create_counter(
                "cicd.pipeline.run.errors",
                unit="{error}",
                description="Pipeline runs that failed, by the class of the failure",
            ),
            lambda key: {PIPELINE: key[0], ERROR_TYPE: key[1]},
        )
        self.activity: CounterSeries[tuple[str, str]] = CounterSeries(
            meter.create_counter(
                "ansflow.user.activity", unit="{action}", description="What users did on the platform"
            ),
            lambda key: {"action": key[0], "user_type": key[1]},
        )
        self.calls: CounterSeries[tuple[str, str]] = CounterSeries(
            meter.create_counter(
                "ansflow.integration.calls", unit="{call}", description="Calls of integrations, by outcome"
            ),
            _call_attributes,
        )
        self.call_durations: HistogramSeries[tuple[str, str]] = HistogramSeries(
            meter.create_histogram(
                "ansflow.integration.call.duration",
                unit="s",
                description="Time that calls of integrations took, by outcome",
                explicit_bucket_boundaries_advisory=CALL_BOUNDS,
            ),
            _call_attributes,
        )
        meter.create_observable_up_down_counter(
            "cicd.pipeline.run.active",
            callbacks=[self._observe_active],
            unit="{run}",
            description="Pipeline runs that are executing",
        )
        limit = series_limit(os.environ)
        self.admit_run = LabelSetLimiter("cicd.pipeline.run.duration", limit, _overflow_run)
        self.admit_pipeline = LabelSetLimiter("cicd.pipeline.run.active", limit, _overflow)
        self.admit_error = LabelSetLimiter("cicd.pipeline.run.errors", limit, _overflow)
        self.admit_activity = LabelSetLimiter("ansflow.user.activity", limit, _overflow)
        self.admit_integration = LabelSetLimiter("ansflow.integration.calls", limit, _overflow)
        self._active: dict[str, int] = {}
        self._lock = threading.Lock()

    def count_active(self, pipeline: str, change: int) -> None:
        """Change the number of a pipeline's runs that are executing in this process.

        Args:
            pipeline: Admitted by `admit_pipeline`.
            change: 1 or -1.
        """
        with self._lock:
            self._active[pipeline] = self._active.get(pipeline, 0) + change

    def start_over_in_child(self) -> None:
        """Forget, in a forked child, the parent's active runs, and locks that its threads may have held."""
        self._lock = threading.Lock()
        self._active = {}
        for limiter in (
            self.admit_run,
            self.admit_pipeline,
            self.admit_error,
            self.admit_activity,
            self.admit_integration,
        ):
            limiter.renew_lock()

    def _observe_active(self, options: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, {PIPELINE: pipeline, RUN_STATE: EXECUTING})
            for pipeline, count in self._active.copy().items()
        ]


class _Found:
    """The process's instruments; None before they are needed, and while there is no SDK."""

    instruments: Instruments | None = None
    lock = threading.Lock()


def instruments() -> Instruments | None:
    """Give the instruments, made at the first call after an SDK's providers were set.

    Returns:
        The instruments; None while there is nobody to record for.
    """
    found = _Found.instruments
    return found if found is not None else _make()


def _make() -> Instruments | None:
    if not _has_sdk():
        return None
    with _Found.lock:
        if _Found.instruments is None:
            try:
                _Found.instruments = Instruments()
            except Exception as error:  # noqa: BLE001 # telemetry must not stop the application
                warn_once("instruments", "The business instruments could not be made: %r", error, error=error)
        return _Found.instruments


def _has_sdk() -> bool:
    """Tell whether somebody set a provider: the API's own, which are there before, do nothing."""
    return not (
        type(metrics.get_meter_provider()).__module__.startswith("opentelemetry.metrics")
        and type(trace.get_tracer_provider()).__module__.startswith("opentelemetry.trace")
    )


def _start_over_in_child() -> None:
    _Found.lock = threading.Lock()
    if _Found.instruments is not None:
        _Found.instruments.start_over_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)


def _run_attributes(key: RunKey) -> Attributes:
    project, pipeline, pipeline_type, result, error_type = key
    attributes = {
        PROJECT: project,
        PIPELINE: pipeline,
        PIPELINE_TYPE: pipeline_type,
        RUN_STATE: EXECUTING,
        RESULT: result,
    }
    return {**attributes, ERROR_TYPE: error_type} if error_type else attributes


def _call_attributes(key: tuple[str, str]) -> Attributes:
    return {"integration_type": key[0], "status": key[1]}


def _overflow_run(labels: tuple[str, ...]) -> tuple[str, ...]:
    result = labels[3]
    return OVERFLOW, OVERFLOW, OVERFLOW, result, OVERFLOW if result in FAILED_RESULTS else ""


def _overflow(labels: tuple[str, ...]) -> tuple[str, ...]:
    return (OVERFLOW,) * len(labels)
