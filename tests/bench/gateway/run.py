"""All parts of the gateway's benchmark, in order."""

import sys
from collections.abc import Iterator
from pathlib import Path

from . import components, freshness, ingest, stall
from .document import section_text, target_table, write
from .results import Section

__all__ = ["run"]

EFFORT = ingest.Effort(blocks=10, requests=1000, batches=100, lines=10_000)
QUICK = ingest.Effort(blocks=2, requests=50, batches=5, lines=500)


def run(*, quick: bool, folder: Path | None = None) -> list[str]:
    """Measure, print, and write the page where it is asked for.

    Args:
        quick: Whether to run as little as possible; the figures then mean nothing.
        folder: Where to write `benchmarks-gateway.md`.

    Returns:
        What wasn't counted as it was sent; a sentence each.
    """
    sections = []
    for section in _sections(quick=quick):
        sys.stdout.write(f"{section_text(section)}\n")
        sys.stdout.flush()
        sections.append(section)
    sys.stdout.write(f"{target_table(sections)}\n")
    if folder is not None:
        write(sections, folder)
    return [problem for section in sections for problem in section.wrong]


def _sections(*, quick: bool) -> Iterator[Section]:
    yield ingest.measure(QUICK if quick else EFFORT)
    yield components.scrapes(quick=quick)
    yield stall.measure(2, 1.0, 1000) if quick else stall.measure(5, 10.0)
    yield freshness.measure(10 if quick else 200)
    yield components.sampling(quick=quick)
