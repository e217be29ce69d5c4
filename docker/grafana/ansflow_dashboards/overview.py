"""The dashboard `ansflow-overview`: is the platform well, and if not, which part of it?"""

from . import availability, thresholds
from .layout import Page, Section
from .panels import HALF, QUARTER, THIRD, graph, number, status, status_history
from .queries import (
    DJANGO,
    FAILED,
    FASTAPI,
    JUDGED,
    HttpMetrics,
    Query,
    highest,
    quantile_by,
    rate_by,
    select,
)

_BOTH: tuple[HttpMetrics, ...] = (FASTAPI, DJANGO)
_HEALTH = "ansflow_health_check_status"
_RUNS = "ansflow_pipelines_total"
_RUN_DURATION = "ansflow_pipeline_duration_seconds"


def _health() -> Section:
    overall = select(_HEALTH, 'check="overall"')
    return Section(
        "Health",
        [
            status(
                "Service health",
                "The gateway's probe of each service's /health/: failing means a 503, or nobody answers.",
                [Query(f"max by (service) ({overall})", "{{service}}")],
            ),
            number(
                "Active projects",
                "Projects with a pipeline run that finished in the gateway's window (one hour by default).",
                "none",
                [Query(f"max({select('ansflow_active_projects_total')})", "projects")],
            ),
            number(
                "Reporting processes",
                "Processes whose telemetry arrives, by job. Fewer than you started: one is down, or cut off.",
                "none",
                [Query(f"count by (job) ({select('target_info')})", "{{job}}")],
            ),
            status_history(
                "Health checks",
                "Each check of each service over time: what failed first tells what to mend.",
                [Query(f"max by (service, check) ({select(_HEALTH)})", "{{service}} {{check}}")],
                width=HALF * 2,
            ),
        ],
    )


def _services() -> Section:
    return Section(
        "Services",
        [
            graph(
                "Request rate",
                "HTTP requests a second to each service, over all workers. Health probes are not counted.",
                "reqps",
                [Query(http.rate_by("job"), "{{job}}") for http in _BOTH],
            ),
            graph(
                "Error ratio",
                "Share of requests that ended in a 5xx. The line is where AnsFlowHighErrorRate fires.",
                "percentunit",
                [Query(http.error_ratio_by("job"), "{{job}}") for http in _BOTH],
                limit=thresholds.ERROR_RATIO,
            ),
            graph(
                "Latency",
                "Median and 95th percentile of the request duration. AnsFlowHighLatency fires where the 95th "
                "crosses the line. Each dot is a request whose trace is one click away.",
                "s",
                [
                    Query(
                        http.quantile_by(quantile, "job"), f"{{{{job}}}} p{quantile * 100:g}", exemplars=True
                    )
                    for http in _BOTH
                    for quantile in (0.5, 0.95)
                ],
                limit=thresholds.LATENCY_SECONDS,
            ),
            graph(
                "Responses by status",
                "HTTP responses a second by status code. 4xx are the clients' mistakes, 5xx the service's.",
                "reqps",
                [Query(http.rate_by("job", "status"), "{{job}} {{status}}") for http in _BOTH],
            ),
            graph(
                "Slowest routes",
                "The five routes of each service with the highest 95th percentile. A dot leads to a trace.",
                "s",
                [
                    Query(
                        highest(5, http.quantile_by(0.95, "job", "route")),
                        "{{job}} {{route}}",
                        exemplars=True,
                    )
                    for http in _BOTH
                ],
                limit=thresholds.LATENCY_SECONDS,
            ),
            graph(
                "Server errors by route",
                "5xx responses a second of the five worst routes of each service; all zero is good news.",
                "reqps",
                [Query(highest(5, http.errors_by("job", "route")), "{{job}} {{route}}") for http in _BOTH],
            ),
        ],
    )


