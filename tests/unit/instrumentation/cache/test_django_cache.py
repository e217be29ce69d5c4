"""Django's caches, on several backends, with an application that knows nothing of telemetry."""

from pathlib import Path

import pytest
from support.instrumented_service import run_python
from support.otlp_receiver import OtlpReceiver
from support.recorded_calls import client_spans, counted, finished
from support.redis_server import RedisServer

OPERATIONS = "ansflow.cache.operations"
DURATION = "ansflow.cache.operation.duration"
KEYS = ("cache", "operation", "status")

SETTINGS = """
import asyncio, os, sys
import django
from django.conf import settings

sys.path.insert(0, os.getcwd())
BACKEND = os.environ["BACKEND"]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "cache.sqlite3"}},
    CACHES={
        "default": {"BACKEND": BACKEND, "LOCATION": os.environ["LOCATION"]},
        "other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "other"},
    },
)
django.setup()
from django.core.cache import cache, caches
from django.core.management import call_command
if BACKEND.endswith("DatabaseCache"):
    call_command("createcachetable")
"""

EVERY_OPERATION = (
    SETTINGS
    + """
assert cache.get("absent") is None
assert cache.get("absent", "a default") == "a default"
cache.set("none", None)
assert cache.get("none") is None
cache.set("zero", 0)
assert cache.get("zero", 0) == 0
cache.set("text", "")
assert cache.get("text", default="") == ""
assert cache.get_many(key for key in ("none", "zero", "absent")) == {"none": None, "zero": 0}
assert cache.get_many([]) == {}
assert cache.get_or_set("made", lambda: caches["other"].get("x", 5)) == 5
assert cache.get_or_set("made", 6) == 5
assert cache.add("added", 1) and not cache.add("added", 2)
assert cache.incr("added") == 2 and cache.decr("added") == 1
try:
    cache.incr("absent")
except ValueError:
    pass
else:
    raise AssertionError
assert "added" in cache and not cache.has_key("absent")
assert cache.touch("added", 60) and not cache.touch("absent", 60)
cache.set_many({"a": 1, "b": 2})
cache.delete_many(["a", "b"])
assert cache.delete("added") and not cache.delete("added")
cache.clear()
try:
    cache.set("unpicklable", lambda: None)
except Exception:
    pass
else:
    raise AssertionError

async def asynchronously():
    await cache.aset("k", None)
    assert await cache.aget("k") is None
    assert await cache.aget("absent", 1) == 1
    assert await cache.aget_many(["k", "absent"]) == {"k": None}
    assert await cache.aget_or_set("made", lambda: 7) == 7
    assert await cache.ahas_key("k")
    await cache.aset_many({"a": 1})
    assert await cache.aincr("a") == 2
    await cache.adelete("a")
    await cache.aclear()

asyncio.run(asynchronously())
"""
)

EXPECTED = {
    ("get", "hit"): 3 + 1,
    ("get", "miss"): 2 + 1,
    ("get_many", "hit"): 2 + 1,
    ("get_many", "miss"): 1 + 1,
    ("get_many", "ok"): 1,
    ("get_or_set", "hit"): 1,
    ("get_or_set", "miss"): 1 + 1,
    ("set", "ok"): 3 + 1,
    ("set", "error"): 1,
    ("set_many", "ok"): 1 + 1,
    ("add", "ok"): 2,
    ("incr", "ok"): 2 + 1,
    ("decr", "ok"): 1,
    ("has_key", "hit"): 1 + 1,
    ("has_key", "miss"): 1,
    ("touch", "ok"): 2,
    ("delete", "ok"): 2 + 1,
    ("delete_many", "ok"): 1,
    ("clear", "ok"): 1 + 1,
}
"""Of the program above: the synchronous part, and the asynchronous one."""


