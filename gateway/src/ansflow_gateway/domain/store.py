"""Where accepted events go: the contract that every store keeps."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from ansflow_gateway.domain.events import Event


class Verdict(StrEnum):
    """What a store did with an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"


class EventStore(Protocol):
    """Takes events in, each once.

    An event's identity is its `(source, id)`. Its key and its effect become visible together or not at all:
    a store never remembers a key whose effect was lost. `apply` may be called concurrently from tasks of one
    event loop, not from other threads; a durable store returns only after the events are synced. After
    `close` nothing may be applied; whoever built the store closes it, after the receivers have stopped.
    """

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Apply events in order, each atomically by itself.

        Args:
            events: Valid events; equal identities may occur among them.

        Returns:
            One verdict an event, in the same order.
        """
        ...

    async def close(self) -> None:
        """Release what the store holds, after all that was applied is safe."""
        ...
