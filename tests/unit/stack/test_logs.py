"""Following log files."""

import io
from pathlib import Path

import pytest
from ansflow_stack.local.logs import LogFollower, last_lines
from rich.console import Console


@pytest.fixture
def console() -> Console:
    """A console that keeps what is printed, wide enough for a line."""
    return Console(file=io.StringIO(), width=200, no_color=True)


def _printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_get_their_process_as_a_prefix(tmp_path: Path, console: Console) -> None:
    """Only what comes after the start is printed, whole lines only, markup untouched."""
    log, other = tmp_path / "api.log", tmp_path / "db.log"
    log.write_text("before\n")
    follower = LogFollower([("api", log), ("database", other)], console)
    with log.open("a") as file:
        file.write("[red]one[/]\ntwo")
    assert follower.print_new() == 1
    other.write_text("late file\n")
    with log.open("a") as file:
        file.write(" and a half\n")
    assert follower.print_new() == 2
    assert _printed(console) == "api      │ [red]one[/]\napi      │ two and a half\ndatabase │ late file\n"


def test_a_rotated_file_is_read_from_its_start(tmp_path: Path, console: Console) -> None:
    """Rotation by rename and a new file loses no line of the new file."""
    log = tmp_path / "api.log"
    log.write_text("a long line of the former file\n")
    follower = LogFollower([("api", log)], console)
    log.rename(tmp_path / "api.log.1")
    log.write_text("fresh\n")
    assert follower.print_new() == 1
    assert _printed(console) == "api │ fresh\n"


def test_the_last_lines_of_a_file(tmp_path: Path) -> None:
    """As many as asked for; nothing where there is no file."""
    log = tmp_path / "api.log"
    assert last_lines(log, 2) == ""
    log.write_text("1\n2\n3\n")
    assert last_lines(log, 2) == "2\n3"
