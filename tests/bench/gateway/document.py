"""`docs/benchmarks-gateway.md`, as a run writes it."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from ansflow_stack.build.binaries import catalogue
from ansflow_stack.build.checkout import Checkout

from ..environment import ROOT
from .results import Section

__all__ = ["document", "section_text", "target_table", "write"]

PACKAGES = ("aiohttp", "uvloop", "msgspec", "prometheus-client", "opentelemetry-sdk")
PEERS = ("pushgateway", "statsd_exporter", "collector")


def document(sections: Sequence[Section]) -> str:
    """Write the page.

    Args:
        sections: What was run.

    Returns:
        Markdown.
    """
    known = catalogue(Checkout(ROOT).manifest)
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    peers = ", ".join(f"{name} {known[name].version}" for name in PEERS)
    return f"""\
# Benchmarks of the gateway

What the gateway costs and how fast it is, beside its peers in one run. Written by
`make bench ARGS=--write`: change nothing here by hand. Microseconds are this machine's; the ratios travel
better. In brackets: quartiles; of the factors against Pushgateway, where nine of ten resamplings of the
blocks lie.

## Targets

{target_table(sections)}

Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs;
{versions}; {peers}.

{chr(10).join(section_text(section) for section in sections)}"""


def target_table(sections: Sequence[Section]) -> str:
    """Render the targets and what was measured.

    Args:
        sections: What was run.

    Returns:
        A Markdown table.
    """
    rows = [
        [target.title, target.limit, target.measured, "met" if target.met else "**not met**"]
        for section in sections
        for target in section.targets
    ]
    return _table(("what", "target", "measured", ""), rows)


def section_text(section: Section) -> str:
    """Render one section.

    Args:
        section: The section.

    Returns:
        Markdown.
    """
    return f"## {section.title}\n\n{section.note}\n{_table(section.heads, section.rows)}\n"


def write(sections: Sequence[Section], folder: Path) -> None:
    """Write the page.

    Args:
        sections: What was run.
        folder: Where to.
    """
    (folder / "benchmarks-gateway.md").write_text(document(sections), encoding="utf-8")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
