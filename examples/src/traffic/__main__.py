"""Runs the traffic: `python -m traffic`."""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import click

from traffic.client import ServicesNotReadyError
from traffic.drive import Plan, drive
from traffic.steps import Service
from traffic.summary import Summary


@click.command(context_settings={"show_default": True})
@click.option(
    "--fastapi-url",
    default="http://127.0.0.1:8001",
    envvar="FASTAPI_SERVICE_URL",
    help="The pipeline service.",
)
@click.option(
    "--django-url",
    default="http://127.0.0.1:8000",
    envvar="DJANGO_SERVICE_URL",
    help="The management service.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1000),
    default=5.0,
    help="Requests a second to both services together; 0: as fast as they answer.",
)
@click.option(
    "--duration", type=click.FloatRange(0, min_open=True), default=None, help="Stop after so many seconds."
)
@click.option(
    "--requests", type=click.IntRange(1), default=None, help="Send exactly so many requests to each service."
)
@click.option(
    "--websocket-sessions",
    type=click.IntRange(0),
    default=4,
    help="With --requests: have so many WebSocket sessions.",
)
@click.option("--websockets/--no-websockets", default=True, help="Whether to have WebSocket sessions.")
@click.option("--seed", type=int, default=1, help="Seed of all choices.")
@click.option("--wait", type=click.FloatRange(0), default=120.0, help="Seconds to wait for the services.")
@click.option(
    "--progress", type=click.FloatRange(0.1), default=10.0, help="Seconds between lines of progress."
)
@click.option(
    "--summary",
    "summary_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Write what was sent to this file, as JSON.",
)
def main(
    fastapi_url: str,
    django_url: str,
    rate: float,
    duration: float | None,
    requests: int | None,
    websocket_sessions: int,
    websockets: bool,
    seed: int,
    wait: float,
    progress: float,
    summary_file: Path | None,
) -> None:
    """Send realistic traffic to the two services: requests, WebSocket sessions and pipeline runs.

    It waits for the services, survives their restarts, and stops at Ctrl-C or SIGTERM.
    """
    plan = Plan(
        urls={Service.FASTAPI: fastapi_url, Service.DJANGO: django_url},
        rate=rate,
        seed=seed,
        duration_s=duration,
        requests=requests,
        sessions=websocket_sessions,
        websockets=websockets,
        wait_s=wait,
        progress_s=progress,
    )
    started = time.monotonic()
    try:
        summary = asyncio.run(_until_signalled(plan))
    except ServicesNotReadyError as error:
        raise click.ClickException(str(error)) from error
    duration_s = time.monotonic() - started
    _say(f"done in {duration_s:.1f} s: {summary.line()}")
    if summary_file is not None:
        document = summary.as_json(seed=seed, duration_s=duration_s)
        summary_file.write_text(json.dumps(document, indent=2) + "\n")
    if requests is not None and any(summary.requests_to(service) != requests for service in Service):
        sys.exit("traffic: not every request was sent and answered")


async def _until_signalled(plan: Plan) -> Summary:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await drive(plan, stop=stop, say=_say)


def _say(line: str) -> None:
    click.echo(f"traffic: {line}")


if __name__ == "__main__":
    main()
