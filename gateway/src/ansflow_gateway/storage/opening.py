"""Which store a setting names."""

from pathlib import Path
from typing import Protocol

from ansflow_gateway.domain.store import EventStore, Fold
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.postgres import PostgresEventStore
from ansflow_gateway.storage.postgres_url import is_postgres
from ansflow_gateway.storage.sqlite import SqliteEventStore


class LeadingEventStore(EventStore, Protocol):
    """A store that knows whether this gateway does the folding."""

    @property
    def leads(self) -> bool:
        """Whether this gateway's fold is applied and saved, and so its meters are the true ones."""
        ...


def open_store(path_or_url: str, fold: Fold, options: StoreOptions | None = None) -> LeadingEventStore:
    """Make the store that a setting names; its `open` is still to be called.

    Args:
        path_or_url: A file, or a PostgreSQL URL.
        fold: Makes the state.
        options: The settings.

    Returns:
        The store.
    """
    if is_postgres(path_or_url):
        return PostgresEventStore(path_or_url, fold, options)
    return SqliteEventStore(Path(path_or_url), fold, options)
