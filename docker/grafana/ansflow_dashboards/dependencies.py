"""The dashboard `ansflow-dependencies`: what the services stand on, databases, caches and integrations."""

from . import thresholds
from .layout import Page, Section
from .panels import THIRD, graph, number
from .queries import Query, highest, quantile_by, rate_by, select, share_by

_QUERIES = "ansflow_database_query_duration_seconds"
_POOL = "db_client_connection_pool_name"
_CACHE = "ansflow_cache_operations_total"
_CALLS = "ansflow_integration_calls_total"

LOOKUP = 'status=~"hit|miss"'
"""Operations on a cache that find something or don't; a write is neither."""


def _databases() -> Section:
    used = select("db_client_connection_count", 'db_client_connection_state="used"')
    by_pool = f"sum by (job, instance, {_POOL})"
    return Section(
        "Databases",
        [
            graph(
                "Queries",
                "Queries a second of the ten busiest operations.",
                "ops",
                [
                    Query(
                        highest(10, rate_by(f"{_QUERIES}_count", "job", "database", "operation")),
                        "{{job}} {{database}} {{operation}}",
                    )
                ],
            ),
            graph(
                "Query duration",
                "95th percentile of the ten slowest operations. AnsFlowSlowQueries fires where one crosses "
                "the line. Each dot is a query whose trace is one click away.",
                "s",
                [
                    Query(
                        highest(10, quantile_by(0.95, _QUERIES, "job", "database", "operation")),
                        "{{job}} {{database}} {{operation}}",
                        exemplars=True,
                    )
                ],
                limit=thresholds.SLOW_QUERY_SECONDS,
            ),
            graph(
                "Connections",
                "Connections of the pools, used and idle ones, over all workers.",
                "short",
                [
                    Query(
                        f"sum by (job, database, state) ({select('ansflow_database_connections_active')})",
                        "{{job}} {{database}} {{state}}",
                    )
                ],
            ),
            graph(
                "Fullest pools",
                "Share of the connections that a worker's pool may open which are in use, of the ten "
                "fullest. AnsFlowDatabasePoolNearLimit fires where one stays above the line.",
                "percentunit",
                [
                    Query(
                        highest(10, f"{by_pool} ({used}) / {by_pool} ({select('db_client_connection_max')})"),
                        f"{{{{job}}}} {{{{instance}}}} {{{{{_POOL}}}}}",
                    )
                ],
                limit=thresholds.POOL_USED_RATIO,
            ),
        ],
    )


def _caches() -> Section:
    return Section(
        "Caches",
        [
            graph(
                "Hit ratio",
                "Share of look-ups that found something. AnsFlowCacheHitRatioLow fires below the line, for a "
                "cache that is in use.",
                "percentunit",
                [
                    Query(
                        share_by(_CACHE, "job", "cache", of='status="hit"', among=LOOKUP), "{{job}} {{cache}}"
                    )
                ],
                limit=thresholds.CACHE_HIT_RATIO,
                width=THIRD,
            ),
            graph(
                "Operations",
                "Operations a second by outcome: hit or miss of a look-up, ok of any other, error.",
                "ops",
                [Query(rate_by(_CACHE, "job", "cache", "status"), "{{job}} {{cache}} {{status}}")],
                width=THIRD,
            ),
            graph(
                "Failed operations",
                "Share of the operations that failed. The line is where AnsFlowCacheErrors fires.",
                "percentunit",
                [Query(share_by(_CACHE, "job", "cache", of='status="error"'), "{{job}} {{cache}}")],
                limit=thresholds.CACHE_ERROR_RATIO,
                width=THIRD,
            ),
        ],
    )


def _integrations() -> Section:
    return Section(
        "Integrations",
        [
            number(
                "Success rate",
                "Share of the calls of each service outside the platform that succeeded.",
                "percentunit",
                [Query(share_by(_CALLS, "integration_type", of='status="success"'), "{{integration_type}}")],
                limit=thresholds.INTEGRATION_SUCCESS_RATIO,
                width=THIRD,
            ),
            graph(
                "Calls",
                "Calls a second of each service outside the platform, by outcome.",
                "reqps",
                [Query(rate_by(_CALLS, "integration_type", "status"), "{{integration_type}} {{status}}")],
                width=THIRD,
            ),
            graph(
                "Failed calls",
                "Share of the calls that were answered with an error, or not at all. The line is where "
                "AnsFlowIntegrationFailing fires.",
                "percentunit",
                [Query(share_by(_CALLS, "integration_type", of='status="failed"'), "{{integration_type}}")],
                limit=thresholds.INTEGRATION_FAILURE_RATIO,
                width=THIRD,
            ),
            graph(
                "Duration of outgoing requests",
                "95th percentile by the host that was called, the platform's own among them. Each dot leads "
                "to a trace.",
                "s",
                [
                    Query(
                        highest(
                            10,
                            quantile_by(
                                0.95,
                                "http_client_request_duration_seconds",
                                "job",
                                "server_address",
                                "server_port",
                            ),
                        ),
                        "{{job}} → {{server_address}}:{{server_port}}",
                        exemplars=True,
                    )
                ],
            ),
        ],
    )


DEPENDENCIES_PAGE = Page(
    uid="ansflow-dependencies",
    title="AnsFlow dependencies",
    description="What the services stand on: databases and their pools, caches, integrations.",
    jobs_of="target_info",
    sections=(_databases(), _caches(), _integrations()),
)
