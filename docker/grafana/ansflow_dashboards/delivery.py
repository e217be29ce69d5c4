"""The dashboard `ansflow-delivery`: DORA's figures, and how runs of pipelines get to run."""

from . import thresholds
from .layout import Page, Section
from .panels import THIRD, graph, number
from .queries import Query, highest, quantile_by, rate_by, rate_or_zero, whole

_PROJECT = "ansflow_project_name"
_ENVIRONMENT = "ansflow_deployment_environment"
_BY_ENVIRONMENT = f"{{{{{_ENVIRONMENT}}}}}"
_BY_PROJECT = f"{{{{{_PROJECT}}}}} {_BY_ENVIRONMENT}"
_MONTH = 'window="30d"'
_FREQUENCY = "ansflow_dora_deployment_frequency_per_day"
_LEAD_TIME = "ansflow_dora_lead_time_seconds"
_FAILURE_RATE = "ansflow_dora_change_failure_ratio"
_RESTORE_TIME = "ansflow_dora_time_to_restore_seconds"


def _by_project(figure: str) -> list[Query]:
    return [Query(highest(10, whole(figure, _PROJECT, _ENVIRONMENT, where=_MONTH)), _BY_PROJECT)]


def _worst(figure: str) -> list[Query]:
    return [
        Query(
            f"max by ({_ENVIRONMENT}) ({whole(figure, _PROJECT, _ENVIRONMENT, where=_MONTH)})",
            _BY_ENVIRONMENT,
        )
    ]


def _dora() -> Section:
    return Section(
        "DORA, over 30 days",
        [
            number(
                "Deployment frequency",
                "Successful deployments a day to each environment, of all projects together.",
                "none",
                [
                    Query(
                        f"sum by ({_ENVIRONMENT}) "
                        f"({whole(_FREQUENCY, _PROJECT, _ENVIRONMENT, where=_MONTH)})",
                        _BY_ENVIRONMENT,
                    )
                ],
                decimals=2,
            ),
            number(
                "Longest lead time for changes",
                "Median time from a change to its deployment, of the project where it takes longest.",
                "s",
                _worst(_LEAD_TIME),
            ),
            number(
                "Highest change failure rate",
                "Share of the deployments that led to a roll-back or an incident, of the project where it is "
                "highest.",
                "percentunit",
                _worst(_FAILURE_RATE),
            ),
            number(
                "Longest time to restore",
                "Median time from an incident's detection to its resolution, of the project where it takes "
                "longest.",
                "s",
                _worst(_RESTORE_TIME),
            ),
        ],
    )


def _projects() -> Section:
    return Section(
        "DORA by project, over 30 days",
        [
            graph(
                "Deployment frequency by project",
                "Successful deployments a day, of the ten projects and environments with most.",
                "short",
                _by_project(_FREQUENCY),
            ),
            graph(
                "Lead time by project",
                "Median time from a change's creation, or its merge, to the first deployment that has it; "
                "the ten longest.",
                "s",
                _by_project(_LEAD_TIME),
            ),
            graph(
                "Change failure rate by project",
                "Share of the deployments that were rolled back or are blamed for an incident; ten highest.",
                "percentunit",
                _by_project(_FAILURE_RATE),
            ),
            graph(
                "Time to restore by project",
                "Median time from an incident's detection to its resolution; the ten longest.",
                "s",
                _by_project(_RESTORE_TIME),
            ),
            graph(
                "Deployment frequency by window",
                "Successful deployments a day of all projects, within 7, 30 and 90 days: the shorter window "
                "above the longer is more than usual.",
                "short",
                [
                    Query(whole(_FREQUENCY, _ENVIRONMENT, "window"), f"{_BY_ENVIRONMENT} {{{{window}}}}"),
                ],
            ),
            graph(
                "Deployments by kind",
                "Deployments, roll-backs, and deployments that failed, an hour.",
                "short",
                [
                    Query(
                        f"3600 * {rate_by('ansflow_deployments_total', _ENVIRONMENT, 'kind')}",
                        f"{_BY_ENVIRONMENT} {{{{kind}}}}",
                    )
                ],
            ),
        ],
    )


def _runs() -> Section:
    return Section(
        "Runs of pipelines",
        [
            graph(
                "Time in the queue",
                "95th percentile of how long a project's finished runs had waited before they started, of "
                "the ten longest. AnsFlowRunsQueueLong fires above the line.",
                "s",
                [
                    Query(
                        highest(
                            10,
                            quantile_by(
                                0.95,
                                "cicd_pipeline_run_duration_seconds",
                                _PROJECT,
                                where='cicd_pipeline_run_state="pending"',
                            ),
                        ),
                        f"{{{{{_PROJECT}}}}}",
                    )
                ],
                limit=thresholds.QUEUE_SECONDS,
                width=THIRD,
            ),
            graph(
                "Runs under way",
                "Runs that haven't ended: pending ones wait, executing ones are at work.",
                "short",
                [
                    Query(
                        whole("cicd_pipeline_run_active", "cicd_pipeline_run_state"),
                        "{{cicd_pipeline_run_state}}",
                    )
                ],
                width=THIRD,
            ),
            graph(
                "Workers",
                "Workers seen lately, by whether they execute a task. None available while runs wait is "
                "AnsFlowWorkersExhausted.",
                "short",
                [Query(whole("cicd_worker_count", "cicd_worker_state"), "{{cicd_worker_state}}")],
                width=THIRD,
            ),
            graph(
                "Failed runs by class",
                "Runs that failed, a minute, by the ten most frequent classes of failure; _OTHER where "
                "nobody says.",
                "cpm",
                [
                    Query(
                        f"60 * {highest(10, rate_by('cicd_pipeline_run_errors_total', 'error_type'))}",
                        "{{error_type}}",
                    )
                ],
                width=THIRD,
            ),
            graph(
                "Errors of the CI system",
                "Runs a minute that the system itself failed to execute: AnsFlowCiSystemErrors.",
                "cpm",
                [
                    Query(
                        f"60 * {rate_by('cicd_system_errors_total', 'cicd_system_component', 'error_type')}",
                        "{{cicd_system_component}} {{error_type}}",
                    )
                ],
                width=THIRD,
            ),
            graph(
                "Runs of which something never came",
                "Runs a minute whose end, or start, was given up: AnsFlowRunsIncomplete.",
                "cpm",
                [
                    Query(
                        "60 * ("
                        + rate_or_zero(
                            "ansflow_pipeline_runs_incomplete_total",
                            "job",
                            "system",
                            "missing",
                            beside="ansflow_gateway_events_accepted_total",
                        )
                        + ")",
                        "{{job}} {{system}} {{missing}}",
                    )
                ],
                width=THIRD,
            ),
        ],
    )


DELIVERY_PAGE = Page(
    uid="ansflow-delivery",
    title="AnsFlow delivery",
    description="DORA's figures by project and environment; queues, workers and failures of pipelines.",
    jobs_of="ansflow_gateway_store_available",
    sections=(_dora(), _projects(), _runs()),
)
