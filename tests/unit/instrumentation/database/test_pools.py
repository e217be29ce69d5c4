"""Pools as they are named and reported, with providers of the test's own."""

import logging

import pytest
from ansflow_instrumentation.database.pools import ObservedPool, Pools, Usage
from ansflow_instrumentation.database.queries import Database, database
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint


class _Connections(ObservedPool):
    """A pool whose numbers the test sets."""

    def __init__(self, name: str, usage: Usage | None) -> None:
        self.name = name
        self.now = usage
        self.gone = False

    @property
    def is_gone(self) -> bool:
        return self.gone

    def database(self) -> Database | None:
        return database("postgresql", self.name)

    def usage(self) -> Usage | None:
        if self.now is not None and self.now.used < 0:
            raise OSError("broken")
        return self.now


def used(reader: InMemoryMetricReader) -> dict[str, int | float]:
    """Collect, and return the connections in use by pool."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name == "db.client.connection.count" and isinstance(point, NumberDataPoint)
    ]
    attributes = [dict(point.attributes or {}) for point in points]
    return {
        str(a["db.client.connection.pool.name"]): point.value
        for a, point in zip(attributes, points, strict=True)
        if a["db.client.connection.state"] == "used"
    }


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """Collects what the pools report."""
    return InMemoryMetricReader()


@pytest.fixture
def pools(reader: InMemoryMetricReader) -> Pools:
    """Pools that report to the reader."""
    return Pools(MeterProvider([reader], shutdown_on_exit=False))


def test_names_are_bounded_by_the_pools_there_are_at_once(pools: Pools, reader: InMemoryMetricReader) -> None:
    """A name is given again when its pool is gone: a thousand pools in a row have the name of one."""
    kept = _Connections("shop", Usage(1, 0))
    pools.add(kept)
    names: set[str] = set()
    for number in range(2, 1000):
        pool = _Connections("shop", Usage(number, 0))
        pools.add(pool)
        names |= used(reader).keys()
        assert used(reader) == {"postgresql/shop": 1, "postgresql/shop#2": number}
        pool.gone = True
    assert names == {"postgresql/shop", "postgresql/shop#2"}
    kept.gone = True
    assert used(reader) == {"postgresql/shop": 0, "postgresql/shop#2": 0}
    assert used(reader) == {}


def test_a_pool_that_cannot_be_read_is_left_out_with_one_warning(
    pools: Pools, reader: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are reported as ever, and so is the pool itself as soon as it can be read again."""
    broken = _Connections("broken", Usage(-1, 0))
    pools.add(broken)
    pools.add(_Connections("shop", Usage(3, 1)))
    with caplog.at_level(logging.WARNING):
        assert used(reader) == {"postgresql/shop": 3}
        assert used(reader) == {"postgresql/shop": 3}
        broken.now = Usage(2, 0)
        assert used(reader) == {"postgresql/shop": 3, "postgresql/broken": 2}
    assert len(caplog.messages) == 1


def test_one_without_connections_survives_a_fork(pools: Pools, reader: InMemoryMetricReader) -> None:
    """A pool made before a fork and used after it is the child's; one with connections is its parent's."""
    made_early, in_use = _Connections("shop", Usage(0, 0)), _Connections("reports", Usage(2, 0))
    pools.add(made_early)
    pools.add(in_use)
    pools.forget_inherited()
    made_early.now = Usage(1, 0)
    assert used(reader) == {"postgresql/shop": 1}
