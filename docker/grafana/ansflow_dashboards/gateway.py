"""The dashboard `ansflow-gateway`: what the gateway takes in, what it keeps, and what it gets out."""

from . import thresholds
from .layout import Page, Section
from .panels import THIRD, graph, number, status
from .queries import Query, highest, quantile_by, rate_by, rate_or_zero, select

_ACCEPTED = "ansflow_gateway_events_accepted_total"
_DUPLICATE = "ansflow_gateway_events_duplicate_total"
_REJECTED = "ansflow_gateway_events_rejected_total"
_UNSUPPORTED = "ansflow_gateway_events_unsupported_total"
_SHED = "ansflow_gateway_events_shed_total"
_SPOOLED = "ansflow_gateway_events_spooled_total"
_OVERFLOWED = "ansflow_gateway_series_overflowed_total"
_DROPPED = "ansflow_gateway_spans_dropped_total"


def _each(gauge: str) -> str:
    return f"max by (instance) ({select(gauge)})"


def _now() -> Section:
    return Section(
        "Now",
        [
            status(
                "Store",
                "Whether each gateway's store can commit; failing is AnsFlowGatewayStoreUnavailable.",
                [Query(_each("ansflow_gateway_store_available"), "{{instance}}")],
                width=THIRD,
            ),
            number(
                "Leaders",
                "Gateways that fold the journal and tell the business's meters: one for each store. None is "
                "AnsFlowGatewayNoLeader.",
                "none",
                [Query(f"sum by (job) ({select('ansflow_gateway_store_leader')})", "{{job}}")],
                limit=thresholds.LEADERS,
                width=THIRD,
            ),
            number(
                "Events taken in",
                "Events a second that were new, over all gateways.",
                "eps",
                [Query(rate_by(_ACCEPTED, "job"), "{{job}}")],
                width=THIRD,
            ),
        ],
    )


def _events() -> Section:
    judged = " + ".join(rate_by(counter, "job") for counter in (_ACCEPTED, _DUPLICATE, _REJECTED))
    return Section(
        "Events",
        [
            graph(
                "Events by what became of them",
                "Events a minute: new, known already, refused, valid and of no use, put aside for a store "
                "that couldn't take them, and turned away to be sent again.",
                "epm",
                [
                    Query(f"60 * {rate_by(_ACCEPTED, 'job')}", "accepted"),
                    Query(f"60 * {rate_by(_DUPLICATE, 'job')}", "duplicate"),
                    Query(f"60 * {rate_by(_REJECTED, 'job')}", "rejected"),
                    Query(f"60 * ({rate_or_zero(_UNSUPPORTED, 'job', beside=_ACCEPTED)})", "unsupported"),
                    Query(f"60 * {rate_by(_SPOOLED, 'job')}", "spooled"),
                    Query(f"60 * {rate_by(_SHED, 'job')}", "shed"),
                ],
            ),
            graph(
                "Refused events",
                "Share of what was judged that was refused. AnsFlowGatewayRejectsMany fires above the line; "
                "the status page shows what was wrong.",
                "percentunit",
                [Query(f"{rate_by(_REJECTED, 'job')} / ({judged})", "{{job}}")],
                limit=thresholds.REJECTED_RATIO,
            ),
            graph(
                "Refused events by reason",
                "Events a minute of the ten most frequent reasons; all zero is good news.",
                "epm",
                [Query(f"60 * {highest(10, rate_by(_REJECTED, 'reason'))}", "{{reason}}")],
            ),
            graph(
                "Events turned away",
                "Events a minute that were valid, and whose sender was told to come again: the queue was "
                "full (overloaded), or the store couldn't commit (unavailable). AnsFlowGatewaySheds fires "
                "for any.",
                "epm",
                [Query(f"60 * {rate_by(_SHED, 'instance', 'reason')}", "{{instance}} {{reason}}")],
                limit=thresholds.SHED_EVENTS,
            ),
        ],
    )


