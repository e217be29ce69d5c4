"""What is known of a Redis command before it is sent, and what its answer tells.

Sources:
    https://redis.io/docs/latest/commands/
    https://opentelemetry.io/docs/specs/semconv/db/redis/
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Command", "command_of", "query_text"]

Lookups = Callable[[Sequence[Any], Any], tuple[int, int]]
"""Counts hits and misses, of a command with its arguments and of its answer."""

MAX_COMMANDS = 512
"""Names of commands that are told apart; Redis with its modules has fewer."""

MAX_ARGUMENTS = 30
"""Placeholders in a statement: enough to tell commands apart by their form."""


class Command(NamedTuple):
    """A command by its name.

    Attributes:
        name: As Redis writes it: `GET`, `CLIENT SETNAME`.
        operation: The same in lower case.
        lookups: Counts hits and misses in its answer; None if it is no look-up.
        waits: Whether it waits for something to happen, so that its duration is not a latency.
    """

    name: str
    operation: str
    lookups: Lookups | None
    waits: bool


def _one(_: Sequence[Any], answer: Any) -> tuple[int, int]:
    return (0, 1) if answer is None else (1, 0)


def _truth(_: Sequence[Any], answer: Any) -> tuple[int, int]:
    return (1, 0) if answer else (0, 1)


def _number(args: Sequence[Any], answer: Any) -> tuple[int, int]:
    found = int(answer)
    return found, max(0, len(args) - 1 - found)


def _each(args: Sequence[Any], answer: Any) -> tuple[int, int]:
    if not isinstance(answer, Sequence):
        return _one(args, answer)
    misses = sum(value is None for value in answer)
    return len(answer) - misses, misses


LOOKUPS: Mapping[str, Lookups] = {
    "GET": _one,
    "GETEX": _one,
    "GETDEL": _one,
    "HGET": _one,
    "JSON.GET": _one,
    "MGET": _each,
    "HMGET": _each,
    "HGETEX": _each,
    "HGETDEL": _each,
    "JSON.MGET": _each,
    "HGETALL": _truth,
    "HEXISTS": _truth,
    "EXISTS": _number,
}
"""Commands whose answer tells whether there was something under the key (or field)."""

WAITING = frozenset(
    ("BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT", "WAITAOF")
)
"""Commands that wait by their nature; XREAD and XREADGROUP do so with BLOCK."""

CONTAINERS = frozenset(
    (
        *(
            "ACL",
            "CLIENT",
            "CLUSTER",
            "COMMAND",
            "CONFIG",
            "DEBUG",
            "FUNCTION",
            "LATENCY",
            "MEMORY",
            "MODULE",
        ),
        *("OBJECT", "PUBSUB", "SCRIPT", "SENTINEL", "SLOWLOG", "XGROUP", "XINFO"),
    )
)
"""Commands whose second word is a part of the name; any other's is an argument, which may be a key."""

_NAME = re.compile(r"[A-Z][A-Z0-9._|-]{0,47}")
_SUBCOMMAND = re.compile(r"[A-Z][A-Z-]{0,23}")
_OTHER = Command("_OTHER", "other", None, False)
_STREAM_READS = frozenset(("XREAD", "XREADGROUP"))

_commands: dict[str | bytes, Command] = {}


def command_of(args: Sequence[Any]) -> Command:
    """Tell what a command is.

    Args:
        args: The command's name, and its arguments.

    Returns:
        The command; `_OTHER` for what no command is named like, and for more names than there are.
    """
    name = args[0] if isinstance(args[0], str | bytes) else str(args[0])
    command = _commands.get(name) or _new(name)
    if command.name in _STREAM_READS and any(
        argument in (b"BLOCK", "BLOCK", "block") for argument in args[1:8]
    ):
        return command._replace(waits=True)
    return command


def _new(raw: str | bytes) -> Command:
    """Tell what a command is by its name, after which redis-py allows arguments in the same string."""
    name, *more = (raw.decode(errors="replace") if isinstance(raw, bytes) else raw).upper().split() or [""]
    if not _NAME.fullmatch(name):
        return _OTHER
    if name in CONTAINERS and more and _SUBCOMMAND.fullmatch(more[0]):
        name = f"{name} {more.pop(0)}"
    key = name if more else raw
    if key not in _commands:
        if len(_commands) >= MAX_COMMANDS:
            return _OTHER
        _commands[key] = Command(name, name.lower(), LOOKUPS.get(name), name in WAITING)
    return _commands[key]


def query_text(command: Command, args: Sequence[Any]) -> str:
    """Write a command without its arguments: keys may be secrets as well (a session's is).

    Args:
        command: From `command_of`.
        args: The command's name, and its arguments.

    Returns:
        `SET ? ?`; of a longer one the beginning.
    """
    count = len(args) - 1
    if count <= MAX_ARGUMENTS:
        return command.name + " ?" * count
    return f"{command.name}{' ?' * MAX_ARGUMENTS} ..."
