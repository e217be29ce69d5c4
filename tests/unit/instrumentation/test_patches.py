"""What the instrumentations of clients, caches and Django's ORM replace, they put back."""

import subprocess
import sys

PROGRAM = """
import inspect
import aiohttp, httpx, redis, redis.asyncio, requests
import django.core.cache, django.db.backends.utils
from ansflow_instrumentation.cache.django_cache import DjangoCacheInstrumentor
from ansflow_instrumentation.cache.redis_client import RedisInstrumentor
from ansflow_instrumentation.clients.aiohttp_client import AiohttpClientInstrumentor
from ansflow_instrumentation.clients.httpx_client import HttpxInstrumentor
from ansflow_instrumentation.clients.requests_client import RequestsInstrumentor
from ansflow_instrumentation.database.django_orm import DjangoOrmInstrumentor

FUNCTIONS = {
    AiohttpClientInstrumentor: [(aiohttp.ClientSession, "_request")],
    DjangoCacheInstrumentor: [(django.core.cache.CacheHandler, "create_connection")],
    DjangoOrmInstrumentor: [
        (django.db.backends.utils.CursorWrapper, name) for name in ("_execute", "_executemany", "callproc")
    ],
    HttpxInstrumentor: [(httpx.Client, "send"), (httpx.AsyncClient, "send")],
    RedisInstrumentor: [
        *((owner, "execute_command") for owner in (redis.Redis, redis.asyncio.Redis)),
        *((owner, "execute") for owner in (redis.client.Pipeline, redis.asyncio.client.Pipeline)),
        *((owner, "__init__") for owner in (redis.ConnectionPool, redis.asyncio.ConnectionPool)),
    ],
    RequestsInstrumentor: [(requests.Session, "send")],
}
for instrumentor, functions in FUNCTIONS.items():
    originals = [vars(owner)[name] for owner, name in functions]
    for _ in range(2):
        instrumentor().instrument()
        for (owner, name), original in zip(functions, originals, strict=True):
            replacement = vars(owner)[name]
            assert replacement.__wrapped__ is original, (owner, name)
            assert inspect.signature(replacement) == inspect.signature(original)
            assert inspect.iscoroutinefunction(replacement) == inspect.iscoroutinefunction(original)
        instrumentor().uninstrument()
        assert [vars(owner)[name] for owner, name in functions] == originals
print("ok")
"""


def test_what_is_replaced_is_put_back() -> None:
    """Each function is wrapped once, looks as it did, and is the original again after `uninstrument`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "ok\n", done.stderr
