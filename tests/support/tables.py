"""A table of aggregates with a meter of each kind, for the ways out of the gateway."""

from ansflow_gateway.meters.declaration import Declaration, Kind
from ansflow_gateway.meters.series import TableMeter
from ansflow_gateway.meters.table import Table

TRACE, SPAN = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")

BOUNDS = (0.5, 1.0, 10.0)


def _meter(kind: Kind, name: str, unit: str, labels: tuple[str, ...] = ()) -> TableMeter:
    bounds = BOUNDS if kind is Kind.HISTOGRAM else ()
    description = f'A "{kind}"\nover \\ two lines'
    return TableMeter(
        Declaration(name, kind, unit, description, frozenset(labels), bounds, tabled=True), labels
    )


CALLS = _meter(Kind.COUNTER, "test.calls", "{call}", ("peer.name", "outcome"))
IO = _meter(Kind.OBSERVABLE_COUNTER, "test.io", "By")
ACTIVE = _meter(Kind.OBSERVABLE_UPDOWNCOUNTER, "test.active", "{run}", ("peer.name",))
SHARE = _meter(Kind.OBSERVABLE_GAUGE, "test.share", "1", ("peer.name",))
DURATION = _meter(Kind.HISTOGRAM, "test.duration", "s", ("peer.name",))

METERS = (CALLS, IO, ACTIVE, SHARE, DURATION)


def empty_table(limit: int = 1000) -> Table:
    """Make a table of `METERS` without series."""
    return Table(METERS, limit)


def filled_table() -> Table:
    """Make a table with a series or two of each meter."""
    table = empty_table()
    with table.lock:
        table.add(CALLS, ("db", "success"), 2, 1.0)
        table.add(CALLS, ("db", ""), 1.5, 1.0)
        table.add(IO, (), 2.0, 1.0)
        table.set(ACTIVE, ("db",), 3, 1.0)
        table.set(SHARE, ("db",), 0.25, 1.0)
        table.record(DURATION, ("db",), 0.75, 1.0, (TRACE, SPAN))
        table.record(DURATION, ("db",), 20.0, 2.0)
    return table
