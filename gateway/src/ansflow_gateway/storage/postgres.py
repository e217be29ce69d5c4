"""The store of several gateways: a PostgreSQL database."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.store import Fold, Settled, Verdict
from ansflow_gateway.errors import StoreRefusedError, StoreUnavailableError
from ansflow_gateway.storage import postgres_journal as journal
from ansflow_gateway.storage.intake import Group, Intake
from ansflow_gateway.storage.options import COMPACTION_CHECK_S, COMPACTION_SLACK, StoreOptions
from ansflow_gateway.storage.postgres_schema import Connection, connect, migrate
from ansflow_gateway.storage.postgres_url import masked

POLL_S: Final = 1.0
"""Seconds between two looks for entries of other gateways, for the lead, and for what else is due."""

BACKOFF_S: Final = (0.1, 5.0)
"""Seconds between attempts to connect: at first, and at most; doubled after each that fails."""

FAILURES: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Between the server's last words and the end of its connection (MagicStack/asyncpg#1069).
    asyncpg.InternalClientError,
    TimeoutError,
)
"""What a database that can't be reached, or doesn't take a commit, raises."""

_LOGGER: Final = logging.getLogger(__name__)


class PostgresEventStore:
    """Keeps the journal in a database that several gateways share; see `EventStore`.

    Each gateway takes events in, and commits them in groups by a connection of its own. One, the leader, does
    the folding: by a second connection it holds an advisory lock, reads the journal, and saves the state.
    The lock ends with the connection; then another gateway takes it, loads the saved state, and applies the
    rest of the journal. What a leader saves is bound to its epoch, so that one whose time is over
    changes nothing. (The lock is the session's: PgBouncer's transaction pooling doesn't do.)

    Positions become visible in their order, see `postgres_journal.append`.

    A leader that lost the lead and gets it again goes on where its fold stands: others have made the same
    state of the same entries meanwhile. All runs in the event loop.

    Args:
        url: The database: `postgresql://…`.
        fold: Makes the state.
        options: The settings.
    """

    def __init__(self, url: str, fold: Fold, options: StoreOptions | None = None) -> None:
        self._url = url
        self._options = options or StoreOptions()
        self._fold = fold
        self._queue: asyncio.Queue[Group | None] = asyncio.Queue()
        self._intake = Intake(self._options, self._queue.put_nowait)
        self._writer: Connection = None
        self._leader: Connection = None
        # The leader's connection and the fold: one task at a time.
        self._folding = asyncio.Lock()
        self._wake = asyncio.Event()
        self._leads = False
        self._interrupted = False
        self._epoch = 0
        self._applied: int | None = None
        self._saved = 0
        self._entries = 0
        self._saved_at = self._compaction_checked_at = 0.0
        self._compacting = False
        self._unsaved: dict[str, bytes | None] = {}
        self._problem: str | None = None
        self._beyond_repair = False
        self._backoff_s, self._retry_at = BACKOFF_S[0], 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def leads(self) -> bool:
        """Whether this gateway does the folding: its fold's meters are the true ones."""
        return self._leads

    @property
    def problem(self) -> str | None:
        """Why nothing can be committed at present; None where all is well."""
        return self._problem

    @property
    def waiting(self) -> int:
        """Events that wait to be committed."""
        return self._intake.waiting

    async def open(self) -> None:
        """Connect, make what tables there aren't, lead if nobody does; see `EventStore.open`."""
        try:
            self._writer = await connect(self._url)
            await migrate(self._writer, masked(self._url))
            async with self._folding:
                await self._step()
        except FAILURES as error:
            await self._disconnect()
            raise StoreRefusedError(
                f"the store {masked(self._url)} can't be opened: {_told(error)}; "
                "see that PostgreSQL runs and takes connections of this user"
            ) from error
        except msgspec.DecodeError as error:
            await self._disconnect()
            raise StoreRefusedError(
                f"the store {masked(self._url)} holds events that this gateway can't read: {error}; "
                "run the gateway that wrote it, or a newer one"
            ) from error
        except BaseException:
            await self._disconnect()
            raise
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._follow())]
        self._intake.open()

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Take events in; see `EventStore.apply`."""
        return await self._intake.offer(events)

    def submit(self, events: Sequence[Event], settled: Settled) -> None:
        """Take events in, and tell of them; see `EventStore.submit`."""
        self._intake.submit(events, settled)

    async def close(self) -> None:
        """Commit what waits, save the state, give the lead away; see `EventStore.close`."""
        self._intake.close()
        self._stopping = True
        self._queue.put_nowait(None)
        self._wake.set()
        await asyncio.gather(*self._tasks)
        self._tasks = []
        await self._disconnect()

    async def _write(self) -> None:
        """Commit groups until told to stop: one of the two tasks."""
        stopping = False
        while not stopping:
            group = await self._next_group()
            stopping = group is None
            try:
                if self._beyond_repair:
                    raise StoreUnavailableError(str(self._problem))
                if self._writer is not None and self._writer.is_closed():
                    self._writer = None  # since nobody sent: the next one who does isn't to suffer from it
                if self._writer is None and not stopping:
                    await self._reconnect()
                if group:
                    await self._commit(group)
            except StoreUnavailableError as error:
                if group:
                    self._intake.answer(group, error)
            except Exception as error:
                # The task outlives what nobody foresaw, and whoever waits hears of it.
                _LOGGER.exception("the store's task failed")
                self._give_up(f"{type(error).__name__}: {error}; restart the gateway")
                if group:
                    self._intake.answer(group, StoreUnavailableError(self._problem))

    async def _next_group(self) -> Group | None:
        """Wait for a group, or until the connection is to be looked after: an empty one."""
        try:
            async with asyncio.timeout(None if self._beyond_repair else self._options.probe_s):
                return await self._queue.get()
        except TimeoutError:
            return []

    async def _commit(self, group: Group) -> None:
        records = [record for call in group for record in call.records]
        try:
            verdicts = await journal.append(
                self._writer, records, self._options.clock(), notify=not self._leads
            )
        except FAILURES as error:
            # Whether it was committed isn't always known; sent again, the events are duplicates if it was.
            self._writer.terminate()
            self._writer = None
            raise self._fail(error) from error
        start = 0
        for call in group:
            call.verdicts = verdicts[start : start + len(call.records)]
            start += len(call.records)
        if self._leads:
            await self._fold_now()
        self._intake.answer(group)

    async def _reconnect(self) -> None:
        if time.monotonic() < self._retry_at:
            raise StoreUnavailableError(str(self._problem))
        try:
            self._writer = await connect(self._url)
            # A server that only reads (a standby, a full disk) takes connections too.
            await self._writer.execute("UPDATE ansflow_progress SET version = version")
        except FAILURES as error:
            if self._writer is not None:
                self._writer.terminate()
                self._writer = None
            raise self._fail(error) from error
        if self._problem is not None:
            _LOGGER.info("the store commits again")
        self._problem = None
        self._backoff_s = BACKOFF_S[0]

    def _fail(self, error: BaseException) -> StoreUnavailableError:
        if self._problem is None:
            _LOGGER.error("the store can't commit error=%s", _told(error))
        self._problem = f"{masked(self._url)} can't be written: {_told(error)}"
        self._retry_at = time.monotonic() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_S[1])
        return StoreUnavailableError(self._problem)

    async def _follow(self) -> None:
        """Lead, or wait for the lead, until told to stop: the other task."""
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()
            await self._fold_now()

    async def _fold_now(self) -> None:
        async with self._folding:
            if self._beyond_repair:
                return
            try:
                await self._step()
                self._interrupted = False
            except FAILURES as error:
                if not self._interrupted:
                    _LOGGER.warning("the lead, or the wait for it, was interrupted error=%s", _told(error))
                self._interrupted = True
                self._step_down()
            except Exception as error:
                # The journal is whole; what the fold holds now isn't known. Another gateway may try.
                _LOGGER.exception("the fold failed")
                self._give_up(
                    f"the fold failed after position {self._applied}: {error!r}; restart the gateway"
                )

    async def _step(self) -> None:
        """Do what is due: take the lead, apply what is new, save, compact."""
        if self._leader is None:
            self._leader = await connect(self._url)
            await self._leader.add_listener(journal.CHANNEL, lambda *_: self._wake.set())
        if not self._leads and not await self._take_lead():
            return
        await self._tail()
        now = time.monotonic()
        behind = (self._applied or 0) - self._saved
        due = now >= self._saved_at + self._options.save_s
        to_save = behind or self._fold.unsaved or self._unsaved
        if (due and to_save) or behind >= self._options.save_entries:
            await self._save()
        await self._compact()

    async def _take_lead(self) -> bool:
        progress = await journal.take_lead(self._leader)
        if progress is None:
            return False
        if progress.last < progress.state_position:
            raise StoreRefusedError(
                f"the store {masked(self._url)} is corrupt: the state was saved at position "
                f"{progress.state_position}, and the journal ends at {progress.last}; restore a backup"
            )
        if self._applied is None:
            self._fold.load(await journal.state(self._leader))
            self._applied = progress.state_position
        elif not progress.compacted_position <= self._applied <= progress.last:
            self._give_up(
                f"the journal has the positions {progress.compacted_position + 1} to {progress.last}, and "
                f"this gateway stands at {self._applied}: what is between is lost to it; restart the gateway"
            )
            return False
        self._epoch, self._saved, self._entries = progress.epoch, progress.state_position, progress.entries
        self._saved_at = time.monotonic()
        await self._tail()
        self._leads = True
        _LOGGER.info("this gateway does the folding epoch=%d position=%d", self._epoch, self._applied)
        return True

    async def _tail(self) -> None:
        assert self._applied is not None  # noqa: S101 - for mypy: set with the lead
        while entries := await journal.read(self._leader, self._applied):
            self._fold.apply(entries)
            self._applied = entries[-1].position
            if self._leads:
                self._entries += len(entries)
            if len(entries) < journal.READ_ROWS:
                break

    async def _save(self) -> None:
        assert self._applied is not None  # noqa: S101 - for mypy: set with the lead
        # What the fold gives it gives once: kept until a transaction has it.
        self._unsaved.update(self._fold.changed())
        self._saved_at = time.monotonic()
        if not await journal.save_state(self._leader, self._unsaved, self._applied, self._epoch):
            _LOGGER.warning("another gateway leads epoch=%d", self._epoch)
            self._step_down()
            return
        self._unsaved.clear()
        self._saved = self._applied

    async def _compact(self) -> None:
        limit = self._options.max_events
        excessive = self._entries > limit + limit // COMPACTION_SLACK
        looked = time.monotonic() < self._compaction_checked_at + COMPACTION_CHECK_S
        if self._leads and (self._compacting or excessive or not looked):
            self._compaction_checked_at = time.monotonic()
            gone = await journal.compact(
                self._leader,
                self._options.clock() - self._options.retention_s,
                max(0, self._entries - limit),
                self._epoch,
            )
            self._entries -= gone
            self._compacting = gone > 0
            if gone:
                self._wake.set()

    def _step_down(self) -> None:
        self._leads = False
        connection, self._leader = self._leader, None
        if connection is not None:
            connection.terminate()

    def _give_up(self, reason: str) -> None:
        _LOGGER.critical("the store is out of use reason=%s", reason)
        self._problem = reason
        self._beyond_repair = True
        self._step_down()

    async def _disconnect(self) -> None:
        try:
            if self._leads:
                await self._tail()
                await self._save()
        except FAILURES as error:
            # Nothing is lost: the journal has it, and the next leader applies it again.
            _LOGGER.warning("the state could not be saved at the end error=%s", _told(error))
        self._leads = False
        for connection in (self._writer, self._leader):
            if connection is not None:
                try:
                    await connection.close(timeout=5)
                except FAILURES:
                    connection.terminate()
        self._writer = self._leader = None


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