def _store() -> Section:
    commit = "ansflow_gateway_store_commit_duration_seconds"
    return Section(
        "Store",
        [
            graph(
                "Commit latency",
                "Median and 99th percentile of the time from an event's arrival to its commit, which "
                "producers wait for. AnsFlowGatewayCommitsSlow fires where the 99th stays above the line.",
                "s",
                [
                    Query(quantile_by(quantile, commit, "instance"), f"{{{{instance}}}} p{quantile * 100:g}")
                    for quantile in (0.5, 0.99)
                ],
                limit=thresholds.COMMIT_SECONDS,
                width=THIRD,
            ),
            graph(
                "Waiting events",
                "Events that wait to be committed. At the gateway's --queue-limit (50,000) more are "
                "turned away.",
                "short",
                [Query(_each("ansflow_gateway_store_waiting"), "{{instance}}")],
                width=THIRD,
            ),
            graph(
                "Commits",
                "Commits a second; each takes what came since the one before. Fewer commits than events are "
                "events that share them.",
                "ops",
                [Query(rate_by(f"{commit}_count", "instance"), "{{instance}}")],
                width=THIRD,
            ),
            graph(
                "Spool",
                "How full the spool is, where webhooks wait for a store that can't take them. "
                "AnsFlowGatewaySpoolAlmostFull fires above the line: full, webhooks are lost.",
                "percentunit",
                [
                    Query(
                        f"{_each('ansflow_gateway_spool_usage_bytes')} / "
                        f"({_each('ansflow_gateway_spool_limit_bytes')} > 0)",
                        "{{instance}}",
                    )
                ],
                limit=thresholds.SPOOL_USED_RATIO,
                width=THIRD,
            ),
            graph(
                "Events in the spool",
                "AnsFlowGatewaySpoolWaits fires where some wait all the time.",
                "short",
                [Query(_each("ansflow_gateway_spool_waiting"), "{{instance}}")],
                limit=thresholds.SPOOLED_EVENTS,
                width=THIRD,
            ),
            graph(
                "Event-loop lag",
                "How late each gateway's event loop is, 99th percentile: while it is late, everything waits. "
                "AnsFlowEventLoopBlocked fires where one stays above the line.",
                "s",
                [
                    Query(
                        quantile_by(0.99, "ansflow_gateway_eventloop_lag_seconds", "instance"), "{{instance}}"
                    )
                ],
                limit=thresholds.EVENT_LOOP_LAG_SECONDS,
                width=THIRD,
            ),
        ],
    )


def _telemetry() -> Section:
    overflowed = rate_or_zero(_OVERFLOWED, "job", "instrument", beside=_ACCEPTED)
    dropped = rate_or_zero(_DROPPED, "job", beside=_ACCEPTED)
    return Section(
        "Telemetry of the gateway",
        [
            graph(
                "Failed pushes",
                "Pushes to the Collector that failed, a minute, by signal; what they held is pushed again. "
                "AnsFlowGatewayPushesFail fires where they go on.",
                "cpm",
                [
                    Query(
                        f"60 * {rate_by('ansflow_gateway_push_failures_total', 'instance', 'signal')}",
                        "{{instance}} {{signal}}",
                    )
                ],
                limit=thresholds.FAILED_PUSHES,
                width=THIRD,
            ),
            graph(
                "Measurements beyond the series limit",
                "Measurements a minute that went to an instrument's overflow series, of which the labels are "
                "lost: AnsFlowSeriesOverflow. The status page names who makes so many.",
                "cpm",
                [Query(f"60 * ({overflowed})", "{{job}} {{instrument}}")],
                width=THIRD,
            ),
            graph(
                "Spans given up",
                "Spans of runs a minute that were given up as too many waited: AnsFlowGatewaySpansLost.",
                "cpm",
                [Query(f"60 * ({dropped})", "{{job}}")],
                width=THIRD,
            ),
        ],
    )


GATEWAY_PAGE = Page(
    uid="ansflow-gateway",
    title="AnsFlow gateway",
    description="What the gateway takes in, what it keeps, and what it gets out.",
    jobs_of="ansflow_gateway_store_available",
    sections=(_now(), _events(), _store(), _telemetry()),
)
