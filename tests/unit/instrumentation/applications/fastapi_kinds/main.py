"""Routers in routers, mounts in mounts, with parameters on the way, and middleware that copies the scope."""

import os
from typing import Any

from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles


class CopyScope:
    """Passes a copy of the scope on, as middleware may."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve with a copy."""
        await self.app(dict(scope), receive, send)


async def plain(request: Request) -> PlainTextResponse:
    """Answer."""
    return PlainTextResponse("ok")


async def echo(websocket: WebSocket) -> None:
    """Return every message, until the client goes."""
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(message)


inner = APIRouter(prefix="/inner")
inner.add_api_websocket_route("/ws/{room}", echo)


@inner.get("/items/{item_id}")
async def item(item_id: int) -> int:
    """Answer from a router in a router."""
    return item_id


@inner.post("/items/{item_id}")
async def put_item(item_id: int) -> int:
    """Answer to another method."""
    return item_id


outer = APIRouter(prefix="/outer/{tenant}")
outer.include_router(inner)

tenant = FastAPI()
tenant.include_router(inner, prefix="/v1")

app = FastAPI()
app.include_router(outer)
app.mount("/tenants/{tenant}", tenant)
app.mount("/static", StaticFiles(directory=os.path.dirname(__file__)))  # noqa: PTH120 # Starlette takes text
app.mount(
    "/plain",
    Starlette(
        routes=[
            Route("/{name}", plain),
            Mount("/deep", routes=[Route("/{path:path}", plain), WebSocketRoute("/ws", echo)]),
        ]
    ),
)


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Send ten bytes in two chunks, and work on afterwards."""

    async def chunks() -> Any:
        yield b"12345"
        yield b"12345"

    return StreamingResponse(chunks(), background=BackgroundTask(_work_on))


async def _work_on() -> None:
    import asyncio

    await asyncio.sleep(1)


copying = FastAPI()
copying.include_router(outer)
copying.add_middleware(CopyScope)

starlette = Starlette(routes=[Route("/things/{name}", plain), Mount("/app", app)])

behind_proxy = FastAPI(root_path="/proxied")
behind_proxy.include_router(inner)


class Twice:
    """Asks the application twice, as middleware that tries again does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Throw the first answer away."""

        async def nowhere(message: Any) -> None:
            pass

        if scope["type"] == "http":
            await self.app(dict(scope), receive, nowhere)
        await self.app(scope, receive, send)


twice = FastAPI()
twice.mount("/tenants/{tenant}", tenant)
twice.add_middleware(Twice)
