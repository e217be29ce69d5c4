"""Tables of what came with events: runs, deliveries, refusals, label sets."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from ansflow_gateway.web.status.markup import Markup, fill, foreign, join, link
from ansflow_gateway.web.status.signs import BAD, GOOD, UNSURE, note, sign
from ansflow_gateway.web.status.source import Delivery, Offender, Refusals, Run
from ansflow_gateway.web.status.tables import Column, table
from ansflow_gateway.web.status.wording import NOTHING, count, duration, moment, ratio

_RESULTS: Final = MappingProxyType({"success": GOOD, "failure": BAD, "error": BAD, "timeout": BAD})
_SHOWN_OFFENDERS: Final = 5


def runs_table(runs: Sequence[Run]) -> Markup:
    """Render the runs that ended lately."""
    if not runs:
        return note("No run has ended yet.")
    return table(
        "runs",
        "Pipeline runs that ended lately, the last first",
        [
            Column("Pipeline"),
            Column("Project"),
            Column("Result"),
            Column("Duration", number=True),
            Column("Ended (UTC)"),
            Column("Trace"),
        ],
        [
            [
                link(run.url, foreign(run.pipeline), f"run {run.trace_id}"),
                foreign(run.project),
                sign(_RESULTS.get(run.result, UNSURE), run.result),
                NOTHING if run.duration_s is None else duration(run.duration_s),
                moment(run.finished_at),
                _trace(run),
            ]
            for run in runs
        ],
    )


def _trace(run: Run) -> Markup:
    short = fill('<code title="{whole}">{short}</code>', whole=run.trace_id, short=run.trace_id[:8])
    label = fill('<span class="unseen">trace </span>{short}', short=short)
    return link(run.trace_url, label, f"trace {run.trace_id}")


def deliveries_table(deliveries: Sequence[Delivery]) -> Markup:
    """Render the DORA figures."""
    if not deliveries:
        return note("No deployment has been reported yet.")
    return table(
        "deliveries",
        "Deployments, lead time, change failure rate and time to restore, by project and environment",
        [
            Column("Project"),
            Column("Environment"),
            Column("Days", number=True),
            Column("Deployed", number=True),
            Column("A day", number=True),
            Column("Lead time", number=True),
            Column("Failure rate", number=True),
            Column("Restored in", number=True),
        ],
        [
            [
                foreign(each.project),
                foreign(each.environment),
                count(each.window_days),
                count(each.deployments),
                count(each.deployments_per_day),
                NOTHING if each.lead_time_s is None else duration(each.lead_time_s),
                NOTHING if each.change_failure_rate is None else ratio(each.change_failure_rate),
                NOTHING if each.time_to_restore_s is None else duration(each.time_to_restore_s),
            ]
            for each in deliveries
        ],
    )


def refusals_tables(refusals: Refusals) -> Markup:
    """Render what was refused: how often, and the latest of it."""
    if not refusals.counts:
        return note("Nothing has been refused since the start.")
    most = max(number for _, number in refusals.counts)
    counts = table(
        "refusal counts",
        "Refusals by reason since the start",
        [Column("Reason"), Column("Times", number=True), Column("Share")],
        [
            [
                fill("<code>{reason}</code>", reason=reason),
                count(number),
                # Drawn, not styled: the policy allows no style attribute.
                fill(
                    '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
                    '<rect width="{width}" height="8"/></svg>',
                    width=f"{100 * number / most:.1f}",
                ),
            ]
            for reason, number in refusals.counts
        ],
    )
    recent = table(
        "refusals",
        "What was refused lately, the last first",
        [
            Column("At (UTC)"),
            Column("Reason"),
            Column("Field"),
            Column("Expected", wide=True),
            Column("Got"),
            Column("Path"),
        ],
        [
            [
                moment(each.at),
                fill("<code>{reason}</code>", reason=each.reason),
                fill("<code>{field}</code>", field=foreign(each.field)),
                foreign(each.expected),
                fill("<code>{got}</code>", got=foreign(each.got)),
                foreign(each.path),
            ]
            for each in refusals.recent
        ],
    )
    return fill('<div class="split">{counts}{recent}</div>', counts=counts, recent=recent)


def offenders_table(offenders: Sequence[Offender]) -> Markup:
    """Render the meters over their limit."""
    if not offenders:
        return note("No meter is over its limit.")
    return table(
        "offenders",
        "Meters with as many series as they may have, and the label sets turned away most",
        [
            Column("Meter"),
            Column("Overflowed", number=True),
            Column("Turned away most (times, at most)", wide=True),
        ],
        [
            [
                fill("<code>{meter}</code>", meter=each.meter),
                count(each.measurements),
                fill(
                    "<ol>{sets}</ol>",
                    sets=join(
                        fill(
                            '<li><span class="times">{number}</span> <code>{labels}</code></li>',
                            labels=foreign(", ".join(filter(None, labels))),
                            number=count(number),
                        )
                        for labels, number in each.top[:_SHOWN_OFFENDERS]
                    ),
                ),
            ]
            for each in offenders
        ],
    )
