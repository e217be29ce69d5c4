"""Runs the registry: `python -m outside_service --port 8010`."""

import logging
import random

import click
import uvicorn

from outside_service.app import Conditions, build_app


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8010,
    envvar="ANSFLOW_OUTSIDE_PORT",
    help="Port to listen on.",
)
@click.option(
    "--error-share", type=click.FloatRange(0, 1), default=0.01, help="Share of requests that fail (0: none)."
)
@click.option("--latency-ms", type=click.FloatRange(0, 10_000), default=15.0, help="Median latency.")
@click.option("--seed", type=int, default=None, show_default="random", help="Seed of latencies and failures.")
def main(host: str, port: int, error_share: float, latency_ms: float, seed: int | None) -> None:
    """Run an artifact registry: the third party that the platform's integrations call."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Chance here makes weather, not secrets.
    chance = random.Random(seed)  # noqa: S311 - chance, no secret
    app = build_app(Conditions(error_share=error_share, median_latency_s=latency_ms / 1000, chance=chance))
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
