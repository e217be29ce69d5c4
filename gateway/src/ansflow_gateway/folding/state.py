"""Folded state that outlives the process: values by key, and which of them have changed."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from ansflow_gateway.domain.store import StateRow

ValueT = TypeVar("ValueT", bound=msgspec.Struct)

_ENCODER = msgspec.msgpack.Encoder()


class StateMap(Generic[ValueT]):
    """A dict of Structs whose changes are saved as rows of the store's state.

    Values may be changed in place, if `touch` is called afterwards. One owner calls it.

    Args:
        prefix: What its rows' keys begin with, unique among all maps and without NUL.
        kind: The values' type.
    """

    def __init__(self, prefix: str, kind: type[ValueT]) -> None:
        self.prefix = prefix
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._values: dict[str, ValueT] = {}
        self._touched: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> ValueT | None:
        """Return the value of a key; None where there is none."""
        return self._values.get(key)

    def items(self) -> Iterable[tuple[str, ValueT]]:
        """Return all keys and values, oldest first; nothing may be added or removed meanwhile."""
        return self._values.items()

    def values(self) -> Iterable[ValueT]:
        """Return all values, oldest first; nothing may be added or removed meanwhile."""
        return self._values.values()

    def put(self, key: str, value: ValueT) -> None:
        """Set the value of a key, to be saved."""
        self._values[key] = value
        self._touched[key] = None

    def touch(self, key: str) -> None:
        """Note that a value was changed in place."""
        self._touched[key] = None

    def remove(self, key: str) -> ValueT | None:
        """Remove a key, and return its value; None where there is none."""
        self._touched[key] = None
        return self._values.pop(key, None)

    def load(self, key: str, encoded: bytes) -> None:
        """Take a saved value over.

        Args:
            key: Its key, without the prefix.
            encoded: As `changed` gave it.
        """
        self._values[key] = self._decoder.decode(encoded)

    def changed(self) -> Iterator[StateRow]:
        """Give the rows that changed since the last call."""
        touched, self._touched = self._touched, {}
        for key in touched:
            value = self._values.get(key)
            yield f"{self.prefix}\0{key}", None if value is None else _ENCODER.encode(value)