@pytest.mark.parametrize(
    ("backend", "location"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", "local"),
        ("django.core.cache.backends.filebased.FileBasedCache", "files"),
        ("django.core.cache.backends.db.DatabaseCache", "cache_table"),
        ("django.core.cache.backends.redis.RedisCache", None),
    ],
)
def test_finding_8_cache_meters_are_missing(
    backend: str, location: str | None, receiver: OtlpReceiver, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Each operation is counted once, under the alias, as what it was; a stored None or 0 is a hit."""
    variables = {"BACKEND": backend, "LOCATION": location or redis_server.url(3)}
    finished(run_python(EVERY_OPERATION, receiver, tmp_path, variables=variables))

    operations = counted(receiver, OPERATIONS, *KEYS)
    assert {key[1:]: n for key, n in operations.items() if key[0] == "default"} == EXPECTED
    assert {key: n for key, n in operations.items() if key[0] != "default"} == {("other", "get", "miss"): 1}

    durations = counted(receiver, DURATION, *KEYS)
    calls = {key: n for key, n in EXPECTED.items() if key[0] != "get_many"}
    assert {k[1:]: n for k, n in durations.items() if k[0] == "default" and k[1] != "get_many"} == calls
    assert {k[2]: n for k, n in durations.items() if k[1] == "get_many"} == {"miss": 2, "ok": 1}


def test_a_backend_on_redis_has_one_owner(
    receiver: OtlpReceiver, redis_server: RedisServer, tmp_path: Path
) -> None:
    """What Django's cache asks of Redis is a span and a duration, and no operation on a second cache."""
    program = SETTINGS + "cache.set('k', 1); cache.get('k'); cache.set_many({'a': 1, 'b': 2})"
    backend = "django.core.cache.backends.redis.RedisCache"
    variables = {"BACKEND": backend, "LOCATION": redis_server.url(3)}
    finished(run_python(program, receiver, tmp_path, variables=variables))

    assert counted(receiver, OPERATIONS, "cache") == {("default",): 3}
    assert counted(receiver, DURATION, "cache") == {("default",): 3}
    assert [span.name for span in client_spans(receiver)] == ["SET", "GET", "MULTI"]
    assert counted(receiver, "db.client.operation.duration", "db.namespace") == {("3",): 3}


CLASSES_OF_THE_APPLICATION = """
import time
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

class Tiered(LocMemCache):
    def get(self, key, default=None, version=None):
        value = super().get(key, default, version)
        if value is None:
            value = caches["other"].get(key, default, version)
        return value

class Suspicious(LocMemCache):
    def get(self, key, default=None, version=None):
        super().get(key, None, version)
        return default
"""


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (
            "Tiered",
            {("default", "hit"): 2, ("default", "miss"): 1, ("other", "hit"): 1, ("other", "miss"): 1},
        ),
        ("Suspicious", {("default", "miss"): 3}),
    ],
)
def test_a_backend_of_the_application(
    backend: str, expected: dict[tuple[str, str], int], receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """A class on top of Django's sees what it would see without us, and what it answers decides."""
    (tmp_path / "backends.py").write_text(CLASSES_OF_THE_APPLICATION)
    program = f"{SETTINGS}\nBACKEND = {backend!r}\n" + (
        "caches['other'].set('b', 2); cache.set('a', 1)\n"
        "answers = [cache.get('a'), cache.get('b'), cache.get('c')]\n"
        "assert answers == ([1, 2, None] if BACKEND == 'Tiered' else [None] * 3), answers\n"
    )
    variables = {"BACKEND": f"backends.{backend}", "LOCATION": "local"}
    finished(run_python(program, receiver, tmp_path, variables=variables))

    operations = counted(receiver, OPERATIONS, *KEYS)
    assert {(key[0], key[2]): n for key, n in operations.items() if key[1] == "get"} == expected


def test_the_time_that_the_default_takes_is_not_the_caches(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A default that takes 300 ms to make leaves the operation's duration short."""
    program = f"{SETTINGS}\nimport time\ncache.get_or_set('k', lambda: time.sleep(0.3))"
    backend = "django.core.cache.backends.locmem.LocMemCache"
    variables = {"BACKEND": backend, "LOCATION": "local"}
    finished(run_python(program, receiver, tmp_path, variables=variables))

    *_, point = [
        point
        for request in receiver.metrics
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        if metric.name == DURATION
        for point in metric.histogram.data_points
    ]
    assert point.count == 1
    assert point.sum < 0.3


def test_a_disabled_instrumentation_leaves_django_alone(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """With its name on the list of disabled instrumentations, nothing is counted."""
    backend = "django.core.cache.backends.locmem.LocMemCache"
    variables = {
        "BACKEND": backend,
        "LOCATION": "local",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "ansflow_django_cache",
    }
    finished(run_python(SETTINGS + "cache.get('k')", receiver, tmp_path, variables=variables))

    assert OPERATIONS not in receiver.metric_names()
