"""asyncpg, psycopg and aiomysql by themselves: their queries, and their pools beside SQLAlchemy's."""

from support.database_metrics import pools_at_each_export, queries_by_trace, query_counts
from support.mysql import MySqlServer
from support.otlp_receiver import OtlpReceiver
from support.postgres import PostgresServer
from support.recorded_calls import client_spans, span_attributes

from .conftest import Run

CONTRIB = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "ansflow_asyncpg"}
"""Ours off by its own name: contrib's takes its place."""

TWO_POOLS = """
import asyncio, os
import asyncpg
from opentelemetry import metrics
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

async def main():
    url = os.environ["URL"]
    engine = create_async_engine(url.replace(":", "+asyncpg:", 1))
    async with engine.connect() as owner, asyncpg.create_pool(url, min_size=3, max_size=5) as pool:
        await owner.execute(text("SELECT 'owned'"))
        async with pool.acquire() as connection:
            await connection.fetch("SELECT 'secret'")
            metrics.get_meter_provider().force_flush()
    await engine.dispose()

asyncio.run(main())
"""


def test_finding_8_a_second_pool_by_a_raw_driver_is_there(
    run: Run, receiver: OtlpReceiver, postgres: PostgresServer
) -> None:
    """A driver's own pool is reported beside SQLAlchemy's, and its queries are timed."""
    postgres.create_database("two_pools")
    run(TWO_POOLS, URL=postgres.url("two_pools"))
    busy, closed, *_ = pools_at_each_export(receiver)
    of_engine, of_driver = "postgresql/two_pools", "postgresql/two_pools#2"
    assert busy == {
        (of_engine, "used"): 1,
        (of_engine, "idle"): 0,
        (of_engine, "max"): 15,
        (of_driver, "used"): 1,
        (of_driver, "idle"): 2,
        (of_driver, "max"): 5,
    }
    assert closed == {(pool, state): 0 for pool in (of_engine, of_driver) for state in ("used", "idle")}
    assert query_counts(receiver) == {("two_pools", "SELECT", ""): 2}


def test_finding_8_contrib_misses_a_second_pool(
    run: Run, receiver: OtlpReceiver, postgres: PostgresServer
) -> None:
    """The case to beat: asyncpg's queries have spans, a literal in them, and neither duration nor pool."""
    postgres.create_database("one_pool")
    run(TWO_POOLS, URL=postgres.url("one_pool"), **CONTRIB)
    busy, *_ = pools_at_each_export(receiver)
    assert {pool for pool, _ in busy} == {"postgresql/one_pool"}, "SQLAlchemy's, by ours"
    assert query_counts(receiver) == {("one_pool", "SELECT", ""): 1}, "SQLAlchemy's, by ours"
    texts = [span_attributes(span).get("db.query.text") for span in client_spans(receiver)]
    assert "SELECT 'secret'" in texts
    assert "SELECT 'owned'" not in texts, "one owner a query, whosever the driver's instrumentation is"


