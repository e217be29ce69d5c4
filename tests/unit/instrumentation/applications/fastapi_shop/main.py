"""Items, a mounted application, a WebSocket, operational paths, and neighbours whose names look alike."""

import asyncio
import logging
import os
import time

from fastapi import FastAPI, WebSocket
from fastapi.applications import FastAPI as DirectlyImported

logger = logging.getLogger("fastapi_shop")

app = FastAPI()
mounted = FastAPI()
app.mount("/mounted", mounted)


@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    """Answer, and warn of it."""
    logger.warning("item %d was asked for", item_id)
    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT * FROM items")
    return {"item": item_id}


@app.get("/pid")
async def pid() -> int:
    """Answer with the worker's process id."""
    return os.getpid()


@app.get("/busy")
async def busy() -> None:
    """Leave work behind that keeps every thread of the loop's executor for minutes."""
    for _ in range(40):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)


@app.get("/broken")
async def broken() -> None:
    """Fail as code fails."""
    raise RuntimeError("a bug")


@app.get("/health")
@app.get("/health/live")
@app.get("/metrics")
@app.get("/healthcare")
@app.get("/metrics-guide")
@app.get("/clinic/health")
async def plain() -> dict[str, str]:
    """Answer."""
    return {}


@app.get("/checkout")
@app.get("/health/ready")
async def ask_backend() -> int:
    """Call the service behind this one."""
    import httpx  # not installed wherever the rest runs

    logger.warning("the backend is asked")
    async with httpx.AsyncClient() as client:
        return (await client.get(os.environ["SHOP_BACKEND_URL"])).status_code


@mounted.get("/things/{thing_id}")
async def thing(thing_id: int) -> dict[str, int]:
    """Answer from an application inside the application."""
    return {"thing": thing_id}


@app.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    """Return one message."""
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


direct = DirectlyImported()
direct.add_api_route("/items/{item_id}", item)
direct.add_api_route("/health", plain)
