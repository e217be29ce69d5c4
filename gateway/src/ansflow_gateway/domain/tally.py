"""How receivers account for what they were sent."""

from typing import Protocol

from ansflow_gateway.domain.events import EventType
from ansflow_gateway.domain.rejection import Reason
from ansflow_gateway.domain.store import Verdict


class EventTally(Protocol):
    """Counts each event under exactly one heading."""

    def taken(self, event_type: EventType, verdict: Verdict) -> None:
        """Count an event that was valid, as accepted or as a duplicate."""
        ...

    def rejected(self, reason: Reason) -> None:
        """Count a refusal: of an event, or of a request that held none."""
        ...

    def unsupported(self, system: str, kind: str) -> None:
        """Count a webhook that was valid and says nothing the gateway knows.

        Args:
            system: The CI system that sent it.
            kind: The kind of event: safe as a label, but the sender's choice, so that it is to be limited.
        """
        ...

    def spooled(self, events: int) -> None:
        """Count events that were put aside, since the store couldn't take them: they are taken later."""
        ...