DRIVERS = """
import asyncio, os
import aiomysql, asyncpg, psycopg, psycopg_pool
from ansflow_instrumentation.excluded_requests import unsampled
from opentelemetry import metrics, trace

span = trace.get_tracer("test").start_as_current_span
flush = metrics.get_meter_provider().force_flush
things = [("secret",), ("secret",)]

async def with_asyncpg(url):
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        await pool.execute("CREATE TABLE things (name TEXT)")
        await pool.executemany("INSERT INTO things VALUES ($1)", things)
        await pool.copy_records_to_table("things", records=things)
        async with pool.acquire() as connection, connection.transaction():
            statement = await connection.prepare("SELECT name FROM things WHERE name = 'secret'")
            assert len(await statement.fetch()) == 4
            rows = [row async for row in connection.cursor("SELECT name FROM things", prefetch=3)]
            assert len(rows) == 4
            task = asyncio.create_task(connection.fetch("SELECT pg_sleep(60) FROM things"))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task])
        with unsampled():
            await pool.fetch("SELECT name FROM things")

def with_psycopg(url):
    with psycopg_pool.ConnectionPool(
        url, min_size=2, open=False, check=psycopg_pool.ConnectionPool.check_connection
    ) as pool:
        pool.wait()
        with pool.connection() as connection:
            connection.execute("CREATE TABLE things (name TEXT)")
            connection.cursor().executemany("INSERT INTO things VALUES (%s)", things)
            name = psycopg.sql.Literal("secret")
            connection.execute(psycopg.sql.SQL("SELECT {} FROM things").format(name))
            assert len(list(connection.cursor().stream(b"SELECT name FROM things"))) == 2
            with connection.cursor() as cursor, cursor.copy("COPY things FROM STDIN") as copy:
                copy.write_row(("secret",))
            with connection.cursor(name="server") as cursor:
                assert len(cursor.execute("SELECT name FROM things").fetchall()) == 3
            flush()
            try:
                connection.execute("SELECT 'secret' FROM missing")
            except psycopg.errors.UndefinedTable:
                pass

async def with_async_psycopg(url):
    async with psycopg_pool.AsyncConnectionPool(url, min_size=2, open=False) as pool:
        await pool.wait()
        async with pool.connection() as connection:
            await connection.execute("CREATE TABLE things (name TEXT)")
            await connection.cursor().executemany("INSERT INTO things VALUES (%s)", things)
            rows = connection.cursor().stream("SELECT name FROM things")
            assert len([row async for row in rows]) == 2
            async with connection.cursor() as cursor, cursor.copy("COPY things TO STDOUT") as copy:
                assert len([row async for row in copy]) == 2
            flush()

async def with_aiomysql(port):
    async with aiomysql.create_pool(
        minsize=2, host="127.0.0.1", port=port, user="root", db="by_aiomysql", autocommit=True
    ) as pool:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("CREATE TABLE things (name TEXT)")
            await cursor.executemany("INSERT INTO things VALUES (%s)", things)
            await cursor.executemany("UPDATE things SET name = %s WHERE name = 'secret'", things)
            assert await cursor.execute("SELECT name FROM things WHERE name = %s", ("secret",)) == 2
            try:
                await cursor.execute("SELECT 'secret' FROM missing")
            except aiomysql.ProgrammingError:
                pass
            flush()

url = os.environ["URL"]
with span("asyncpg"):
    asyncio.run(with_asyncpg(url + "by_asyncpg"))
with span("psycopg"):
    with_psycopg(url + "by_psycopg")
with span("async psycopg"):
    asyncio.run(with_async_psycopg(url + "by_async_psycopg"))
with span("aiomysql"):
    asyncio.run(with_aiomysql(int(os.environ["MYSQL_PORT"])))
"""


