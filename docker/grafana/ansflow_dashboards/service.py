"""What a dashboard of one HTTP service shows: requests, errors and latency by route, status and worker."""

from . import thresholds
from .layout import Section
from .panels import HALF, distribution, graph, number
from .queries import HttpMetrics, Query, highest, rate_by, select


def sections(http: HttpMetrics, started_with: str) -> tuple[Section, ...]:
    """Return the rows of a service's dashboard.

    Args:
        http: The published names of its requests.
        started_with: What says how many workers there should be; ends the description of their number.
    """
    return (_now(http, started_with), _requests(http), _latency(http))


def _now(http: HttpMetrics, started_with: str) -> Section:
    return Section(
        "Now",
        [
            number(
                "Request rate",
                "HTTP requests a second, over all workers. Health probes are not counted.",
                "reqps",
                [Query(http.rate_by("job"), "{{job}}")],
            ),
            number(
                "Error ratio",
                "Share of requests that ended in a 5xx; red from where AnsFlowHighErrorRate fires.",
                "percentunit",
                [Query(http.error_ratio_by("job"), "{{job}}")],
                limit=thresholds.ERROR_RATIO,
            ),
            number(
                "Latency, 95th percentile",
                "One request in twenty takes longer; red from where AnsFlowHighLatency fires.",
                "s",
                [Query(http.quantile_by(0.95, "job"), "{{job}}")],
                limit=thresholds.LATENCY_SECONDS,
            ),
            number(
                "Reporting workers",
                f"Worker processes whose telemetry arrives; {started_with}.",
                "none",
                [Query(f"count by (job) (group by (job, instance) ({select(http.requests)}))", "{{job}}")],
            ),
        ],
    )


def _requests(http: HttpMetrics) -> Section:
    return Section(
        "Requests",
        [
            graph(
                "Requests by route",
                "Requests a second of the ten busiest routes.",
                "reqps",
                [Query(highest(10, http.rate_by("method", "route")), "{{method}} {{route}}")],
            ),
            graph(
                "Responses by status",
                "Responses a second by status code. 4xx are the clients' mistakes, 5xx the service's.",
                "reqps",
                [Query(http.rate_by("status"), "{{status}}")],
            ),
            graph(
                "Server errors by route",
                "5xx responses a second of the ten worst routes; all zero is good news.",
                "reqps",
                [Query(highest(10, http.errors_by("method", "route")), "{{method}} {{route}}")],
            ),
            graph(
                "Requests by worker",
                "Requests a second of each worker process: an uneven share is a stuck or a new worker.",
                "reqps",
                [Query(http.rate_by("instance"), "{{instance}}")],
            ),
        ],
    )


def _latency(http: HttpMetrics) -> Section:
    return Section(
        "Latency",
        [
            graph(
                "Latency",
                "Median, 95th and 99th percentile of the request duration. AnsFlowHighLatency fires where "
                "the 95th crosses the line. Each dot is a request whose trace is one click away.",
                "s",
                [
                    Query(http.quantile_by(quantile, "job"), f"p{quantile * 100:g}", exemplars=True)
                    for quantile in (0.5, 0.95, 0.99)
                ],
                limit=thresholds.LATENCY_SECONDS,
            ),
            graph(
                "Latency by route",
                "95th percentile of the ten slowest routes. Each dot leads to a trace.",
                "s",
                [
                    Query(
                        highest(10, http.quantile_by(0.95, "method", "route")),
                        "{{method}} {{route}}",
                        exemplars=True,
                    )
                ],
                limit=thresholds.LATENCY_SECONDS,
            ),
            distribution(
                "Distribution of durations",
                "How many requests a second took how long; two bands are two kinds of request.",
                "s",
                Query(rate_by(f"{http.duration}_bucket", "le"), "{{le}}"),
            ),
            graph(
                "Requests in progress",
                "Seconds of work done a second, which is the mean number of requests in progress (Little's "
                "law): near the number of workers, requests wait.",
                "short",
                [Query(rate_by(f"{http.duration}_sum", "job"), "{{job}}")],
                width=HALF,
            ),
        ],
    )
