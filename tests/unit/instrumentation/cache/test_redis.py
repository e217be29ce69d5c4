"""redis-py against a real server: what is counted, timed and traced of its commands."""

from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from support.instrumented_service import free_port, run_python
from support.otlp_receiver import OtlpReceiver, attributes_of
from support.recorded_calls import client_spans, counted, finished, span_attributes
from support.redis_server import RedisServer

OPERATIONS = "ansflow.cache.operations"
OPERATION_DURATION = "ansflow.cache.operation.duration"
DURATION = "db.client.operation.duration"

PREPARE = """
import os, sys, redis
URL = os.environ["REDIS_URL"]
client = redis.Redis.from_url(URL)
"""

SYNCHRONOUS = (
    PREPARE
    + """
client.set("k", "secret")
client.get("k"), client.get("absent"), client.getex("k"), client.getdel("k"), client.getdel("k")
client.mset({"a": 1, "b": 2})
client.mget("a", "b", "absent")
client.hset("h", "field", "v")
client.hget("h", "field"), client.hget("h", "absent")
client.hmget("h", ["field", "absent"]), client.hgetall("x")
client.exists("a", "b", "absent")
try:
    client.incr("h")
except redis.ResponseError:
    pass
with client.pipeline(transaction=False) as pipe:
    pipe.set("k", 1).get("k").get("absent").incr("h")
    answers = pipe.execute(raise_on_error=False)
    assert isinstance(answers[3], redis.ResponseError)
def change(pipe):
    value = pipe.get("a")
    pipe.multi()
    pipe.set("a", int(value) + 1)
client.transaction(change, "a")
"""
)

ASYNCHRONOUS = """
import asyncio, os, redis
from redis import asyncio as aioredis

async def main():
    client = aioredis.Redis.from_url(os.environ["REDIS_URL"])
    await client.set("k", "secret")
    for key in ("k", "absent"):
        await client.get(key)
    await client.getex("k"), await client.getdel("k"), await client.getdel("k")
    await client.mset({"a": 1, "b": 2})
    await client.mget("a", "b", "absent")
    await client.hset("h", "field", "v")
    await client.hget("h", "field"), await client.hget("h", "absent")
    await client.hmget("h", ["field", "absent"]), await client.hgetall("x")
    await client.exists("a", "b", "absent")
    try:
        await client.incr("h")
    except redis.ResponseError:
        pass
    async with client.pipeline(transaction=False) as pipe:
        pipe.set("k", 1).get("k").get("absent").incr("h")
        answers = await pipe.execute(raise_on_error=False)
        assert isinstance(answers[3], redis.ResponseError)
    async def change(pipe):
        value = await pipe.get("a")
        pipe.multi()
        pipe.set("a", int(value) + 1)
    await client.transaction(change, "a")
    await client.aclose()

asyncio.run(main())
"""

EXPECTED = {
    ("set", "ok"): 3,
    ("get", "hit"): 3,
    ("get", "miss"): 2,
    ("getex", "hit"): 1,
    ("getdel", "hit"): 1,
    ("getdel", "miss"): 1,
    ("mset", "ok"): 1,
    ("mget", "hit"): 2,
    ("mget", "miss"): 1,
    ("hset", "ok"): 1,
    ("hget", "hit"): 1,
    ("hget", "miss"): 1,
    ("hmget", "hit"): 1,
    ("hmget", "miss"): 1,
    ("hgetall", "miss"): 1,
    ("exists", "hit"): 2,
    ("exists", "miss"): 1,
    ("incrby", "error"): 2,
    ("watch", "ok"): 1,
}
"""Commands of either program, alone, in a pipeline and in a transaction; `incr` sends INCRBY."""

CALLS = dict.fromkeys(("SET", "GETEX", "MSET", "MGET", "HSET", "HMGET", "HGETALL", "EXISTS", "INCRBY"), 1)
CALLS |= {"GET": 3, "GETDEL": 2, "HGET": 2, "PIPELINE": 1, "WATCH": 1, "MULTI": 1}


