"""The store of one gateway: a SQLite file."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import msgspec

from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Entry, Fold, Settled, Verdict
from ansflow_gateway.errors import StoreRefusedError, StoreUnavailableError
from ansflow_gateway.storage.intake import Group, Intake
from ansflow_gateway.storage.options import COMPACTION_CHECK_S, COMPACTION_SLACK, StoreOptions
from ansflow_gateway.storage.records import Record, split_events
from ansflow_gateway.storage.sqlite_journal import SqliteJournal

_LOGGER: Final = logging.getLogger(__name__)


class SqliteEventStore:
    """Keeps the journal in a SQLite file, committed by one thread; see `EventStore`.

    Calls come to the thread in groups. It decides each event against the known keys, commits what is new as
    one block, has the fold apply it, and wakes the loop once. The keys of the whole journal are held in
    memory: looked up in an index on the disk, random keys would cost a page each, written and read.

    Fold and file are the thread's alone while the store is open.

    Args:
        path: The file; it is made if there is none.
        fold: Makes the state.
        options: The settings.
    """

    leads: Final = True
    """A file has one gateway, so this one folds."""

    def __init__(self, path: Path, fold: Fold, options: StoreOptions | None = None) -> None:
        self._options = options or StoreOptions()
        self._fold = fold
        self._journal = SqliteJournal(path)
        self._queue: SimpleQueue[Group | None] = SimpleQueue()
        self._intake = Intake(self._options, self._queue.put)
        self._known: set[bytes] = set()
        self._applied = 0
        self._unsaved: dict[str, bytes | None] = {}
        self._saved_at = self._compaction_checked_at = 0.0
        self._compacting = False
        self._probe_at = 0.0
        self._problem: str | None = None
        self._beyond_repair = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def problem(self) -> str | None:
        """Why nothing can be committed at present; None where all is well."""
        return self._problem

    @property
    def waiting(self) -> int:
        """Events that wait to be committed."""
        return self._intake.waiting

    async def open(self) -> None:
        """Open or create the file, and catch up with it; see `EventStore.open`."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._load)
        self._thread = threading.Thread(target=self._run, name="sqlite-store", daemon=True)
        self._thread.start()
        self._intake.open()

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Take events in; see `EventStore.apply`."""
        return await self._intake.offer(events)

    def submit(self, events: Sequence[Event], settled: Settled) -> None:
        """Take events in, and tell of them; see `EventStore.submit`."""
        self._intake.submit(events, settled)

    async def close(self) -> None:
        """Commit what waits, save the state, release the file; see `EventStore.close`."""
        self._intake.close()
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            # What the thread handed to the loop last is carried out before this returns.
            await asyncio.sleep(0)

    def _load(self) -> None:
        self._journal.open()
        try:
            self._known.update(self._journal.keys())
            self._fold.load(self._journal.state())
            self._applied = self._journal.saved
            self._catch_up()
        except sqlite3.Error as error:
            self._journal.close()
            raise StoreRefusedError(f"the store {self._journal.path} can't be read: {error}") from error
        except msgspec.DecodeError as error:
            self._journal.close()
            raise StoreRefusedError(
                f"the store {self._journal.path} holds events that this gateway can't read: {error}; "
                "run the gateway that wrote it, or a newer one"
            ) from error
        except BaseException:
            self._journal.close()
            raise
        self._saved_at = time.monotonic()

    def _catch_up(self) -> None:
        """Apply the entries of the journal that the fold hasn't seen."""
        for block in self._journal.blocks_after(self._applied):
            entries = [
                Entry(position, block.received_at, event)
                for position, event in enumerate(split_events(block.events), block.position)
                if position > self._applied
            ]
            self._fold.apply(entries)
            self._applied = entries[-1].position

    def _run(self) -> None:
        """Commit groups until told to stop: what the thread does."""
        stopping = False
        while not stopping:
            group: Group | None = []
            try:
                group = self._queue.get(timeout=self._patience())
                stopping = group is None
            except Empty:
                group = []
            try:
                if group:
                    self._commit(group)
                self._look_after()
            except Exception as error:
                # The thread outlives what nobody foresaw, and whoever waits hears of it.
                _LOGGER.exception("the store's thread failed")
                self._give_up(f"{type(error).__name__}: {error}; restart the gateway")
                if group and not group[0].answered:
                    self._answer(group, StoreUnavailableError(self._problem))
        self._finish()

    def _patience(self) -> float:
        now = time.monotonic()
        if self._problem is not None:
            return max(0.0, self._probe_at - now)
        if self._compacting or self._journal.saving or self._journal.merging or self._far_behind:
            return 0.0
        due = self._compaction_checked_at + COMPACTION_CHECK_S
        if self._to_save:
            due = min(due, self._saved_at + self._options.save_s)
        return max(0.0, due - now)

    def _commit(self, group: Group) -> None:
        if self._problem is not None and not self._recover():
            self._answer(group, StoreUnavailableError(self._problem))
            return
        fresh: list[Record] = []
        for call in group:
            for record in call.records:
                keys = record[1]
                if self._known.isdisjoint(keys):
                    # Known to this group alone, until it is committed; forgotten if that fails.
                    self._known.update(keys)
                    fresh.append(record)
                    call.verdicts.append(Verdict.ACCEPTED)
                else:
                    call.verdicts.append(Verdict.DUPLICATE)
        if fresh:
            received_at = self._options.clock()
            try:
                position = self._journal.append(fresh, received_at)
            except sqlite3.Error as error:
                self._known.difference_update(key for _, keys, _ in fresh for key in keys)
                self._fail(error)
                self._answer(group, StoreUnavailableError(str(self._problem)))
                return
            entries = [Entry(place, received_at, record[0]) for place, record in enumerate(fresh, position)]
            try:
                self._fold.apply(entries)
                self._applied = entries[-1].position
            except Exception as error:
                # They are committed, and counted after a restart, but what the fold holds now isn't known.
                _LOGGER.exception("the fold failed position=%d", position)
                self._give_up(
                    f"the fold failed after position {self._applied}: {error!r}; restart the gateway"
                )
        self._answer(group)

    def _answer(self, group: Group, error: Exception | None = None) -> None:
        assert self._loop is not None  # noqa: S101 - for mypy: the thread is started by `open`
        for call in group:
            call.answered = True
        try:
            self._loop.call_soon_threadsafe(self._intake.answer, group, error)
        except RuntimeError:
            _LOGGER.warning("the event loop ended before the store: nobody waits for an answer")

    def _fail(self, error: sqlite3.Error) -> None:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if self._problem is None:
            _LOGGER.error("the store can't commit reason=%s error=%s", name, error)
        self._problem = f"{self._journal.path} can't be written: {error} ({name})"
        self._probe_at = time.monotonic() + self._options.probe_s

    def _give_up(self, reason: str) -> None:
        _LOGGER.critical("the store is out of use reason=%s", reason)
        self._problem = reason
        self._beyond_repair = True
        self._probe_at = time.monotonic() + threading.TIMEOUT_MAX / 2

    def _recover(self) -> bool:
        """Try to get a file working again that failed; tell whether it does."""
        if self._beyond_repair:
            return False
        acknowledged = self._journal.last
        try:
            self._journal.reopen()
            if self._journal.last < acknowledged:
                self._give_up(
                    f"{self._journal.path} lost the events after position {self._journal.last}, which were "
                    f"committed up to {acknowledged}: the disk doesn't keep what it confirms"
                )
                return False
            # What a commit that failed has left there nonetheless counts, once, like any other event.
            self._known.update(self._journal.keys_after(acknowledged))
            self._catch_up()
        except sqlite3.Error as error:
            # What was committed is still to be compared with what will be found there.
            self._journal.last = acknowledged
            self._fail(error)
            return False
        _LOGGER.info("the store commits again")
        self._problem = None
        return True

    def _look_after(self) -> None:
        """Do some of what is due: recover, save, copy the WAL, compact."""
        now = time.monotonic()
        if self._problem is not None:
            if now >= self._probe_at:
                self._recover()
            return
        try:
            self._journal.checkpoint_if_due()
            self._save_some(now)
            self._compact(now)
        except sqlite3.Error as error:
            self._fail(error)

    @property
    def _far_behind(self) -> bool:
        return self._applied - self._journal.saved >= self._options.save_entries

    @property
    def _to_save(self) -> bool:
        return self._applied > self._journal.saved or self._fold.unsaved or bool(self._unsaved)

    def _save_some(self, now: float) -> None:
        """Save a part of the state, if it is to be saved; further ones after the next group."""
        journal, due = self._journal, now >= self._saved_at + self._options.save_s
        if journal.saving:
            if journal.save_some():
                self._unsaved.clear()
        elif journal.merging:
            journal.merge_some()
        elif (due and self._to_save) or self._far_behind:
            self._saved_at = now
            self._collect()
            journal.begin_save(self._unsaved, self._applied)

    def _collect(self) -> None:
        # What the fold gives it gives once: kept until it is saved.
        self._unsaved.update(self._fold.changed())

    def _compact(self, now: float) -> None:
        """Let the oldest blocks go, if any is to go; further ones after the next group."""
        limit = self._options.max_events
        size = self._journal.last - self._journal.compacted
        excessive = size > limit + limit // COMPACTION_SLACK
        looked = now < self._compaction_checked_at + COMPACTION_CHECK_S
        if not self._compacting and not excessive and looked:
            return
        self._compaction_checked_at = now
        forgotten = self._journal.compact(
            self._options.clock() - self._options.retention_s, self._journal.last - limit
        )
        self._compacting = forgotten is not None
        if forgotten is not None:
            self._known.difference_update(forgotten)

    def _finish(self) -> None:
        try:
            if self._problem is None and self._to_save:
                self._collect()
                self._journal.save_state(self._unsaved, self._applied)
        except Exception as error:  # noqa: BLE001 - whatever it is, the file is to be given back
            # Nothing is lost: the journal has it, and the next start applies it again.
            _LOGGER.warning("the state could not be saved at the end error=%r", error)
        finally:
            self._journal.close()