def _host() -> Section:
    return Section(
        "Host",
        [
            graph(
                "CPU",
                "Share of all CPUs' time that was not idle. The line is where AnsFlowCpuHigh fires.",
                "percent",
                [Query(f"max by (host) ({select('ansflow_system_cpu_usage_percent')})", "{{host}}")],
                limit=thresholds.CPU_PERCENT,
                width=THIRD,
            ),
            graph(
                "Memory",
                "Memory that is not available to processes; page cache counts as available. The line is "
                "where AnsFlowMemoryHigh fires.",
                "percent",
                [Query(f"max by (host) ({select('ansflow_system_memory_usage_percent')})", "{{host}}")],
                limit=thresholds.MEMORY_PERCENT,
                width=THIRD,
            ),
            graph(
                "Disk",
                "How full each filesystem is. The lines are where AnsFlowDiskUsageHigh and "
                "AnsFlowDiskAlmostFull fire.",
                "percent",
                [
                    Query(
                        f"max by (host, mountpoint) ({select('ansflow_system_disk_usage_percent')})",
                        "{{host}} {{mountpoint}}",
                    )
                ],
                limit=thresholds.DISK_PERCENT,
                width=THIRD,
            ),
        ],
    )


def _pipelines() -> Section:
    failed = rate_by(_RUNS, "project", where=FAILED)
    judged = rate_by(_RUNS, "project", where=JUDGED)
    return Section(
        "Pipelines",
        [
            graph(
                "Finished runs by status",
                "Pipeline runs that finished, a minute, by their result.",
                "cpm",
                [Query(f"60 * {rate_by(_RUNS, 'status')}", "{{status}}")],
            ),
            graph(
                "Failure ratio by project",
                "Share of a project's runs that ended in failure, error or timeout; cancelled and skipped "
                "runs don't count. AnsFlowPipelineFailures compares it over half an hour with the line.",
                "percentunit",
                [Query(f"({failed} or 0 * {judged}) / {judged}", "{{project}}")],
                limit=thresholds.PIPELINE_FAILURE_RATIO,
            ),
            graph(
                "Run duration by type",
                "Median and 95th percentile of how long runs took, by the pipeline's type.",
                "s",
                [
                    Query(
                        quantile_by(quantile, _RUN_DURATION, "pipeline_type"),
                        f"{{{{pipeline_type}}}} p{quantile * 100:g}",
                    )
                    for quantile in (0.5, 0.95)
                ],
            ),
            graph(
                "Slowest pipelines",
                "The five pipelines with the highest 95th percentile of their runs' duration.",
                "s",
                [
                    Query(
                        highest(5, quantile_by(0.95, _RUN_DURATION, "project", "pipeline")),
                        "{{project}} {{pipeline}}",
                    )
                ],
            ),
        ],
    )


def _users() -> Section:
    activity = "ansflow_user_activity_total"
    return Section(
        "Users",
        [
            graph(
                "Activity by action",
                "What users do, actions a minute.",
                "cpm",
                [Query(f"60 * {rate_by(activity, 'action')}", "{{action}}")],
            ),
            graph(
                "Activity by type of user",
                "Who does it, actions a minute; no single user is ever a label.",
                "cpm",
                [Query(f"60 * {rate_by(activity, 'user_type')}", "{{user_type}}")],
                width=QUARTER,
            ),
            graph(
                "Events taken by the gateway",
                "Events that the gateway accepted, a minute, by type: the source of the pipelines and users.",
                "epm",
                [
                    Query(
                        f"60 * {rate_by('ansflow_gateway_events_accepted_total', 'event_type')}",
                        "{{event_type}}",
                    )
                ],
                width=QUARTER,
            ),
        ],
    )


OVERVIEW = Page(
    uid="ansflow-overview",
    title="AnsFlow overview",
    description="Health, availability, traffic, host, pipelines and users of the platform on one page.",
    jobs_of="target_info",
    sections=(_health(), availability.section(), _services(), _host(), _pipelines(), _users()),
)
