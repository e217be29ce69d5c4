"""The benchmark runs, and every set-up does the work that it is measured for."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[3]

DELIVERED = {
    "fastapi": {
        "bare": ("0", "0"),
        "**AnsFlow**, traces 100 % + metrics": ("1", "1"),
        "**AnsFlow**, metrics only": ("0", "1"),
        "OpenTelemetry contrib, traces + metrics": ("3", "1"),
        "FastAPI native, traces + metrics": ("4", "1"),
        "prometheus-fastapi-instrumentator, metrics only": ("0", "1"),
        "starlette_exporter, metrics only": ("0", "1"),
    },
    "django": {
        "bare": ("0", "0"),
        "**AnsFlow**, traces 100 % + metrics": ("1", "1"),
        "**AnsFlow**, metrics only": ("0", "1"),
        "OpenTelemetry contrib, traces + metrics": ("1", "1"),
        "django-prometheus, metrics only": ("0", "1"),
    },
}
"""Spans and counts a request of the set-ups of a part, but those that sample."""

SAMPLED = "**AnsFlow**, traces 1 % + metrics"


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the benchmark."""
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("part", DELIVERED)
def test_every_set_up_delivers_what_it_is_measured_for(part: str, tmp_path: Path) -> None:
    """Each request of each set-up is counted once, and traced where it has to be: none drops any."""
    finished = bench("--quick", "--only", part, "--write", str(tmp_path))
    assert finished.returncode == 0, finished.stderr
    table, _, targets = finished.stdout.partition("| part |")
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines[1:]}
    delivered = {name: tuple(cells[-3:-1]) for name, cells in rows.items()}
    assert {cells[-1] for cells in rows.values()} == {"exact"}
    assert delivered.pop(SAMPLED)[1] == "1"
    assert delivered == DELIVERED[part]
    assert "not measured" not in targets
    assert targets.count(f"| {part} |") == 6
    assert table.strip() in (tmp_path / "benchmarks.md").read_text()
    drawn = ET.parse(tmp_path / "benchmarks.svg").iter("{http://www.w3.org/2000/svg}g")  # noqa: S314 # our own
    assert len([*drawn]) == len(rows) - 1


def test_a_profile_names_what_is_called() -> None:
    """A profile of a set-up lists the functions that answer a request, by what they cost."""
    finished = bench("--profile", "django/bare", "--requests", "20")
    assert finished.returncode == 0, finished.stderr
    assert "Ordered by: internal time" in finished.stdout
    assert "(get_response)" in finished.stdout


def test_a_part_does_not_replace_the_page_of_the_whole() -> None:
    """`--write` of a part of a run is a usage error, unless a folder is named."""
    finished = bench("--write", "--only", "django")
    assert finished.returncode == 2
    assert "give a folder" in finished.stderr


def test_an_unknown_name_is_refused() -> None:
    """A name that is neither a part nor a set-up is a usage error, not a run that measures nothing."""
    finished = bench("--only", "nothing-like-it")
    assert finished.returncode == 2
    assert "nothing-like-it" in finished.stderr


@pytest.mark.parametrize("part", DELIVERED)
def test_a_real_server_delivers_what_it_is_measured_for(part: str) -> None:
    """Over uvicorn and gunicorn as well, each request arrives once: here ours, traced in full."""
    finished = bench("--quick", "--only", f"{part}-server", "--only", f"{part}/ansflow-100")
    assert finished.returncode == 0, finished.stderr
    lines = [line for line in finished.stdout.splitlines() if line.startswith(("| bare", "| **AnsFlow**"))]
    assert [line.split(" | ")[-3:] for line in lines] == [["0", "0", "exact |"], ["1", "1", "exact |"]]
