"""The benchmark runs, and every set-up does the work that it is measured for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[str]]:
    """The table of a very short run: its cells by the name of the set-up."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--requests", "30", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.strip("|").split("|") for line in finished.stdout.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines[1:]}


def test_every_set_up_is_measured_against_the_bare_application(rows: dict[str, list[str]]) -> None:
    """Five set-ups, each with a positive cost and a ratio, which is 1 for the bare application."""
    assert list(rows) == [
        "bare FastAPI",
        "ansflow-instrumentation",
        "contrib, default",
        "FastAPI native",
        "prometheus-fastapi-instrumentator",
    ]
    assert all(float(cells[0]) > 0 and float(cells[1]) > 0 for cells in rows.values())
    assert rows["bare FastAPI"][1] == "1.00"


def test_every_set_up_delivers(rows: dict[str, list[str]]) -> None:
    """Spans and counts a request, as they arrived: ours are one each, so no set-up is fast by dropping."""
    delivered = {name: tuple(cells[3:]) for name, cells in rows.items()}
    assert delivered == {
        "bare FastAPI": ("0", "0"),
        "ansflow-instrumentation": ("1", "1"),
        "contrib, default": ("3", "1"),
        "FastAPI native": ("4", "1"),
        "prometheus-fastapi-instrumentator": ("0", "0"),
    }


@pytest.mark.parametrize("option", ["--requests", "--rounds"])
def test_bad_numbers_are_refused(option: str) -> None:
    """A number below 1 is a usage error."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.bench", option, "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert "--requests and --rounds must be 1 or more" in finished.stderr
