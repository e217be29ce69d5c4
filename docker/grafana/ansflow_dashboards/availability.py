"""What the overview shows of the services' availability: the gateway's probes against their objective."""

from . import thresholds
from .layout import Section
from .panels import HALF, graph, number
from .queries import Query, quantile_by, select

_BUDGET = "ansflow_availability_error_budget_ratio"
_MONTH = 'window="30d"'
_SHORT = 'window=~"1h|24h"'


def section() -> Section:
    """Return the row."""
    available = select("ansflow_availability_ratio", _MONTH)
    return Section(
        "Availability",
        [
            number(
                "Availability over 30 days",
                "Share of a service's probes that passed, of those made so far.",
                "percentunit",
                [Query(f"max by (service) ({available})", "{{service}}")],
                width=HALF,
                decimals=3,
            ),
            number(
                "Error budget left of 30 days",
                "Share of the failures allowed in 30 days by the objective (99.95 % by default) that is "
                "left; overspent below 0. AnsFlowErrorBudgetBurnsSlowly fires before it is spent.",
                "percentunit",
                [Query(f"max by (service) ({select(_BUDGET, _MONTH)})", "{{service}}")],
                limit=thresholds.ERROR_BUDGET,
                width=HALF,
            ),
            graph(
                "Burn rate of the error budget",
                "How many times faster than the objective allows a service failed, within an hour and a day. "
                "AnsFlowErrorBudgetBurnsSlowly fires at a day's 3, AnsFlowErrorBudgetBurnsFast at an hour's "
                "14.4, if it goes on.",
                "short",
                [
                    Query(
                        f"1 - max by (service, window) ({select(_BUDGET, _SHORT)})",
                        "{{service}} {{window}}",
                    )
                ],
                limit=thresholds.BURN_RATE,
            ),
            graph(
                "Duration of health probes",
                "95th percentile of the gateway's probes. AnsFlowHealthProbeSlow fires above the line; at "
                "the gateway's --probe-deadline they have failed.",
                "s",
                [Query(quantile_by(0.95, "ansflow_health_check_duration_seconds", "service"), "{{service}}")],
                limit=thresholds.PROBE_SECONDS,
            ),
        ],
    )
