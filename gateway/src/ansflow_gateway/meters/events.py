"""The gateway's account of what it was sent."""

from collections.abc import Callable, Iterable
from typing import Final

from ansflow_gateway.domain.events import EventType
from ansflow_gateway.domain.labels import OVERFLOW, LabelSetLimiter
from ansflow_gateway.domain.rejection import SHED, Reason, Rejection
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.meters import catalogue as c
from ansflow_gateway.meters.declaration import Declaration
from ansflow_gateway.meters.instruments import Instruments, Measurement

UNSUPPORTED_KINDS_LIMIT: Final = 100
"""Most kinds of unsupported events that have series of their own: senders of webhooks name them."""


class EventMeters:
    """Counts events as `EventTally` asks for.

    They are counted in plain dicts, which exporters read: the SDK's own addition costs as much as all else
    that is done to an event. All series but those of unsupported kinds exist from the start, at a true zero:
    the first rejection is an increase that a rate can see.

    Args:
        instruments: Tell what was counted.
        note: Takes each refusal, with the path of its request, for people to look at.
    """

    def __init__(self, instruments: Instruments, note: Callable[[Rejection, str], None]) -> None:
        self._note = note
        types = [each.value for each in EventType if each is not EventType.GATEWAY]
        self._by_verdict = {
            Verdict.ACCEPTED: _counter(instruments, c.EVENTS_ACCEPTED, c.EVENT_TYPE, types),
            Verdict.DUPLICATE: _counter(instruments, c.EVENTS_DUPLICATE, c.EVENT_TYPE, types),
        }
        refusals = [reason.value for reason in Reason if reason not in SHED]
        self._rejected = _counter(instruments, c.EVENTS_REJECTED, c.REASON, refusals)
        self._shed = _counter(instruments, c.EVENTS_SHED, c.REASON, sorted(SHED))
        self._unsupported = _counter(instruments, c.EVENTS_UNSUPPORTED, c.EVENT_TYPE, ())
        self._kinds = LabelSetLimiter(UNSUPPORTED_KINDS_LIMIT)
        self._spooled = 0
        instruments.observe(c.EVENTS_SPOOLED, lambda: (Measurement(self._spooled, {}),))

    def taken(self, event_type: EventType, verdict: Verdict, count: int = 1) -> None:
        """Count valid events; see `EventTally.taken`."""
        self._by_verdict[verdict][event_type] += count

    def rejected(self, rejection: Rejection, path: str) -> None:
        """Count a refusal; see `EventTally.rejected`."""
        self._rejected[rejection.reason] += 1
        self._note(rejection, path)

    @property
    def counted(self) -> tuple[int, int]:
        """Events accepted, and duplicates, since the start; from any thread."""
        accepted, duplicates = (sum(self._by_verdict[each].copy().values()) for each in Verdict)
        return accepted, duplicates

    def unsupported(self, system: str, kind: str) -> None:
        """Count an event that isn't used; see `EventTally.unsupported`."""
        (event_type,) = self._kinds.admit((f"{system}.{kind}",), lambda _: (OVERFLOW,))
        self._unsupported[event_type] = self._unsupported.get(event_type, 0) + 1

    def shed(self, reason: Reason, count: int) -> None:
        """Count events that weren't taken; see `EventTally.shed`."""
        self._shed[reason] += count

    def spooled(self, events: int) -> None:
        """Count events that were put aside; see `EventTally.spooled`."""
        self._spooled += events


def _counter(
    instruments: Instruments, declaration: Declaration, attribute: str, values: Iterable[str]
) -> dict[str, int]:
    counts = dict.fromkeys(values, 0)

    def read() -> Iterable[Measurement]:
        # A copy, as exporters have threads of their own.
        return [Measurement(count, {attribute: value}) for value, count in counts.copy().items()]

    instruments.observe(declaration, read)
    return counts
