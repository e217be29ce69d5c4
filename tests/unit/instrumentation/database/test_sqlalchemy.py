"""SQLAlchemy, on SQLite, on PostgreSQL by two drivers, and on MySQL's protocol."""

from support.database_metrics import pools_at_each_export, queries_by_trace, query_counts
from support.mysql import MySqlServer
from support.otlp_receiver import OtlpReceiver
from support.postgres import PostgresServer
from support.recorded_calls import client_spans, span_attributes

from .conftest import Run

FOUR_OUT_THEN_TEN_IDLE = """
import asyncio
from opentelemetry import metrics
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

async def main():
    engine = create_async_engine("sqlite+aiosqlite:///shop.db", pool_size=10)
    connections = [await engine.connect() for _ in range(4)]
    metrics.get_meter_provider().force_flush()
    connections += [await engine.connect() for _ in range(6)]
    for connection in connections:
        await connection.execute(text("SELECT 1"))
        await connection.close()
    metrics.get_meter_provider().force_flush()
    await engine.dispose()

asyncio.run(main())
"""


def test_finding_2_asynchronous_pools_are_not_doubled(run: Run, receiver: OtlpReceiver) -> None:
    """Four connections that are out are four, ten idle ones are ten; disposed of, the pool has none."""
    run(FOUR_OUT_THEN_TEN_IDLE)
    four_out, ten_idle, disposed, *_ = pools_at_each_export(receiver)
    pool = "sqlite/shop.db"
    assert four_out == {(pool, "used"): 4, (pool, "idle"): 0, (pool, "max"): 20}
    assert ten_idle == {(pool, "used"): 0, (pool, "idle"): 10, (pool, "max"): 20}
    assert disposed == {(pool, "used"): 0, (pool, "idle"): 0}


POOLS = """
import asyncio, gc, os
from opentelemetry import metrics
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

flush = metrics.get_meter_provider().force_flush
engine = create_engine("sqlite:///shop.db", echo=False, hide_parameters=True, execution_options={})
other = create_engine("sqlite:///shop.db", max_overflow=-1)
unpooled = create_engine("sqlite:///reports.db", poolclass=NullPool)
with engine.connect(), other.connect(), unpooled.connect():
    flush()
del other
gc.collect()
flush()
engine.dispose()
flush()
flush()
with engine.connect(), engine.connect() as connection:  # disposal gave it another pool
    connection.invalidate()
flush()
with engine.connect(), engine.connect():
    pass
engine.pool._pool.mutex.acquire()  # as another thread may have
child = os.fork()
if child == 0:
    flush()
    engine.dispose(close=False)
    with engine.connect():
        flush()
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)
"""


def test_a_pool_is_reported_as_long_as_it_is_there_and_by_its_own_process(
    run: Run, receiver: OtlpReceiver
) -> None:
    """Pools of one database have names of their own, come and go; a child leaves out what it inherited.

    A connection that was invalidated is no idle one, though the pool keeps its place.
    """
    run(POOLS)
    three, two, disposed, later, invalidated, inherited, of_child, *_ = pools_at_each_export(receiver)
    first, second, unpooled = "sqlite/shop.db", "sqlite/shop.db#2", "sqlite/reports.db"
    assert three == {
        (first, "used"): 1,
        (first, "idle"): 0,
        (first, "max"): 15,
        (second, "used"): 1,
        (second, "idle"): 0,
        (unpooled, "used"): 1,
        (unpooled, "idle"): 0,
    }
    empty = {(unpooled, "used"): 0, (unpooled, "idle"): 0}
    one_idle = {(first, "used"): 0, (first, "idle"): 1, (first, "max"): 15, **empty}
    assert two == {**one_idle, (second, "used"): 0, (second, "idle"): 0}
    assert disposed == {**empty, (first, "used"): 0, (first, "idle"): 0}, "once more, that it has none"
    assert later == empty
    assert invalidated == one_idle
    assert inherited == empty
    assert of_child == {(first, "used"): 1, (first, "idle"): 0, (first, "max"): 15, **empty}


