"""A FastAPI application with one of each kind of route; it knows nothing of telemetry."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

app = FastAPI()
orders = APIRouter(prefix="/shops/{shop_id}")
mounted = FastAPI()


@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    """Answer."""
    return {"item": item_id}


@app.get("/threaded/{item_id}")
def threaded(item_id: int) -> dict[str, int]:
    """Answer from a thread."""
    return {"item": item_id}


@orders.get("/orders/{order_id}")
async def order(shop_id: int, order_id: int) -> dict[str, int]:
    """Answer from a router that is included."""
    return {"shop": shop_id, "order": order_id}


@mounted.get("/things/{thing_id}")
async def thing(thing_id: int) -> dict[str, int]:
    """Answer from an application inside the application."""
    return {"thing": thing_id}


@app.get("/broken")
async def broken() -> None:
    """Fail as code fails."""
    raise RuntimeError("a bug")


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Answer piece by piece."""

    async def pieces() -> AsyncIterator[str]:
        for piece in "abc":
            await asyncio.sleep(0)
            yield piece

    return StreamingResponse(pieces())


@app.get("/health/live")
async def health() -> dict[str, str]:
    """Say that all is well."""
    return {"status": "pass"}


@app.websocket("/rooms/{room}")
async def echo(websocket: WebSocket, room: str) -> None:
    """Return each message until the client leaves."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        return


app.include_router(orders, prefix="/v1")
app.mount("/mounted", mounted)
