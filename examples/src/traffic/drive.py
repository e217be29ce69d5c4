"""Drives the traffic: when which request is sent."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice

from traffic import django_steps, fastapi_steps
from traffic.client import Client, pause
from traffic.sessions import WebSocketClient
from traffic.steps import Service, Step
from traffic.summary import Summary
from traffic.world import World

_WEIGHTS: Mapping[Service, Mapping[Callable[[World], Step], int]] = {
    Service.FASTAPI: fastapi_steps.WEIGHTS,
    Service.DJANGO: django_steps.WEIGHTS,
}

_AT_ONCE = 20
"""How many requests are on their way at most."""

_RUNS_END_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send.

    Args:
        urls: The base address of each service.
        rate: Requests a second to both services together; 0 for as fast as they answer.
        seed: Seed of all choices.
        duration_s: When to stop; `None` for never.
        requests: How many requests each service gets; `None` for no end.
        sessions: How many WebSocket sessions to have where `requests` is given.
        websockets: Whether to have WebSocket sessions at all.
        wait_s: How long to wait for the services at the start.
        progress_s: Seconds between lines of progress.
    """

    urls: Mapping[Service, str]
    rate: float
    seed: int
    duration_s: float | None
    requests: int | None
    sessions: int
    websockets: bool
    wait_s: float
    progress_s: float


async def drive(plan: Plan, *, stop: asyncio.Event, say: Callable[[str], None]) -> Summary:
    """Send what the plan says until it is done or it is time to stop.

    Args:
        plan: What to send.
        stop: Set to stop.
        say: Takes the lines of progress.

    Returns:
        What was sent.

    Raises:
        ServicesNotReadyError: The services did not get ready.
    """
    # Chance decides here what to ask next: it keeps no secrets.
    world = World(random.Random(plan.seed))  # noqa: S311 - chance, no secret
    summary = Summary()
    async with Client(plan.urls, world, summary) as client:
        await client.wait_ready(deadline_s=plan.wait_s, stop=stop)
        done = asyncio.Event()
        background = [asyncio.create_task(_report(summary, plan.progress_s, done, say))]
        try:
            async with asyncio.TaskGroup() as group:
                if plan.websockets:
                    sockets = WebSocketClient(plan.urls[Service.FASTAPI], world, summary)
                    if plan.requests is None:
                        background.append(asyncio.create_task(_sessions_without_end(sockets, world, done)))
                    else:
                        group.create_task(_sessions(sockets, plan.sessions, stop))
                group.create_task(_requests(plan, client, world, stop))
        finally:
            done.set()
            await asyncio.gather(*background)
        if plan.requests is not None and summary.runs_started and not stop.is_set():
            say("waiting for the runs to finish")
            if not await client.wait_for_runs(deadline_s=_RUNS_END_S):
                say(f"some runs are not finished after {_RUNS_END_S:g} s")
    return summary


async def _requests(plan: Plan, client: Client, world: World, stop: asyncio.Event) -> None:
    """Send requests at the plan's pace, each in a task of its own."""
    slots = asyncio.Semaphore(_AT_ONCE)
    started = time.monotonic()

    async def send(step: Step) -> None:
        try:
            answered = await client.send(step)
            if not answered:
                # The service is away: its share of the slots is kept for a moment, which slows traffic down.
                await pause(1.0, stop)
        finally:
            slots.release()

    due = started
    async with asyncio.TaskGroup() as group:
        for service in _services(plan.requests):
            if stop.is_set() or (
                plan.duration_s is not None and time.monotonic() - started >= plan.duration_s
            ):
                break
            await slots.acquire()
            group.create_task(send(next_step(service, world)))
            if plan.rate:
                # After a slow phase traffic goes on at its rate; it does not make up for what was missed.
                due = max(due + 1 / plan.rate, time.monotonic() - 1.0)
                await pause(max(0.0, due - time.monotonic()), stop)


def next_step(service: Service, world: World) -> Step:
    """Return a request, chosen by the service's weights.

    Args:
        service: Whom it is for.
        world: Chance, and where requests can go.
    """
    weights = _WEIGHTS[service]
    return world.chance.choices(list(weights), list(weights.values()))[0](world)


def _services(requests: int | None) -> Iterator[Service]:
    endless = cycle(Service)
    return endless if requests is None else islice(endless, requests * len(Service))


async def _sessions(sockets: WebSocketClient, count: int, stop: asyncio.Event) -> None:
    """Have a number of short sessions, one after the other."""
    for _ in range(count):
        if stop.is_set():
            return
        await sockets.session(seconds=1.0, stop=stop)


async def _sessions_without_end(sockets: WebSocketClient, world: World, done: asyncio.Event) -> None:
    """Have sessions, with pauses, until all requests are sent."""
    while not done.is_set():
        opened = await sockets.session(seconds=world.chance.uniform(3, 12), stop=done)
        await pause(world.chance.uniform(0.5, 3) if opened else 3.0, done)


async def _report(summary: Summary, every_s: float, done: asyncio.Event, say: Callable[[str], None]) -> None:
    while not done.is_set():
        await pause(every_s, done)
        if not done.is_set():
            say(summary.line())
