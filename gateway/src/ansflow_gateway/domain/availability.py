"""Availability over sliding windows, from one pair of counts a minute."""

import struct
import zlib
from array import array
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

OBJECTIVE: Final = 0.9995
"""Share of probes that must pass: the platform's objective of 99.95 %."""

WINDOWS: Final[Mapping[str, int]] = MappingProxyType({"1h": 60, "24h": 1440, "30d": 43_200})
"""Length of each window in minutes, by its name, the longest last."""

_MINUTE_S: Final = 60
_FORMAT: Final = struct.Struct(">4sIq")
_MAGIC: Final = b"avl1"
_COUNT_BYTES: Final = 4


class _Sums(NamedTuple):
    """What a window adds up to: probes that passed, all of them, and minutes with at least one."""

    passed: int
    probed: int
    minutes: int

    def plus(self, passed: int, probed: int, minutes: int) -> "_Sums":
        return _Sums(self.passed + passed, self.probed + probed, self.minutes + minutes)


_NOTHING: Final = _Sums(0, 0, 0)


class Availability:
    """Counts of probes, and of those that passed, for the minutes of the longest window.

    Each count is kept in a ring of one slot a minute, and each window's sums are kept beside it: a probe
    costs the same whatever the window's length. The present, unfinished minute belongs to every window.
    Owned by one thread.

    Args:
        windows: Length of each window in minutes, by its name; at least one.
    """

    def __init__(self, windows: Mapping[str, int] = WINDOWS) -> None:
        self._windows = windows
        self._length = max(windows.values())
        self._passed = array("I", bytes(array("I").itemsize * self._length))
        self._probed = array("I", self._passed)
        self._minute: int | None = None
        self._sums = dict.fromkeys(windows, _NOTHING)

    @property
    def begun(self) -> bool:
        """Whether a probe was counted, now or in the process that the counts are from."""
        return self._minute is not None

    def record(self, passed: bool, now: float) -> None:
        """Count a probe.

        Args:
            passed: Whether it passed.
            now: Seconds since the epoch. Where the clock went back, the probe counts in the latest minute.
        """
        if self._minute is None:
            self._minute = int(now // _MINUTE_S)
        self._advance(now)
        slot = self._minute % self._length
        first = not self._probed[slot]
        self._passed[slot] += passed
        self._probed[slot] += 1
        self._sums = {name: each.plus(passed, 1, first) for name, each in self._sums.items()}

    def ratios(self, now: float) -> Mapping[str, float]:
        """Tell the availability.

        Args:
            now: Seconds since the epoch.

        Returns:
            Share of probes that passed, by window; a window without a probe is absent.
        """
        self._advance(now)
        return MappingProxyType(
            {name: each.passed / each.probed for name, each in self._sums.items() if each.probed}
        )

    def lost(self, now: float) -> Mapping[str, float]:
        """Tell how much of each window was lost.

        Args:
            now: Seconds since the epoch.

        Returns:
            Share of the window's minutes, from 0 to 1, by window: of those with probes, as much as failed of
            them; of those without, nothing. A window without a probe is absent.
        """
        self._advance(now)
        return MappingProxyType(
            {
                name: (1 - each.passed / each.probed) * each.minutes / self._windows[name]
                for name, each in self._sums.items()
                if each.probed
            }
        )

    def to_bytes(self) -> bytes:
        """Serialise the counts; within some kilobytes for a service that is mostly up.

        Returns:
            What `from_bytes` takes.
        """
        head = _FORMAT.pack(_MAGIC, self._length, -1 if self._minute is None else self._minute)
        counts = struct.pack(f">{2 * self._length}I", *self._passed, *self._probed)
        return head + zlib.compress(counts)

    @classmethod
    def from_bytes(cls, data: bytes, windows: Mapping[str, int] = WINDOWS) -> "Availability":
        """Restore counts.

        Args:
            data: Made by `to_bytes`.
            windows: As they were then.

        Returns:
            The same availability.

        Raises:
            ValueError: The bytes are something else, or of other windows.
        """
        restored = cls(windows)
        length = restored._length
        size = 2 * length * _COUNT_BYTES
        try:
            magic, kept, minute = _FORMAT.unpack_from(data)
            # Bounded: damaged bytes must not inflate to more than there can be.
            inflating = zlib.decompressobj()
            counts = inflating.decompress(data[_FORMAT.size :], size + 1)
        except (struct.error, zlib.error) as error:
            raise ValueError("expected serialised availability") from error
        # Without its end, and so its checksum, it was cut.
        whole = inflating.eof and not inflating.unused_data and len(counts) == size
        if magic != _MAGIC or kept != length or not whole:
            raise ValueError(f"expected serialised availability of {length} minutes")
        numbers = struct.unpack(f">{2 * length}I", counts)
        restored._passed = array("I", numbers[:length])
        restored._probed = array("I", numbers[length:])
        if any(up > all_ for up, all_ in zip(restored._passed, restored._probed, strict=True)):
            raise ValueError("expected no more passed probes than probes")
        restored._minute = minute if minute >= 0 else None
        restored._sum_up()
        return restored

    def _advance(self, now: float) -> None:
        if self._minute is None:
            return
        minute = int(now // _MINUTE_S)
        if minute - self._minute >= self._length:
            # Nothing that was counted is within any window.
            self._passed = array("I", bytes(array("I").itemsize * self._length))
            self._probed = array("I", self._passed)
            self._minute = minute
            self._sum_up()
        while self._minute < minute:
            self._minute += 1
            self._leave(self._minute)

    def _leave(self, minute: int) -> None:
        """Take the minute that just left each window out of its sums, and clear the slot of the new one."""
        for name, length in self._windows.items():
            gone = (minute - length) % self._length
            probed = self._probed[gone]
            self._sums[name] = self._sums[name].plus(-self._passed[gone], -probed, -bool(probed))
        self._passed[minute % self._length] = 0
        self._probed[minute % self._length] = 0

    def _sum_up(self) -> None:
        for name, length in self._windows.items():
            slots = [((self._minute or 0) - age) % self._length for age in range(length)]
            self._sums[name] = _Sums(
                sum(self._passed[slot] for slot in slots),
                sum(self._probed[slot] for slot in slots),
                sum(self._probed[slot] > 0 for slot in slots),
            )


def error_budget(lost: float, objective: float = OBJECTIVE) -> float:
    """Tell how much of a window's allowed failure is left.

    Args:
        lost: How much of the window was lost, from 0 to 1; see `Availability.lost`.
        objective: The availability to be kept, below 1.

    Returns:
        1 where nothing failed, 0 where exactly the allowed share did, below 0 where more did. Of 30 days,
        99.95 % allow 21.6 minutes, from the first day on.
    """
    return 1 - lost / (1 - objective)
