"""`docs/benchmarks.md` and its picture, as a run writes them."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from .figures import RESAMPLES
from .picture import picture
from .results import Part
from .tables import part_tables, target_table
from .targets import findings

__all__ = ["document", "write"]

PACKAGES = (
    "fastapi",
    "starlette",
    "django",
    "uvicorn",
    "gunicorn",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-instrumentation-django",
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "django-prometheus",
)

METHOD = f"""\
Every set-up runs in a process of its own, all of one table at the same time, taking turns of a few
hundred requests, so that a busy machine is busy for all. What counts is CPU time. A round of a set-up is
compared with the round of the bare application beside it; the tables give the median of these
differences and its quartiles, the targets the ratio of two such medians and where it lies in nine of ten
of {RESAMPLES} resamplings of the rounds.

- **request path**: CPU time of the thread that serves, which is what a request waits for.
- **whole process**: CPU time of all threads, exports and scrapes included: one metric export or scrape
  every 1,000 requests in process, every 10 s over a server (some 2,000 requests), spans in the SDK's
  batches.
- In process, the application is called with a complete ASGI scope or WSGI environment, without a server.
  Over a server, the load comes from another process over four connections, and the CPU time is that of
  all of the server's processes.
- AnsFlow is started as a user starts it, by `opentelemetry-instrument` (in process, by what that calls),
  with all its instrumentations; contrib and FastAPI's own telemetry with providers set up by hand and
  stock settings; the Prometheus middleware as their documentation says. All export metrics at the same
  times, and span queues hold 100,000, so that nobody saves work by exporting seldom or by dropping.
- Exports go to an OTLP endpoint in another process, which keeps all that arrives. **Delivery** is exact
  where every request has arrived as one SERVER span with its route and status (1 %: within six
  standard deviations) and as one count; else it is marked as wrong, and no target counts as met by it.
"""


def document(parts: Sequence[Part]) -> str:
    """Write the page.

    Args:
        parts: What was run.

    Returns:
        Markdown.
    """
    versions = ",\n".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    return f"""\
# Benchmarks

What a request costs in CPU time, bare and instrumented, measured in one run. Written by
`make bench ARGS=--write`: change nothing here by hand. Microseconds are this machine's; the ratios travel
better.

![CPU time added to a request by each set-up](benchmarks.svg)

## Targets

{target_table(findings(parts))}

## How it is measured

{METHOD}
Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs;
{versions}.

## Figures

{chr(10).join(part_tables(part) + chr(10) for part in parts)}"""


def write(parts: Sequence[Part], folder: Path) -> None:
    """Write page and picture.

    Args:
        parts: What was run.
        folder: Where to.
    """
    (folder / "benchmarks.md").write_text(document(parts), encoding="utf-8")
    (folder / "benchmarks.svg").write_text(picture(parts), encoding="utf-8")
