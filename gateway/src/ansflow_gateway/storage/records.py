"""How events become bytes: their keys, their encoding, and blocks of them with a checksum."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from zlib import crc32

import msgspec

from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.identity import KEY_BYTES, delivery_key, semantic_key

Record = tuple[Event, tuple[bytes, ...], bytes]
"""An event, its keys (the delivery's, then the fact's, if it has one), and its encoding.

A plain tuple: one is made for each event, and a named one costs three times as much.
"""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Event)
_ARRAY_DECODER: Final = msgspec.msgpack.Decoder(list[Event])
_ARRAY_32: Final = struct.Struct(">BI")
_ARRAY_32_TAG: Final = 0xDD  # https://github.com/msgpack/msgpack/blob/master/spec.md#array-format-family


def make_record(event: Event) -> Record:
    """Compute what a store needs of an event.

    Args:
        event: A valid event.

    Returns:
        Its record.

    Raises:
        UnicodeEncodeError: A text of it can't be encoded; validation lets none such through.
    """
    semantic = semantic_key(event)
    delivery = delivery_key(event)
    return event, (delivery,) if semantic is None else (delivery, semantic), _ENCODER.encode(event)


def decode_event(encoded: bytes) -> Event:
    """Decode one event.

    Args:
        encoded: As `make_record` encoded it.

    Returns:
        The event.

    Raises:
        msgspec.DecodeError: It is none.
    """
    return _DECODER.decode(encoded)


def join_events(records: Sequence[Record]) -> bytes:
    """Make the msgpack array of events out of their encodings.

    Args:
        records: The events' records.

    Returns:
        The array.
    """
    return _ARRAY_32.pack(_ARRAY_32_TAG, len(records)) + b"".join([encoded for _, _, encoded in records])


def split_events(block: bytes) -> list[Event]:
    """Decode what `join_events` made.

    Args:
        block: The array.

    Returns:
        The events, in order.

    Raises:
        msgspec.DecodeError: It isn't such an array.
    """
    return _ARRAY_DECODER.decode(block)


def join_keys(records: Iterable[Record]) -> bytes:
    """Put the keys of events one after another."""
    return b"".join([key for _, keys, _ in records for key in keys])


def split_keys(joined: bytes) -> Iterator[bytes]:
    """Give the keys that `join_keys` put together."""
    return (joined[start : start + KEY_BYTES] for start in range(0, len(joined), KEY_BYTES))


def checksum(keys: bytes, events: bytes) -> int:
    """Compute the checksum of a block: 32 bits."""
    return crc32(events, crc32(keys))