@pytest.mark.parametrize("program", [SYNCHRONOUS, ASYNCHRONOUS], ids=["sync", "asyncio"])
def test_commands_are_counted_timed_and_traced(
    program: str, receiver: OtlpReceiver, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Look-ups are hits or misses by key, a pipeline is one call, and no key or value leaves the process."""
    variables = {"REDIS_URL": redis_server.url(5)}
    finished(run_python(program, receiver, tmp_path, variables=variables))

    operations = counted(receiver, OPERATIONS, "cache", "operation", "status")
    assert operations == {("redis/5", *key): n for key, n in EXPECTED.items()}
    assert counted(receiver, DURATION, "db.operation.name") == {(name,): n for name, n in CALLS.items()}
    assert sum(counted(receiver, OPERATION_DURATION, "operation").values()) == sum(CALLS.values())
    server = ("db.system.name", "db.namespace", "server.address", "server.port")
    assert set(counted(receiver, DURATION, *server)) == {
        ("redis", "5", redis_server.host, str(redis_server.port))
    }
    errors = counted(receiver, DURATION, "db.operation.name", "error.type")
    assert {key: n for key, n in errors.items() if key[1]} == {
        ("INCRBY", "redis.exceptions.ResponseError"): 1
    }

    spans = client_spans(receiver)
    assert len(spans) == sum(CALLS.values())
    texts = [span_attributes(span)["db.query.text"] for span in spans]
    assert texts[0] == "SET ? ?"
    assert "SET ? ?\nGET ?\nGET ?\nINCRBY ? ?" in texts
    assert "secret" not in str(receiver.traces)
    pipeline = span_attributes(next(span for span in spans if span.name == "PIPELINE"))
    assert pipeline["db.operation.batch.size"] == "4"
    (failed,) = [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert span_attributes(failed)["db.response.status_code"] == "WRONGTYPE"


def test_waiting_is_no_latency(receiver: OtlpReceiver, redis_server: RedisServer, tmp_path: Path) -> None:
    """A consumer's BLPOP and XREAD BLOCK are counted; they are not timed, and begin no traces."""
    program = PREPARE + (
        "client.blpop('queue', timeout=0.1); client.xread({'stream': '0'}, block=50)\n"
        "client.xread({'stream': '0'})"
    )
    finished(run_python(program, receiver, tmp_path, variables={"REDIS_URL": redis_server.url()}))

    assert counted(receiver, OPERATIONS, "operation", "status") == {("blpop", "ok"): 1, ("xread", "ok"): 2}
    assert counted(receiver, DURATION, "db.operation.name") == {("XREAD",): 1}
    assert [span.name for span in client_spans(receiver)] == ["XREAD"]


def test_a_server_that_is_away(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A failed command is an error in each signal; the application gets its exception."""
    program = PREPARE + ("try:\n    client.get('k')\nexcept redis.ConnectionError:\n    print('refused')\n")
    variables = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    assert finished(run_python(program, receiver, tmp_path, variables=variables)).strip() == "refused"

    assert counted(receiver, OPERATIONS, "operation", "status") == {("get", "error"): 1}
    kind = "redis.exceptions.ConnectionError"
    assert counted(receiver, DURATION, "error.type") == {(kind,): 1}
    (span,) = client_spans(receiver)
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert span_attributes(span)["error.type"] == kind


@pytest.mark.parametrize("name", ["redis", "ansflow_redis"])
def test_the_users_list_turns_it_off(
    name: str, receiver: OtlpReceiver, redis_server: RedisServer, tmp_path: Path
) -> None:
    """`redis` turns redis-py off; `ansflow_redis` brings contrib's back, with spans and no meters."""
    variables = {"REDIS_URL": redis_server.url(), "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": name}
    finished(run_python(PREPARE + "client.get('k')", receiver, tmp_path, variables=variables))

    assert OPERATIONS not in receiver.metric_names()
    assert len(client_spans(receiver)) == (1 if name == "ansflow_redis" else 0)


POOLS = """
import asyncio, os, redis
from opentelemetry import metrics
from redis import asyncio as aioredis

URL = os.environ["REDIS_URL"]
pools = [
    redis.ConnectionPool.from_url(URL, max_connections=10),
    redis.BlockingConnectionPool.from_url(URL, max_connections=5),
]
held = [[pool.get_connection() for _ in range(3)] for pool in pools]
for pool, connections in zip(pools, held):
    pool.release(connections.pop())

async def main():
    pool = aioredis.ConnectionPool.from_url(URL, max_connections=7)
    kept = [await pool.get_connection() for _ in range(2)]
    await pool.release(kept.pop())
    if os.fork() == 0:
        connection = pools[0].get_connection()
        metrics.get_meter_provider().force_flush()
        os._exit(0)
    os.wait()
    metrics.get_meter_provider().force_flush()
    await pool.disconnect()

asyncio.run(main())
for pool in pools:
    pool.disconnect()
del pool, pools, held, connections
"""


def test_pools_are_asked(receiver: OtlpReceiver, redis_server: RedisServer, tmp_path: Path) -> None:
    """Connections of every kind of pool by database, used and idle; a forked child has none of them."""
    finished(run_python(POOLS, receiver, tmp_path, variables={"REDIS_URL": redis_server.url(9)}))

    points = [
        (metric.name, attributes_of(list(point.attributes)), point.as_int)
        for request in receiver.metrics
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
        if metric.name.startswith("db.client.connection.")
    ]
    assert {attributes["db.client.connection.pool.name"] for _, attributes, _ in points} == {"redis/9"}
    used = [n for name, a, n in points if a.get("db.client.connection.state") == "used"]
    idle = [n for name, a, n in points if a.get("db.client.connection.state") == "idle"]
    limits = [n for name, _, n in points if name.endswith("max")]
    seen = list(dict.fromkeys(zip(used, idle, limits, strict=True)))
    assert seen[0] == (1, 0, 10), "the child, which has begun to use one of its pools"
    assert seen[1] == (5, 3, 22), "the parent, which has three"


def test_a_command_in_one_string_is_named_without_its_key(
    receiver: OtlpReceiver, redis_server: RedisServer, tmp_path: Path
) -> None:
    """redis-py takes arguments in the command's own string: they are no part of its name."""
    program = (
        PREPARE
        + """
for number in range(600):
    client.execute_command(f"GET session-9f8a7b6c{number}")
client.execute_command("EXISTS session-9f8a7b6c"), client.execute_command("CLIENT SETNAME session-9f8a7b6c")
client.client_setname("tests"), client.config_get("maxmemory"), client.set("k", 1)
"""
    )
    finished(run_python(program, receiver, tmp_path, variables={"REDIS_URL": redis_server.url(5)}))

    assert counted(receiver, DURATION, "db.operation.name") == {
        ("GET",): 600,
        ("EXISTS",): 1,
        ("CLIENT SETNAME",): 2,
        ("CONFIG GET",): 1,
        ("SET",): 1,
    }
    assert "9f8a7b6c" not in f"{receiver.traces}{receiver.metrics}".lower()


def test_a_port_that_is_none_is_for_redis_py_to_refuse(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A client is made of whatever settings (Kubernetes' `tcp://…` for a port), and fails when it is used."""
    program = """
import redis
client = redis.Redis(host="127.0.0.1", port="tcp://10.0.0.1:6379")
try:
    client.get("k")
except Exception:
    pass
else:
    raise AssertionError
"""
    finished(run_python(program, receiver, tmp_path))
    assert counted(receiver, DURATION, "server.address", "server.port") == {("127.0.0.1", None): 1}
