"""PromQL as the panels use it: selectors are templated, counters are rates over the panel's interval."""

from dataclasses import dataclass

SELECT = 'job=~"$job",instance=~"$instance"'
"""The matchers that every selector carries, so that the dashboard's variables narrow every panel."""

SERVER_ERROR = 'status=~"5.."'
"""A response that is the service's own fault; 4xx are its clients'."""

FAILED = 'status=~"failed|error|timeout"'
"""The results of a pipeline run that count as failures; see docker/prometheus/rules/services.yml."""

JUDGED = 'status!~"cancellation|skip"'
"""The results that count at all: a cancelled or skipped run is no verdict."""


@dataclass(frozen=True)
class Query:
    """One target of a panel.

    Attributes:
        expr: PromQL with dashboard variables in it.
        legend: Grafana's legend template, with `{{label}}` for a label's value.
        exemplars: Whether Grafana asks for exemplars too, which it draws as dots that lead to a trace.
    """

    expr: str
    legend: str
    exemplars: bool = False


@dataclass(frozen=True)
class HttpMetrics:
    """The pair of published names under which one kind of service counts and times its requests.

    Attributes:
        requests: The counter's name.
        duration: The histogram's name, without `_bucket`.
    """

    requests: str
    duration: str

    def rate_by(self, *labels: str) -> str:
        """Return requests a second by the labels."""
        return rate_by(self.requests, *labels)

    def errors_by(self, *labels: str) -> str:
        """Return server errors a second by the labels, 0 where there were none.

        A service that never failed has no series with a 5xx status; without the zeros its panel would say
        "No data", which reads like a broken panel.
        """
        return f"{rate_by(self.requests, *labels, where=SERVER_ERROR)} or 0 * {self.rate_by(*labels)}"

    def error_ratio_by(self, *labels: str) -> str:
        """Return the share of requests that ended in a server error, 0 to 1; NaN without requests."""
        return f"({self.errors_by(*labels)}) / {self.rate_by(*labels)}"

    def quantile_by(self, quantile: float, *labels: str) -> str:
        """Return the quantile of the duration in seconds by the labels."""
        return quantile_by(quantile, self.duration, *labels)


FASTAPI = HttpMetrics("ansflow_http_requests_total", "ansflow_http_request_duration_seconds")
DJANGO = HttpMetrics("django_http_requests_total", "django_request_duration_seconds")


def select(metric: str, where: str = "") -> str:
    """Return a templated selector of the metric (of any, where it is empty), narrowed by further matchers."""
    return f"{metric}{{{SELECT}{',' if where else ''}{where}}}"


def rate_by(counter: str, *labels: str, where: str = "") -> str:
    """Return the counter's increase a second, summed by the labels over all workers and scopes."""
    return f"sum by ({', '.join(labels)}) (rate({select(counter, where)}[$__rate_interval]))"


def rate_or_zero(counter: str, *labels: str, beside: str) -> str:
    """Return `rate_by`, and a flat zero where the counter has no series yet; `HttpMetrics.errors_by` has why.

    Args:
        counter: Its name; one whose first series comes with its first increase.
        *labels: What is kept; the zero has `job` alone.
        beside: A counter that is there from the start.
    """
    return f"{rate_by(counter, *labels)} or 0 * {rate_by(beside, 'job')}"


def whole(gauge: str, *labels: str, where: str = "") -> str:
    """Return a gauge of a whole store by the labels: what its leader tells.

    A gateway that comes to lead tells the same as the one before, whose series are served for some minutes
    more: their maximum is what there is, where their sum would be twice that.
    """
    kept = ", ".join(labels)
    return f"max by ({kept}) (sum by (job, instance, {kept}) ({select(gauge, where)}))"


def share_by(counter: str, *labels: str, of: str, among: str = "") -> str:
    """Return the share of a counter's increase that has certain matchers, 0 to 1, by the labels.

    It is 0, not absent, where there was none yet: `HttpMetrics.errors_by` has the reason.

    Args:
        counter: Its name.
        *labels: What is kept.
        of: Matchers of the share.
        among: Matchers of the whole; none for all.
    """
    whole = rate_by(counter, *labels, where=among)
    return f"({rate_by(counter, *labels, where=of)} or 0 * {whole}) / {whole}"


def quantile_by(quantile: float, histogram: str, *labels: str, where: str = "") -> str:
    """Return the histogram's quantile (0 to 1) by the labels, in the histogram's unit."""
    return f"histogram_quantile({quantile:g}, {rate_by(f'{histogram}_bucket', *labels, 'le', where=where)})"


def highest(count: int, expr: str) -> str:
    """Return the `count` highest series of the expression, to keep a panel readable where labels are many."""
    return f"topk({count}, {expr})"