QUERIES = """
import asyncio, os
import psycopg
from opentelemetry import trace
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

things = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(20)))
span = trace.get_tracer("test").start_as_current_span
many = [{"id": 1, "name": "secret"}, {"id": 2, "name": "secret"}]

def use(connection):
    connection.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY, name VARCHAR(20))"))
    connection.execute(text("INSERT INTO things (id, name) VALUES (:id, :name)"), many)
    connection.execute(select(things).where(things.c.name == "secret")).all()
    connection.commit()

def fail(connection):
    connection.execute(text("SELECT 'secret' FROM missing"))

async def with_async_engine(url):
    engine = create_async_engine(url, pool_pre_ping=True)
    async with engine.connect() as connection:
        await connection.run_sync(use)
    async with engine.connect() as connection:  # found alive by a ping
        rows = await connection.stream(select(things.c.id).execution_options(yield_per=1))
        assert len([row async for row in rows]) == 2
        try:
            await connection.run_sync(fail)
        except DBAPIError:
            pass
    await engine.dispose()

def with_engine(url):
    if url.startswith("postgresql:"):  # whose name the connections know, and the engine's URL does not
        creator = lambda: psycopg.connect(url)
        engine = create_engine("postgresql+psycopg://", creator=creator, pool_pre_ping=True)
    else:
        engine = create_engine(url, pool_pre_ping=True)
    with engine.connect() as connection:
        use(connection)
    with engine.connect() as connection:
        assert len(connection.execution_options(yield_per=1).execute(select(things.c.id)).all()) == 2
        try:
            fail(connection)
        except DBAPIError:
            pass
    engine.dispose()

for url in os.environ["URLS"].split():
    with span(url.partition(":")[0]):
        if url.startswith(("sqlite:", "postgresql:")):
            with_engine(url)
        else:
            asyncio.run(with_async_engine(url))
"""


def test_a_query_is_one_span_and_one_point_whatever_the_driver(
    run: Run, receiver: OtlpReceiver, postgres: PostgresServer, mysql: MySqlServer
) -> None:
    """SQLAlchemy owns its queries: what the instrumented driver, pings and commits could add is left out."""
    schemes = {
        "sqlite": "things.sqlite",
        "sqlite+aiosqlite": "async.sqlite",
        "postgresql": "by_psycopg",
        "postgresql+psycopg": "by_async_psycopg",
        "postgresql+asyncpg": "by_asyncpg",
        "mysql+aiomysql": "engine_by_aiomysql",
    }
    urls = []
    for scheme, database in schemes.items():
        if scheme.startswith("sqlite"):
            urls.append(f"{scheme}:///{database}")
        elif scheme.startswith("mysql"):
            urls.append(mysql.url(database))
        else:
            postgres.create_database(database)
            urls.append(postgres.url(database, scheme))
    run(QUERIES, URLS=" ".join(urls))

    queries = queries_by_trace(receiver)
    counts = query_counts(receiver)
    for scheme, database in schemes.items():
        names = [name for name, _ in queries[scheme]]
        assert names == [
            "CREATE TABLE things",
            "BATCH INSERT things",
            "SELECT things",
            "SELECT things",
            "SELECT missing",
        ], scheme
        assert not [text for _, text in queries[scheme] if "secret" in text]
        (failed,) = (key for key in counts if key[0] == database and key[2])
        assert {key: count for key, count in counts.items() if key[0] == database} == {
            (database, "CREATE", ""): 1,
            (database, "BATCH INSERT", ""): 1,
            (database, "SELECT", ""): 2,
            failed: 1,
        }
        error = {"postgresql": "42P01", "mysql+aiomysql": "1064"}.get(scheme, "sqlite3.OperationalError")
        assert failed[2] == ("42P01" if scheme.startswith("postgresql") else error)

    spans = {span_attributes(span)["db.namespace"]: span_attributes(span) for span in client_spans(receiver)}
    assert spans["things.sqlite"] == {
        "db.system.name": "sqlite",
        "db.namespace": "things.sqlite",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT missing",
        "db.query.text": "SELECT ? FROM missing",
        "error.type": "sqlite3.OperationalError",
    }
    assert spans["by_asyncpg"] == {
        "db.system.name": "postgresql",
        "db.namespace": "by_asyncpg",
        "server.address": "127.0.0.1",
        "server.port": str(postgres.port),
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT missing",
        "db.query.text": "SELECT ? FROM missing",
        "error.type": "42P01",
        "db.response.status_code": "42P01",
    }


def test_it_is_off_by_the_name_that_users_know(run: Run, receiver: OtlpReceiver) -> None:
    """Contrib's name in the list of disabled instrumentations keeps ours off as well."""
    run(FOUR_OUT_THEN_TEN_IDLE, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="sqlalchemy")
    assert not [name for name in receiver.metric_names() if name.startswith("db.")]
    assert client_spans(receiver) == []
