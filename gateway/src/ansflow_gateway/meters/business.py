"""The meters of the business, in the gateway's own table: declared, with the order of their labels.

Names of runs, workers and the CI system are the semantic conventions':
https://opentelemetry.io/docs/specs/semconv/cicd/cicd-metrics/.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from ansflow_gateway.domain.events import DeploymentKind, RunResult
from ansflow_gateway.meters.declaration import Declaration, Kind
from ansflow_gateway.meters.series import TableMeter

PIPELINE: Final = "cicd.pipeline.name"
RUN_STATE: Final = "cicd.pipeline.run.state"
RESULT: Final = "cicd.pipeline.result"
ERROR_TYPE: Final = "error.type"
WORKER_STATE: Final = "cicd.worker.state"
COMPONENT: Final = "cicd.system.component"
PROJECT: Final = "ansflow.project.name"
PIPELINE_TYPE: Final = "ansflow.pipeline.type"
ENVIRONMENT: Final = "ansflow.deployment.environment"
"""Where something was deployed to. Not `deployment.environment.name`, which is where the gateway itself runs:
as a resource's attribute it is a label of every series, and takes the place of a point's own."""

PENDING: Final = "pending"
EXECUTING: Final = "executing"
RUN_STATES: Final = (PENDING, EXECUTING)
"""States of `cicd.pipeline.run.state` that the events tell of: nobody says when a run is cleaning up."""

UNKNOWN_ERROR: Final = "_OTHER"
"""`error.type` of a failure whose publisher doesn't say: the conventions' own fallback."""

RUN_BOUNDS: Final = (
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    *(1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0),
)
"""Seconds to hours: a lint step takes seconds, a release build an hour, a nightly one eight."""

CALL_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those that the conventions have for HTTP clients."""


def _meter(
    kind: Kind,
    name: str,
    unit: str,
    description: str,
    labels: tuple[str, ...] = (),
    *,
    closed: Mapping[str, Sequence[str]] | None = None,
    bounds: tuple[float, ...] = (),
) -> TableMeter:
    declared = Declaration(name, kind, unit, description, frozenset(labels), bounds, tabled=True)
    return TableMeter(declared, labels, MappingProxyType(dict(closed or {})))


