"""The declarations of how the gateway itself is doing; part of the catalogue."""

from typing import Final

from ansflow_gateway.meters.declaration import Declaration, Kind

SIGNAL: Final = "signal"

COMMIT_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Half a millisecond, within which a loop should answer, to the seconds of a disk that doesn't."""

STORE_AVAILABLE: Final = Declaration(
    "ansflow.gateway.store.available",
    Kind.OBSERVABLE_GAUGE,
    "",  # with "1" the Prometheus name would end in _ratio
    "Whether the store can commit (1) or not (0)",
)
STORE_LEADER: Final = Declaration(
    "ansflow.gateway.store.leader",
    Kind.OBSERVABLE_GAUGE,
    "",
    "Whether this gateway folds the journal and tells the business's meters (1), or another does (0)",
)
STORE_WAITING: Final = Declaration(
    "ansflow.gateway.store.waiting",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "{event}",
    "Events that wait to be committed",
)
STORE_COMMIT_DURATION: Final = Declaration(
    "ansflow.gateway.store.commit.duration",
    Kind.HISTOGRAM,
    "s",
    "Time from an event's arrival at the store to its commit, of the first of each group",
    bounds=COMMIT_BOUNDS,
)
SPOOL_WAITING: Final = Declaration(
    "ansflow.gateway.spool.waiting",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "{event}",
    "Events in the spool, that the store hasn't taken yet",
)
SPOOL_USAGE: Final = Declaration(
    "ansflow.gateway.spool.usage", Kind.OBSERVABLE_UPDOWNCOUNTER, "By", "Bytes that the spool holds"
)
SPOOL_LIMIT: Final = Declaration(
    "ansflow.gateway.spool.limit",
    Kind.OBSERVABLE_UPDOWNCOUNTER,
    "By",
    "Bytes that the spool may hold: webhooks beyond are shed",
)
LOOP_LAG: Final = Declaration(
    "ansflow.gateway.eventloop.lag",
    Kind.HISTOGRAM,
    "s",
    "Time by which the event loop is late for a timer, taken twice a second",
    bounds=COMMIT_BOUNDS,
)
PUSH_FAILURES: Final = Declaration(
    "ansflow.gateway.push.failures",
    Kind.OBSERVABLE_COUNTER,
    "{push}",
    "Pushes by OTLP that failed, by signal: metrics, traces; what they held is pushed again",
    frozenset({SIGNAL}),
)

DECLARATIONS: Final = (
    STORE_AVAILABLE,
    STORE_LEADER,
    STORE_WAITING,
    STORE_COMMIT_DURATION,
    SPOOL_WAITING,
    SPOOL_USAGE,
    SPOOL_LIMIT,
    LOOP_LAG,
    PUSH_FAILURES,
)
"""All of them, in the order of the documentation."""
