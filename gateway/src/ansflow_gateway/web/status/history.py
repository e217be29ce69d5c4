"""What the figures were in the last minutes: a bounded memory for the charts."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Final

from ansflow_gateway.web.status.source import Figure, Trend

LENGTH: Final = 120
"""Samples kept of a figure: ten minutes, at one every five seconds."""

MAX_FIGURES: Final = 64
"""Figures that are kept; what comes beyond has no chart."""

Samples = tuple[float | None, ...]
"""Values in order, the last the latest; None where there was none."""


class History:
    """Keeps samples. One owner records; any thread reads, since what is read is replaced whole."""

    def __init__(self) -> None:
        self._samples: Mapping[str, Samples] = {}
        self._sums: Mapping[str, float] = {}
        self._recorded_at: float | None = None

    def record(self, figures: Iterable[Figure], now: float) -> None:
        """Take one sample of each figure; of a sum, how fast it grew since the sample before.

        Args:
            figures: All present figures; those not among them get a gap, and are forgotten after `LENGTH`.
            now: Monotonic time, in seconds.
        """
        elapsed = None if self._recorded_at is None else now - self._recorded_at
        taken: dict[str, float | None] = {}
        sums: dict[str, float] = {}
        for figure in itertools.islice(figures, MAX_FIGURES):
            if figure.trend is Trend.LEVEL or figure.value is None:
                taken[figure.key] = figure.value
                continue
            sums[figure.key] = figure.value
            before = self._sums.get(figure.key)
            # A sum that shrank began anew, as counters of a device that was plugged in again do.
            grew = before is not None and bool(elapsed) and figure.value >= before
            taken[figure.key] = (
                (figure.value - before) / elapsed if grew and before is not None and elapsed else None
            )
        kept = {
            key: (*samples, taken.get(key))[-LENGTH:]
            for key, samples in self._samples.items()
            if key in taken or any(sample is not None for sample in samples[1:])
        }
        fresh = {key: (value,) for key, value in taken.items() if key not in kept}
        self._samples = dict(itertools.islice((kept | fresh).items(), MAX_FIGURES))
        self._sums, self._recorded_at = sums, now

    def of(self, key: str) -> Samples:
        """Return the samples of a figure, at most `LENGTH`."""
        return self._samples.get(key, ())
