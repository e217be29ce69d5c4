"""A process with a store: takes lines of event numbers on its input, answers each on its output.

A line is `<tag> <number> …`; the answer is the tag and one letter an event (`A`, `D`), or the tag, `!` and
the reason why none was taken. `?` asks for the count of all; `p` for the problem. The end of the input closes
the store.

Run as `python -m support.store_program PATH [setting=value …]`.
"""

import asyncio
import sys
from pathlib import Path

from ansflow_gateway.domain.events import Event
from ansflow_gateway.errors import StoreError
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.sqlite import SqliteEventStore

from support.counting_fold import CountingFold, activity, run_started


def numbered(number: int, delivery: int = 0) -> Event:
    """Make the event of a number: of two even ones of a number, the fact is the same, not the delivery."""
    if number % 2:
        return activity(f"e{number}", f"action-{number % 7}")
    return run_started(str(number), f"e{number}-{delivery}", f"pipeline-{number % 5}")


def counted(numbers: set[int]) -> dict[str, int]:
    """Tell what a fold counts that is given the events of these numbers, once each."""
    counts: dict[str, int] = {}
    for number in numbers:
        key = f"action\0action-{number % 7}" if number % 2 else f"pipeline\0pipeline-{number % 5}"
        counts[key] = counts.get(key, 0) + 1
    return counts


async def main(path: str, *settings: str) -> None:
    """Serve until the input ends."""
    fold = CountingFold()
    options = StoreOptions(**{name: float(value) for name, _, value in (s.partition("=") for s in settings)})  # type: ignore[arg-type]
    store = SqliteEventStore(Path(path), fold, options)
    try:
        await store.open()
    except StoreError as error:
        print(f"refused: {error}", flush=True)  # noqa: T201 - the answer
        return
    print("ready", flush=True)  # noqa: T201 - the answer
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    waiting: set[asyncio.Task[None]] = set()
    while line := (await reader.readline()).decode().split():
        match line:
            case ["?"]:
                await asyncio.gather(*waiting)
                print(f"? {fold.total}", flush=True)  # noqa: T201 - the answer
            case ["p"]:
                print(f"p {store.problem}", flush=True)  # noqa: T201 - the answer
            case [tag, *numbers]:
                task = asyncio.create_task(_take(store, tag, numbers))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
    await asyncio.gather(*waiting)
    await store.close()


async def _take(store: SqliteEventStore, tag: str, numbers: list[str]) -> None:
    """Take the events of a line: numbers, each with its delivery behind a dot."""
    parts = [number.partition(".") for number in numbers]
    try:
        verdicts = await store.apply(
            [numbered(int(number), int(delivery or 0)) for number, _, delivery in parts]
        )
    except StoreError as error:
        answer = f"{tag} ! {error}"
    else:
        answer = f"{tag} {''.join(verdict[0].upper() for verdict in verdicts)}"
    print(answer, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
