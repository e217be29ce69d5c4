"""The dashboard `ansflow-django`: the Django service by route, status and worker."""

from . import thresholds
from .layout import Page, Section
from .panels import HALF, distribution, graph, number
from .queries import DJANGO, Query, highest, rate_by, select


def _now() -> Section:
    return Section(
        "Now",
        [
            number(
                "Request rate",
                "HTTP requests a second, over all workers. Health probes are not counted.",
                "reqps",
                [Query(DJANGO.rate_by("job"), "{{job}}")],
            ),
            number(
                "Error ratio",
                "Share of requests that ended in a 5xx; red from where AnsFlowHighErrorRate fires.",
                "percentunit",
                [Query(DJANGO.error_ratio_by("job"), "{{job}}")],
                limit=thresholds.ERROR_RATIO,
            ),
            number(
                "Latency, 95th percentile",
                "One request in twenty takes longer; red from where AnsFlowHighLatency fires.",
                "s",
                [Query(DJANGO.quantile_by(0.95, "job"), "{{job}}")],
                limit=thresholds.LATENCY_SECONDS,
            ),
            number(
                "Reporting workers",
                "Worker processes whose telemetry arrives; gunicorn's --workers is what to expect.",
                "none",
                [Query(f"count by (job) (group by (job, instance) ({select(DJANGO.requests)}))", "{{job}}")],
            ),
        ],
    )


def _requests() -> Section:
    return Section(
        "Requests",
        [
            graph(
                "Requests by route",
                "Requests a second of the ten busiest routes.",
                "reqps",
                [Query(highest(10, DJANGO.rate_by("method", "route")), "{{method}} {{route}}")],
            ),
            graph(
                "Responses by status",
                "Responses a second by status code. 4xx are the clients' mistakes, 5xx the service's.",
                "reqps",
                [Query(DJANGO.rate_by("status"), "{{status}}")],
            ),
            graph(
                "Server errors by route",
                "5xx responses a second of the ten worst routes; all zero is good news.",
                "reqps",
                [Query(highest(10, DJANGO.errors_by("method", "route")), "{{method}} {{route}}")],
            ),
            graph(
                "Requests by worker",
                "Requests a second of each worker process: an uneven share is a stuck or a new worker.",
                "reqps",
                [Query(DJANGO.rate_by("instance"), "{{instance}}")],
            ),
        ],
    )


def _latency() -> Section:
    return Section(
        "Latency",
        [
            graph(
                "Latency",
                "Median, 95th and 99th percentile of the request duration. AnsFlowHighLatency fires where "
                "the 95th crosses the line. Each dot is a request whose trace is one click away.",
                "s",
                [
                    Query(DJANGO.quantile_by(quantile, "job"), f"p{quantile * 100:g}", exemplars=True)
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
                        highest(10, DJANGO.quantile_by(0.95, "method", "route")),
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
                Query(DJANGO_BUCKETS, "{{le}}"),
            ),
            graph(
                "Requests in progress",
                "Seconds of work done a second, which is the mean number of requests in progress (Little's "
                "law): near the number of workers, requests wait.",
                "short",
                [Query(rate_by(f"{DJANGO.duration}_sum", "job"), "{{job}}")],
                width=HALF,
            ),
        ],
    )


DJANGO_BUCKETS = rate_by(f"{DJANGO.duration}_bucket", "le")
"""The latency histogram itself, for the heat map."""

DJANGO_PAGE = Page(
    uid="ansflow-django",
    title="AnsFlow Django",
    description="The Django service: requests, errors and latency by route, status and worker.",
    jobs_of=DJANGO.requests,
    sections=(_now(), _requests(), _latency()),
)
