"""Every threshold that a panel draws, in one place.

Where an alert compares with the same quantity the number is the alert's own (docker/prometheus/rules); a unit
test reads the rules and keeps the two equal.
"""

from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

GREEN = "green"
ORANGE = "orange"
RED = "red"


@dataclass(frozen=True)
class Limit:
    """A quantity's limit: fine below `warning`, bad from `critical` on.

    Attributes:
        warning: Where the colour turns to orange, in the panel's unit.
        critical: Where it turns to red; None where the first limit is all there is, which is then red.
    """

    warning: float
    critical: float | None = None

    def steps(self) -> ThresholdsConfig:
        """Return the limit as Grafana's steps, which begin with a base colour that has no value."""
        base = Threshold(value=None, color=GREEN)
        if self.critical is None:
            return _steps(base, Threshold(value=self.warning, color=RED))
        return _steps(
            base, Threshold(value=self.warning, color=ORANGE), Threshold(value=self.critical, color=RED)
        )


@dataclass(frozen=True)
class Floor:
    """The least that a quantity should be: bad below it, fine from it on.

    Attributes:
        warning: In the panel's unit.
    """

    warning: float

    def steps(self) -> ThresholdsConfig:
        """Return the floor as Grafana's steps, which begin with a base colour that has no value."""
        return _steps(Threshold(value=None, color=RED), Threshold(value=self.warning, color=GREEN))


CPU_PERCENT = Limit(warning=85)
"""AnsFlowCpuHigh."""

MEMORY_PERCENT = Limit(warning=90)
"""AnsFlowMemoryHigh."""

DISK_PERCENT = Limit(warning=85, critical=95)
"""AnsFlowDiskUsageHigh and AnsFlowDiskAlmostFull."""

ERROR_RATIO = Limit(warning=0.05)
"""AnsFlowHighErrorRate."""

LATENCY_SECONDS = Limit(warning=1)
"""AnsFlowHighLatency, of the 95th percentile."""

PIPELINE_FAILURE_RATIO = Limit(warning=0.25)
"""AnsFlowPipelineFailures."""

POOL_USED_RATIO = Limit(warning=0.9)
"""AnsFlowDatabasePoolNearLimit."""

SLOW_QUERY_SECONDS = Limit(warning=0.5)
"""AnsFlowSlowQueries, of the 95th percentile."""

CACHE_HIT_RATIO = Floor(warning=0.5)
"""AnsFlowCacheHitRatioLow."""

CACHE_ERROR_RATIO = Limit(warning=0.05)
"""AnsFlowCacheErrors."""

INTEGRATION_FAILURE_RATIO = Limit(warning=0.2)
"""AnsFlowIntegrationFailing."""

INTEGRATION_SUCCESS_RATIO = Floor(warning=1 - INTEGRATION_FAILURE_RATIO.warning)
"""The same limit from the other side."""

EVENT_LOOP_LAG_SECONDS = Limit(warning=0.1)
"""AnsFlowEventLoopBlocked, of the 99th percentile."""

WAITING_CALLS = Limit(warning=0)
"""AnsFlowThreadPoolExhausted: any that wait all the time."""

WEBSOCKET_ABNORMAL_RATIO = Limit(warning=0.25)
"""AnsFlowWebSocketsBreak."""


BURN_RATE = Limit(warning=3, critical=14.4)
"""AnsFlowErrorBudgetBurnsSlowly of a day, and AnsFlowErrorBudgetBurnsFast of an hour."""

ERROR_BUDGET = Floor(warning=0)
"""Spent below."""

PROBE_SECONDS = Limit(warning=1)
"""AnsFlowHealthProbeSlow, of the 95th percentile."""

COMMIT_SECONDS = Limit(warning=0.25)
"""AnsFlowGatewayCommitsSlow, of the 99th percentile."""

SHED_EVENTS = Limit(warning=0)
"""AnsFlowGatewaySheds: any."""

REJECTED_RATIO = Limit(warning=0.1)
"""AnsFlowGatewayRejectsMany."""

SPOOLED_EVENTS = Limit(warning=0)
"""AnsFlowGatewaySpoolWaits: any that wait all the time."""

SPOOL_USED_RATIO = Limit(warning=0.8)
"""AnsFlowGatewaySpoolAlmostFull."""

FAILED_PUSHES = Limit(warning=0)
"""AnsFlowGatewayPushesFail: any that fail again and again."""

LEADERS = Floor(warning=1)
"""AnsFlowGatewayNoLeader."""

QUEUE_SECONDS = Limit(warning=600)
"""AnsFlowRunsQueueLong, of the 95th percentile."""


def healthy_from_one() -> ThresholdsConfig:
    """Return the steps of a 0/1 status: red at 0, green at 1."""
    return _steps(Threshold(value=None, color=RED), Threshold(value=1, color=GREEN))


def none() -> ThresholdsConfig:
    """Return steps without a limit, since Grafana's default draws one at 80 on every panel."""
    return _steps(Threshold(value=None, color=GREEN))


def _steps(*steps: Threshold) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(steps))
