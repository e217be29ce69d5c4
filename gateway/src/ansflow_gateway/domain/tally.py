"""How receivers account for what they were sent."""

from typing import Protocol

from ansflow_gateway.domain.events import EventType
from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.domain.store import Verdict


class EventTally(Protocol):
    """Counts each event under exactly one heading."""

    def taken(self, event_type: EventType, verdict: Verdict, count: int = 1) -> None:
        """Count events that were valid, as accepted or as duplicates."""
        ...

    def rejected(self, rejection: Rejection, path: str) -> None:
        """Count a refusal: of an event, or of a request that held none.

        Args:
            rejection: Why it is refused.
            path: The path of the request.
        """
        ...

    def unsupported(self, system: str, kind: str) -> None:
        """Count a webhook or a CDEvent that was valid and says nothing the gateway uses.

        Args:
            system: The CI system that sent it; `cdevents` for a CDEvent.
            kind: The kind of event: safe as a label, but the sender's choice, so that it is to be limited.
        """
        ...

    def shed(self, reason: Reason, count: int) -> None:
        """Count events that weren't taken though nothing was wrong with them; their sender is to retry.

        Args:
            reason: One of `rejection.SHED`.
            count: How many.
        """
        ...

    def spooled(self, events: int) -> None:
        """Count events that were put aside, since the store couldn't take them: they are taken later."""
        ...
