"""The gateway's account of what it was sent."""

from typing import Final

from ansflow_gateway.domain.events import EventType
from ansflow_gateway.domain.labels import OVERFLOW, LabelSetLimiter
from ansflow_gateway.domain.rejection import SHED, Reason
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.meters import catalogue as c
from ansflow_gateway.meters.instruments import Instruments

_BY_VERDICT: Final = {Verdict.ACCEPTED: c.EVENTS_ACCEPTED, Verdict.DUPLICATE: c.EVENTS_DUPLICATE}

UNSUPPORTED_KINDS_LIMIT: Final = 100
"""Most kinds of unsupported events that have series of their own: senders of webhooks name them."""


class EventMeters:
    """Counts events as `EventTally` asks for.

    All its series exist from the start, at a true zero: the first rejection is an increase that a rate can
    see.

    Args:
        instruments: Do the counting.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        for event_type in EventType:
            for declaration in _BY_VERDICT.values():
                instruments.add(declaration, 0, {c.EVENT_TYPE: event_type.value})
        for reason in Reason:
            instruments.add(
                c.EVENTS_SHED if reason in SHED else c.EVENTS_REJECTED, 0, {c.REASON: reason.value}
            )
        self._kinds = LabelSetLimiter(UNSUPPORTED_KINDS_LIMIT)

    def taken(self, event_type: EventType, verdict: Verdict, count: int = 1) -> None:
        """Count valid events; see `EventTally.taken`."""
        self._instruments.add(_BY_VERDICT[verdict], count, {c.EVENT_TYPE: event_type.value})

    def rejected(self, reason: Reason) -> None:
        """Count a refusal; see `EventTally.rejected`."""
        self._instruments.add(c.EVENTS_REJECTED, 1, {c.REASON: reason.value})

    def unsupported(self, system: str, kind: str) -> None:
        """Count an event that isn't used; see `EventTally.unsupported`."""
        (event_type,) = self._kinds.admit((f"{system}.{kind}",), lambda _: (OVERFLOW,))
        self._instruments.add(c.EVENTS_UNSUPPORTED, 1, {c.EVENT_TYPE: event_type})

    def shed(self, reason: Reason, count: int) -> None:
        """Count events that weren't taken; see `EventTally.shed`."""
        self._instruments.add(c.EVENTS_SHED, count, {c.REASON: reason.value})
