"""Follows the processes' log files, as one stream with a coloured prefix each."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
_CHUNK = 256 * 1024


@dataclass
class _Source:
    name: str
    path: Path
    style: str
    position: int = 0
    inode: int = 0
    rest: bytes = field(default=b"", repr=False)


class LogFollower:
    """Prints what is added to log files from now on.

    Args:
        files: the log file of each process, by the process's name.
        console: where to print.
    """

    def __init__(self, files: Iterable[tuple[str, Path]], console: Console) -> None:
        self._console = console
        self._sources = [
            _Source(name, path, style)
            for (name, path), style in zip(files, itertools.cycle(_COLOURS), strict=False)
        ]
        self._width = max((len(source.name) for source in self._sources), default=0)
        for source in self._sources:
            if source.path.exists():
                status = source.path.stat()
                source.position, source.inode = status.st_size, status.st_ino

    def print_new(self) -> int:
        """Print the lines that were completed since the last call; return how many."""
        return sum(self._print_new(source) for source in self._sources)

    def _print_new(self, source: _Source) -> int:
        try:
            with source.path.open("rb") as file:
                self._restart_if_rotated(source)
                file.seek(source.position)
                added = file.read(_CHUNK)
        except FileNotFoundError:
            return 0
        source.position += len(added)
        *lines, source.rest = (source.rest + added).split(b"\n")
        for line in lines:
            prefix = Text(f"{source.name:<{self._width}} │ ", style=source.style)
            # The programs' own colours are kept; nothing in a log is taken for markup.
            self._console.print(prefix + Text.from_ansi(line.decode(errors="replace")), soft_wrap=True)
        return len(lines)

    @staticmethod
    def _restart_if_rotated(source: _Source) -> None:
        status = source.path.stat()
        if status.st_ino != source.inode or status.st_size < source.position:
            source.position, source.inode, source.rest = 0, status.st_ino, b""


def last_lines(path: Path, count: int) -> str:
    """Return the last lines of a log file; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _CHUNK))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])
