"""Queries of Django, by models and by cursors, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.instrumented_service import run_python
from support.otlp_receiver import OtlpReceiver
from support.postgres import PostgresServer, running_postgres
from support.recorded_calls import client_spans, counted, finished, span_attributes

DURATION = "db.client.operation.duration"

PROGRAM = """
import asyncio, os
import django
from django.conf import settings
from opentelemetry import trace

POSTGRES = {
    "ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "postgres",
    "HOST": "127.0.0.1", "PORT": os.environ.get("POSTGRES_PORT"),
}
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(os.getcwd(), "reports.sqlite3")}
settings.configure(DATABASES={"default": POSTGRES if POSTGRES["PORT"] else SQLITE, "reports": SQLITE})
django.setup()

from django.db import IntegrityError, connection, connections, models, transaction

class Thing(models.Model):
    name = models.CharField(max_length=40, unique=True)
    class Meta:
        app_label = "shop"

for alias in {"default", "reports"} if POSTGRES["PORT"] else {"default"}:
    with connections[alias].schema_editor() as editor:
        editor.create_model(Thing)

def work(database):
    things = Thing.objects.using(database)
    things.create(name="secret-1")
    assert list(things.filter(name="secret-1").values_list("name", flat=True)) == ["secret-1"]
    assert len(things.raw("SELECT * FROM shop_thing WHERE name = 'secret-1'")) == 1
    with connections[database].cursor() as cursor:
        cursor.executemany("INSERT INTO shop_thing (name) VALUES (%s)", [("secret-2",), ("secret-3",)])
        cursor.execute("UPDATE shop_thing SET name = 'secret-4' WHERE name = %s", ["secret-2"])
    try:
        things.create(name="secret-1")
    except IntegrityError:
        pass
    else:
        raise AssertionError

async def view():
    with trace.get_tracer("test").start_as_current_span("view"):
        assert await Thing.objects.filter(name="secret-3").aexists()
"""

RUN = "\nwork('default')\nasyncio.run(view())\n"

QUERIES: dict[tuple[str | None, ...], int] = {
    ("INSERT", None): 1,
    ("SELECT", None): 3,
    ("BATCH INSERT", None): 1,
    ("UPDATE", None): 1,
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A real server."""
    with running_postgres() as server:
        yield server


def of_things(receiver: OtlpReceiver) -> list[Span]:
    """Return the spans of queries on the model's table, without those that made it."""
    return [
        span
        for span in client_spans(receiver)
        if "shop_thing" in span.name and not span.name.startswith(("CREATE", "ALTER", "SELECT sqlite_"))
    ]


def queries(receiver: OtlpReceiver, database: str) -> dict[tuple[str | None, ...], int]:
    """Count a database's queries but those of Django's set-up and transactions."""
    kinds = ("SELECT", "INSERT", "BATCH INSERT", "UPDATE")
    points = counted(receiver, DURATION, "db.namespace", "db.operation.name", "error.type")
    return {key[1:]: n for key, n in points.items() if key[0] == database and key[1] in kinds}


def test_contrib_856_there_is_no_orm_instrumentation(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """On SQLite, for which no driver is instrumented: every query once, without values, in its trace."""
    finished(run_python(PROGRAM + RUN, receiver, tmp_path))

    failed = ("INSERT", "sqlite3.IntegrityError")
    assert queries(receiver, "reports.sqlite3") == {**QUERIES, failed: 1}
    spans = of_things(receiver)
    assert len(spans) == sum(QUERIES.values()) + 1
    assert "secret" not in str(receiver.traces)
    assert str(tmp_path) not in str(receiver.traces) + str(receiver.metrics)
    texts = {span_attributes(span)["db.query.text"] for span in spans}
    assert "UPDATE shop_thing SET name = ? WHERE name = %s" in texts
    assert "SELECT * FROM shop_thing WHERE name = ?" in texts
    (batch,) = [span for span in spans if span.name == "BATCH INSERT shop_thing"]
    assert span_attributes(batch)["db.operation.batch.size"] == "2"
    (error,) = [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert span_attributes(error)["db.system.name"] == "sqlite"
    (view,) = [span for span in receiver.spans() if span.name == "view"]
    assert [span.name for span in spans if span.parent_span_id == view.span_id] == ["SELECT shop_thing"]


@pytest.mark.parametrize("drivers", ["ours", "contrib's", "none"])
def test_a_query_has_one_owner(
    drivers: str, receiver: OtlpReceiver, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Whoever else instruments psycopg, Django's queries are Django's; several databases are told apart."""
    postgres.create_database("shop")
    disabled = {"ours": "", "contrib's": "ansflow_psycopg", "none": "psycopg"}[drivers]
    variables = {"POSTGRES_PORT": str(postgres.port), "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled}
    program = PROGRAM + RUN + "\nwork('reports')\n"
    finished(run_python(program, receiver, tmp_path, variables=variables))

    assert queries(receiver, "shop") == {**QUERIES, ("INSERT", "23505"): 1}
    on_sqlite = {**QUERIES, ("SELECT", None): 2, ("INSERT", "sqlite3.IntegrityError"): 1}
    assert queries(receiver, "reports.sqlite3") == on_sqlite
    spans = of_things(receiver)
    assert len(spans) == sum(QUERIES.values()) + 1 + sum(on_sqlite.values())
    servers = counted(receiver, DURATION, "db.system.name", "db.namespace", "server.address", "server.port")
    assert {key for key in servers if key[1] in ("shop", "reports.sqlite3")} == {
        ("postgresql", "shop", "127.0.0.1", str(postgres.port)),
        ("sqlite", "reports.sqlite3", None, None),
    }
    assert "secret" not in str(receiver.traces)


def test_several_hosts_are_no_failure_of_the_query(
    receiver: OtlpReceiver, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Several hosts may have a port each: queries answer as ever, and are recorded without a port."""
    postgres.create_database("several")
    program = """
import os
from django.conf import settings
port = os.environ["POSTGRES_PORT"]
settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "several", "USER": "postgres",
    "HOST": "127.0.0.1,localhost", "PORT": f"{port},{port}",
}})
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT 41 + 1")
    assert cursor.fetchone() == (42,)
"""
    finished(run_python(program, receiver, tmp_path, variables={"POSTGRES_PORT": str(postgres.port)}))

    servers = counted(receiver, DURATION, "db.namespace", "server.address", "server.port")
    assert set(servers) == {("several", "127.0.0.1,localhost", None)}
