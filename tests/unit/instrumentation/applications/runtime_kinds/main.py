"""A FastAPI application that blocks its event loop, or fills its threads, when it is asked to."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Have two threads for synchronous endpoints."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = 2
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/fast")
async def fast() -> None:
    """Answer at once."""


@app.get("/block")
async def block() -> None:
    """Do what no coroutine should: sleep for a second without giving the loop back."""
    time.sleep(1)  # noqa: ASYNC251 # on purpose


@app.get("/threads")
def threads() -> None:
    """Keep a thread for most of a second."""
    time.sleep(0.8)
