"""A FastAPI service as people write them: a database that echoes, a WebSocket, a Prometheus counter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, WebSocket
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

orders = Counter("shop_orders", "Orders taken")

engine = create_async_engine(
    "sqlite+aiosqlite:///findings.db", echo=True, poolclass=AsyncAdaptedQueuePool, pool_size=10
)

release = asyncio.Event()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the pool at the end."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def item(item_id: int) -> int:
    """Take an order, without a database."""
    orders.inc()
    return item_id


@app.get("/query")
async def query() -> int:
    """Ask the database once."""
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT 1"))).scalar_one())


@app.get("/hold/{connections}")
async def hold(connections: int) -> int:
    """Check connections out, and keep them until they are let go."""
    async with AsyncExitStack() as held:
        for _ in range(connections):
            await held.enter_async_context(engine.connect())
        await release.wait()
    return connections


@app.get("/let-go")
async def let_go() -> None:
    """Give the connections back."""
    release.set()


@app.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    """Return one message."""
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()
