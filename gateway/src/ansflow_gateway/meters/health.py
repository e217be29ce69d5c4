"""The services' health as meters."""

from collections.abc import Callable, Iterable, Mapping

from ansflow_gateway.domain.availability import error_budget
from ansflow_gateway.domain.health import OVERALL
from ansflow_gateway.domain.watch import Watched
from ansflow_gateway.meters import catalogue as c
from ansflow_gateway.meters.instruments import Instruments, Measurement


class HealthMeters:
    """Reports what the prober knows.

    Args:
        instruments: Do the reporting.
        watched: Gives an immutable mapping of what is known, by service, from any thread.
        objective: The availability to be kept, below 1.
    """

    def __init__(
        self, instruments: Instruments, watched: Callable[[], Mapping[str, Watched]], objective: float
    ) -> None:
        self._instruments = instruments
        self._watched = watched
        self._objective = objective
        instruments.observe(c.HEALTH_STATUS, self._status)
        instruments.observe(c.HEALTH_STATE, self._state)
        instruments.observe(c.HEALTH_TRANSITIONS, self._transitions)
        instruments.observe(c.AVAILABILITY, self._availability)
        instruments.observe(c.OBJECTIVE, lambda: (Measurement(objective, {}),))
        instruments.observe(c.ERROR_BUDGET, self._error_budget)

    def probed(self, service: str, duration_s: float) -> None:
        """Record that a service was probed.

        Args:
            service: Its name.
            duration_s: How long the probe took, in seconds.
        """
        self._instruments.record(c.HEALTH_DURATION, duration_s, {c.SERVICE: service})

    def _status(self) -> Iterable[Measurement]:
        for service, watched in self._watched().items():
            yield Measurement(int(watched.health.up), {c.SERVICE: service, c.CHECK: OVERALL})
            for name, up in watched.health.checks.items():
                yield Measurement(int(up), {c.SERVICE: service, c.CHECK: name})

    def _state(self) -> Iterable[Measurement]:
        for service, watched in self._watched().items():
            yield Measurement(int(watched.state.up), {c.SERVICE: service})

    def _transitions(self) -> Iterable[Measurement]:
        # Zeros are meant: a rate over a series that begins with its first transition doesn't see it.
        for service, watched in self._watched().items():
            yield Measurement(watched.state.rises, {c.SERVICE: service, c.STATE: "up"})
            yield Measurement(watched.state.falls, {c.SERVICE: service, c.STATE: "down"})

    def _availability(self) -> Iterable[Measurement]:
        for service, watched in self._watched().items():
            for window, ratio in watched.availability.items():
                yield Measurement(ratio, {c.SERVICE: service, c.WINDOW: window})

    def _error_budget(self) -> Iterable[Measurement]:
        for service, watched in self._watched().items():
            for window, lost in watched.lost.items():
                yield Measurement(error_budget(lost, self._objective), {c.SERVICE: service, c.WINDOW: window})
