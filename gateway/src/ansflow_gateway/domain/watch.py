"""What is concluded from a service's probes: a state that one lost probe doesn't change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ansflow_gateway.domain.health import ServiceHealth


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How many probes in a row change a state.

    Args:
        fall: Failures until a service that is up counts as down.
        rise: Successes until one that is down counts as up.
    """

    fall: int = 2
    rise: int = 1


@dataclass(frozen=True, slots=True)
class State:
    """A service's state.

    Args:
        up: Whether the service counts as up.
        since: Time of the probe that brought the state about, in seconds since the epoch.
        against: Latest probes in a row that contradict it.
        rises: Times that it came up, the first probe not counted.
        falls: Times that it went down, the first probe not counted.
    """

    up: bool
    since: float
    against: int = 0
    rises: int = 0
    falls: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """All that is known of a service.

    Args:
        health: What its latest probe said.
        state: What is concluded from its probes.
        probed_at: Time of the latest probe, in seconds since the epoch.
        duration_s: How long that took, in seconds.
        availability: Share of probes that passed, by window.
        lost: Share of each window that was lost, by its name.
    """

    health: ServiceHealth
    state: State
    probed_at: float
    duration_s: float
    availability: Mapping[str, float]
    lost: Mapping[str, float]


def advance(before: State | None, passed: bool, now: float, hysteresis: Hysteresis) -> State:
    """Conclude from one more probe.

    Args:
        before: The state so far; None before the first probe, which decides at once.
        passed: Whether the probe passed.
        now: Time of the probe, in seconds since the epoch.
        hysteresis: How many probes in a row change the state.

    Returns:
        The new state.
    """
    if before is None:
        return State(up=passed, since=now)
    if passed == before.up:
        return replace(before, against=0)
    against = before.against + 1
    if against < (hysteresis.rise if passed else hysteresis.fall):
        return replace(before, against=against)
    return State(passed, now, rises=before.rises + passed, falls=before.falls + (not passed))