def test_each_driver_records_what_it_executes_once(
    run: Run, receiver: OtlpReceiver, postgres: PostgresServer, mysql: MySqlServer
) -> None:
    """Statements, batches, cursors, COPY, errors and cancellations; what the drivers do by themselves is not.

    A query of an excluded request leaves no span, and its duration.
    """
    for database in ("by_asyncpg", "by_psycopg", "by_async_psycopg"):
        postgres.create_database(database)
    run(DRIVERS, URL=postgres.url(""), MYSQL_PORT=str(mysql.port))

    queries = queries_by_trace(receiver)
    created, inserted = ("CREATE TABLE things", "CREATE TABLE things (name TEXT)"), "BATCH INSERT things"
    assert queries["asyncpg"] == [
        created,
        (inserted, "INSERT INTO things VALUES ($1)"),
        ("COPY things", 'COPY "things" FROM STDIN'),
        ("BEGIN", "BEGIN"),
        ("SELECT things", "SELECT name FROM things WHERE name = ?"),
        ("SELECT things", "SELECT name FROM things"),
        ("SELECT things", "SELECT name FROM things"),
        ("SELECT things", "SELECT pg_sleep(?) FROM things"),
        ("COMMIT", "COMMIT"),
    ]
    assert queries["psycopg"] == [
        created,
        (inserted, "INSERT INTO things VALUES (%s)"),
        ("SELECT things", "SELECT ? FROM things"),
        ("SELECT things", "SELECT name FROM things"),
        ("COPY things", "COPY things FROM STDIN"),
        ("SELECT things", "SELECT name FROM things"),
        ("SELECT missing", "SELECT ? FROM missing"),
    ]
    assert queries["async psycopg"] == [
        created,
        (inserted, "INSERT INTO things VALUES (%s)"),
        ("SELECT things", "SELECT name FROM things"),
        ("COPY things", "COPY things TO STDOUT"),
    ]
    assert queries["aiomysql"] == [
        created,
        (inserted, "INSERT INTO things VALUES (%s)"),
        ("BATCH UPDATE things", "UPDATE things SET name = %s WHERE name = ?"),
        ("SELECT things", "SELECT name FROM things WHERE name = %s"),
        ("SELECT missing", "SELECT ? FROM missing"),
    ]

    counts = query_counts(receiver)
    assert counts.total() == sum(map(len, queries.values())) + 1, "of the excluded request"
    assert {key for key in counts if key[2]} == {
        ("by_asyncpg", "SELECT", "asyncio.exceptions.CancelledError"),
        ("by_psycopg", "SELECT", "42P01"),
        ("by_aiomysql", "SELECT", "1064"),
    }
    batch = next(span for span in client_spans(receiver) if span.name == inserted)
    assert span_attributes(batch) == {
        "db.system.name": "postgresql",
        "db.namespace": "by_asyncpg",
        "server.address": "127.0.0.1",
        "server.port": str(postgres.port),
        "db.operation.name": "BATCH INSERT",
        "db.operation.batch.size": "2",
        "db.query.summary": inserted,
        "db.query.text": "INSERT INTO things VALUES ($1)",
    }

    first, second, third = "postgresql/by_psycopg", "postgresql/by_async_psycopg", "mysql/by_aiomysql"
    by_psycopg, by_async_psycopg, by_aiomysql, *_ = pools_at_each_export(receiver)
    assert by_psycopg == {(first, "used"): 1, (first, "idle"): 1, (first, "max"): 2}
    closed = {(first, "used"): 0, (first, "idle"): 0}
    assert by_async_psycopg == {(second, "used"): 1, (second, "idle"): 1, (second, "max"): 2, **closed}
    closed = {(second, "used"): 0, (second, "idle"): 0}
    assert by_aiomysql == {(third, "used"): 1, (third, "idle"): 1, (third, "max"): 10, **closed}


BY_KEYWORDS = """
import asyncio, os
import aiomysql, asyncpg, psycopg, psycopg_pool

url = os.environ["URL"]

async def main():
    connection = await asyncpg.connect(url)
    await connection.execute(query="CREATE TABLE things (name TEXT)")
    await connection.executemany(command="INSERT INTO things VALUES ($1)", args=[("a",), ("b",)])
    if hasattr(connection, "fetchmany"):
        query = "INSERT INTO things VALUES ($1) RETURNING name"
        assert len(await connection.fetchmany(query=query, args=[("a",), ("b",)])) == 2
    await connection.close()
    async with psycopg_pool.AsyncConnectionPool(url, min_size=1, open=False) as pool:
        await pool.putconn(conn=await pool.getconn(timeout=5))
    connection = await aiomysql.connect(
        host="127.0.0.1", port=int(os.environ["MYSQL_PORT"]), user="root", autocommit=True
    )
    cursor = await connection.cursor()
    try:
        await cursor.callproc(procname="missing", args=())
    except aiomysql.MySQLError:
        pass
    await cursor.execute(query="SELECT 1", args=None)
    await cursor.close()
    try:
        await cursor.execute("SELECT 1")
    except aiomysql.ProgrammingError:
        pass
    connection.close()

asyncio.run(main())
with psycopg_pool.ConnectionPool(url, min_size=1, open=True) as pool:
    pool.putconn(conn=pool.getconn(timeout=5))
"""


def test_what_is_replaced_takes_the_same_arguments(
    run: Run, receiver: OtlpReceiver, postgres: PostgresServer, mysql: MySqlServer
) -> None:
    """The drivers' own names of arguments work, and a closed cursor is refused by the driver."""
    postgres.create_database("by_keywords")
    run(BY_KEYWORDS, URL=postgres.url("by_keywords"), MYSQL_PORT=str(mysql.port))

    texts = {span_attributes(span)["db.query.text"] for span in client_spans(receiver)}
    assert {"INSERT INTO things VALUES ($1)", "INSERT INTO things VALUES ($1) RETURNING name"} <= texts
