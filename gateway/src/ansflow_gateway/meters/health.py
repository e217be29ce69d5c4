"""The services' health as meters."""

from collections.abc import Callable, Iterable, Mapping

from ansflow_gateway.domain.health import OVERALL, ServiceHealth
from ansflow_gateway.meters import catalogue as c
from ansflow_gateway.meters.instruments import Instruments, Measurement


class HealthMeters:
    """Reports what the prober knows.

    Args:
        instruments: Do the reporting.
        health: Gives an immutable mapping of what is known, by service, from any thread.
    """

    def __init__(self, instruments: Instruments, health: Callable[[], Mapping[str, ServiceHealth]]) -> None:
        self._instruments = instruments
        self._health = health
        instruments.observe(c.HEALTH_STATUS, self._status)

    def probed(self, service: str, duration_s: float) -> None:
        """Record that a service was probed.

        Args:
            service: Its name.
            duration_s: How long the probe took, in seconds.
        """
        self._instruments.record(c.HEALTH_DURATION, duration_s, {c.SERVICE: service})

    def _status(self) -> Iterable[Measurement]:
        for service, health in self._health().items():
            yield Measurement(int(health.up), {c.SERVICE: service, c.CHECK: OVERALL})
            for name, up in health.checks.items():
                yield Measurement(int(up), {c.SERVICE: service, c.CHECK: name})