RUN_DURATION: Final = _meter(
    Kind.HISTOGRAM,
    "cicd.pipeline.run.duration",
    "s",
    "Time that finished pipeline runs were in a state: waiting (pending), and at work (executing)",
    (PROJECT, PIPELINE, PIPELINE_TYPE, RUN_STATE, RESULT, ERROR_TYPE),
    closed={RUN_STATE: RUN_STATES, RESULT: tuple(RunResult)},
    bounds=RUN_BOUNDS,
)
RUN_ACTIVE: Final = _meter(
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "cicd.pipeline.run.active",
    "{run}",
    "Pipeline runs that haven't ended, by their state",
    (PIPELINE, RUN_STATE),
)
RUN_ERRORS: Final = _meter(
    Kind.COUNTER,
    "cicd.pipeline.run.errors",
    "{error}",
    "Pipeline runs that failed, by the class of the failure",
    (PIPELINE, ERROR_TYPE),
)
RUNS_INCOMPLETE: Final = _meter(
    Kind.COUNTER,
    "ansflow.pipeline.runs.incomplete",
    "{run}",
    "Pipeline runs of which something never came: their end, or when they started",
    ("system", "missing"),
    closed={"missing": ("end", "start")},
)
WORKERS: Final = _meter(
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "cicd.worker.count",
    "{count}",
    "Workers seen lately that execute a task (busy), or none (available)",
    (WORKER_STATE,),
    closed={WORKER_STATE: ("available", "busy")},
)
SYSTEM_ERRORS: Final = _meter(
    Kind.COUNTER,
    "cicd.system.errors",
    "{error}",
    "Pipeline runs that the CI system itself failed to execute, by system",
    (COMPONENT, ERROR_TYPE),
)
ACTIVE_PROJECTS: Final = _meter(
    Kind.OBSERVABLE_GAUGE,
    "ansflow.active_projects",
    "{project}",
    "Projects with a finished pipeline run within the window",
)
USER_ACTIVITY: Final = _meter(
    Kind.COUNTER,
    "ansflow.user.activity",
    "{action}",
    "What users did on the platform",
    ("action", "user_type"),
)
INTEGRATION_CALLS: Final = _meter(
    Kind.COUNTER,
    "ansflow.integration.calls",
    "{call}",
    "Calls of integrations, by outcome",
    ("integration_type", "status"),
    closed={"status": ("success", "failed")},
)
INTEGRATION_DURATION: Final = _meter(
    Kind.HISTOGRAM,
    "ansflow.integration.call.duration",
    "s",
    "Time that calls of integrations took, by outcome",
    ("integration_type", "status", ERROR_TYPE),
    closed={"status": ("success", "failed")},
    bounds=CALL_BOUNDS,
)
PROJECT_CPU: Final = _meter(
    Kind.COUNTER, "ansflow.project.cpu.time", "s", "CPU time that projects used", (PROJECT,)
)
PROJECT_NETWORK: Final = _meter(
    Kind.COUNTER, "ansflow.project.network.io", "By", "Bytes that projects moved", (PROJECT,)
)
PROJECT_STORAGE: Final = _meter(
    Kind.OBSERVABLE_GAUGE,
    "ansflow.project.storage.usage",
    "By",
    "Bytes that projects have stored",
    (PROJECT,),
)
PROJECT_MEMORY: Final = _meter(
    Kind.OBSERVABLE_GAUGE, "ansflow.project.memory.usage", "By", "Memory that projects hold", (PROJECT,)
)
WEBSOCKET_CONNECTIONS: Final = _meter(
    Kind.COUNTER,
    "ansflow.websocket.connections",
    "{connection}",
    "WebSocket connections accepted.",
    ("endpoint",),
)
WEBSOCKET_DISCONNECTIONS: Final = _meter(
    Kind.COUNTER,
    "ansflow.websocket.disconnections",
    "{disconnection}",
    "WebSocket connections ended, by close code.",
    ("endpoint", "code"),
)
WEBSOCKET_MESSAGES: Final = _meter(
    Kind.COUNTER,
    "ansflow.websocket.messages",
    "{message}",
    "WebSocket messages sent and received.",
    ("endpoint", "direction"),
    closed={"direction": ("sent", "received")},
)
WEBSOCKET_ACTIVE: Final = _meter(
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "ansflow.websocket.connections.active",
    "{connection}",
    "WebSocket connections open.",
    ("endpoint",),
)
DEPLOYMENTS: Final = _meter(
    Kind.COUNTER,
    "ansflow.deployments",
    "{deployment}",
    "Deployments, roll-backs, and deployments that failed",
    (PROJECT, ENVIRONMENT, "kind"),
    closed={"kind": tuple(DeploymentKind)},
)
_DORA_LABELS: Final = (PROJECT, ENVIRONMENT, "window")
_DORA_CLOSED: Final = MappingProxyType({"window": ("7d", "30d", "90d")})
DORA_FREQUENCY: Final = _meter(
    Kind.OBSERVABLE_GAUGE,
    "ansflow.dora.deployment.frequency",
    "{deployment}/d",
    "Successful deployments a day within the window",
    _DORA_LABELS,
    closed=_DORA_CLOSED,
)
DORA_LEAD_TIME: Final = _meter(
    Kind.OBSERVABLE_GAUGE,
    "ansflow.dora.lead_time",
    "s",
    "Median time from a change to its deployment, within the window",
    _DORA_LABELS,
    closed=_DORA_CLOSED,
)
DORA_FAILURE_RATE: Final = _meter(
    Kind.OBSERVABLE_GAUGE,
    "ansflow.dora.change_failure",
    "1",
    "Share of the window's deployments that led to a roll-back or an incident",
    _DORA_LABELS,
    closed=_DORA_CLOSED,
)
DORA_RESTORE_TIME: Final = _meter(
    Kind.OBSERVABLE_GAUGE,
    "ansflow.dora.time_to_restore",
    "s",
    "Median time from an incident's detection to its resolution, within the window",
    _DORA_LABELS,
    closed=_DORA_CLOSED,
)
OVERFLOWED: Final = _meter(
    Kind.COUNTER,
    "ansflow.gateway.series.overflowed",
    "{measurement}",
    "Measurements that went to a meter's overflow series, as it has as many series as it may",
    ("instrument",),
)
SPANS_DROPPED: Final = _meter(
    Kind.COUNTER,
    "ansflow.gateway.spans.dropped",
    "{span}",
    "Spans of runs that were given up, as too many waited for a Collector",
)

METERS: Final = (
    RUN_DURATION,
    RUN_ACTIVE,
    RUN_ERRORS,
    RUNS_INCOMPLETE,
    WORKERS,
    SYSTEM_ERRORS,
    ACTIVE_PROJECTS,
    USER_ACTIVITY,
    INTEGRATION_CALLS,
    INTEGRATION_DURATION,
    PROJECT_CPU,
    PROJECT_NETWORK,
    PROJECT_STORAGE,
    PROJECT_MEMORY,
    WEBSOCKET_CONNECTIONS,
    WEBSOCKET_DISCONNECTIONS,
    WEBSOCKET_MESSAGES,
    WEBSOCKET_ACTIVE,
    DEPLOYMENTS,
    DORA_FREQUENCY,
    DORA_LEAD_TIME,
    DORA_FAILURE_RATE,
    DORA_RESTORE_TIME,
    OVERFLOWED,
    SPANS_DROPPED,
)
"""All meters of the table."""
