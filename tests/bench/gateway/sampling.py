"""What a sample of the host costs: the sampler thread's CPU, and how late the event loop runs meanwhile."""

import asyncio
import time
from dataclasses import dataclass

from ansflow_gateway.domain.system import SystemSnapshot
from ansflow_gateway.sampling.host import HostReader
from ansflow_gateway.sampling.sampler import Sampler

_TICK_S = 0.001
DEFAULT_INTERVAL_S = 5.0


@dataclass(frozen=True)
class SamplingCost:
    """What was measured.

    Attributes:
        cpu_s_a_sample: median CPU time of the sampler's thread for a sample, in seconds.
        share_of_cpu: of one processor, at the default interval.
        worst_lag_sampling_s: greatest lateness of a 1 ms timer while samples are taken, in seconds.
        worst_lag_idle_s: the same without samples: what the machine itself is late.
    """

    cpu_s_a_sample: float
    share_of_cpu: float
    worst_lag_sampling_s: float
    worst_lag_idle_s: float


class _Timed:
    """A reader that notes what each reading cost its thread."""

    def __init__(self) -> None:
        self._reader = HostReader()
        self.costs: list[float] = []

    def read(self, taken_at: float) -> SystemSnapshot:
        before = time.thread_time()
        snapshot = self._reader.read(taken_at)
        self.costs.append(time.thread_time() - before)
        return snapshot


def measure_sampling(seconds: float = 4.0, interval_s: float = 0.05) -> SamplingCost:
    """Sample far more often than by default, beside a loop that only ticks.

    Args:
        seconds: length of each of the two phases.
        interval_s: time between two samples.
    """
    idle = asyncio.run(_worst_lag(seconds))
    reader = _Timed()
    sampler = Sampler(reader, interval_s)
    sampler.start()
    try:
        sampling = asyncio.run(_worst_lag(seconds))
    finally:
        sampler.stop()
    cost = sorted(reader.costs)[len(reader.costs) // 2]
    return SamplingCost(cost, cost / DEFAULT_INTERVAL_S, sampling, idle)


async def _worst_lag(seconds: float) -> float:
    end = time.perf_counter() + seconds
    worst = 0.0
    while (before := time.perf_counter()) < end:
        await asyncio.sleep(_TICK_S)
        worst = max(worst, time.perf_counter() - before - _TICK_S)
    return worst


if __name__ == "__main__":
    print(measure_sampling())  # noqa: T201 - a program for people
