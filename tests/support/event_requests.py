"""Requests with events for fuzzing: good, nearly good and broken, in each mode of CloudEvents."""

import gzip
import json
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from support.event_bodies import mutated
from support.json_mutation import TOKENS, changed

Parts = tuple[list[tuple[str, str]], bytes]
"""Headers and body of a request."""

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
CD_EVENTS = [
    json.loads(path.read_text())["cloudevent"]
    for path in sorted(
        (Path(__file__).parents[1] / "unit" / "gateway" / "events" / "cdevents").glob("*.json")
    )
]
HEADER_VALUES = [
    *(
        "",
        " ",
        "1.0",
        "0.3",
        "%",
        "%zz",
        "%ff",
        "%00",
        "%ed%a0%80",
        "%F0%9F%98%80",
        '"',
        '"x"',
        '"\\"',
        '"%22"',
    ),
    *(
        "\xff\xfe",
        "caf\xe9",
        "x" * 600,
        "\t",
        "x\ty",
        ", ,",
        "dev.ansflow.user.activity.v1",
        "dev.cdevents.x.y.0.1.0",
    ),
    *(
        "2026-01-31T12:00:00Z",
        "gzip",
        "identity",
        "GZIP",
        "x-gzip",
        "br",
        "gzip, gzip",
        "return=minimal",
        "a=b; c",
    ),
    *(
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset=UTF-16",
        "text/plain",
        "x",
    ),
    *(
        "application/vnd.x+json",
        "application/cloudevents",
        "application/cloudevents+xml",
        ";",
        "a/b; charset",
    ),
    *('application/json; charset="utf-8"', "application/json;charset=utf-8;charset=x", STRUCTURED, BATCH),
    *(STRUCTURED + "; charset=utf-8", STRUCTURED + "; charset=latin-1", STRUCTURED.upper(), "é"),
]
HEADER_NAMES = [
    *(
        "Content-Type",
        "Content-Encoding",
        "Prefer",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-specversion",
        "ce-time",
    ),
    *("CE-ID", "ce-data", "ce-datacontenttype", "ce-data_base64", "ce-", "ce-traceparent", "ce-x", "ce-X_y"),
    *("Accept", "Accept-Encoding", "Authorization", "User-Agent", "X-Anything", "Origin", "Cookie"),
]

ONCE = {"Content-Type", "Content-Encoding", "User-Agent"}

_IDS = count(1)


def fresh(event: dict[str, Any], chance: Random) -> dict[str, Any]:
    """Give a copy of an event, mostly one that nobody has sent yet."""
    event = json.loads(json.dumps(event))
    number = next(_IDS) if chance.randrange(4) else chance.randrange(1, 50)
    if event.get("id") == "e":
        event["id"] = f"e-{number}"
    data = event.get("data")
    if isinstance(data, dict) and data.get("run_id") == "r-1":
        data["run_id"] = f"r-{number}"
    if isinstance(data, dict) and "context" in data:
        event["id"] = data["context"]["id"] = f"{event['id']}-{number}"
    return event


def encoded(value: object, chance: Random) -> bytes:
    """Encode a value in one of the ways of JSON; beyond ASCII, perhaps not in UTF-8."""
    ascii_alone = bool(chance.randrange(2))
    separators = chance.choice([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n")])
    return json.dumps(value, ensure_ascii=ascii_alone, separators=separators).encode("utf-8", "surrogatepass")


def broken(body: bytes, chance: Random) -> bytes:
    """Change some bytes of a body, or put in what no JSON document has."""
    if chance.randrange(3):
        return mutated(body, chance)
    at = chance.randrange(len(body) + 1)
    return body[:at] + chance.choice(TOKENS) + body[at:]


def compressed(body: bytes, chance: Random) -> bytes:
    """Compress a body, in one member or several, whole or not."""
    half = len(body) // 2
    match chance.randrange(6):
        case 0:
            return gzip.compress(body[:half]) + gzip.compress(body[half:])
        case 1:
            return mutated(gzip.compress(body), chance)
        case 2:
            return gzip.compress(body)[: -chance.randrange(1, 12)]
        case 3:
            return gzip.compress(body) + chance.randbytes(3)
    return gzip.compress(body)


def structured(event: dict[str, Any], chance: Random, *, good: bool) -> Parts:
    """Make a request with an event, or with a CDEvent; changed or broken unless it is to be good."""
    one: Any = fresh(event if chance.randrange(3) else chance.choice(CD_EVENTS), chance)
    if not good and chance.randrange(3) == 0:
        one = changed(one, chance)
    body = encoded(one, chance)
    if not good and chance.randrange(3) == 0:
        body = broken(body, chance)
    return [("Content-Type", STRUCTURED)], body


def batch(drawn: list[dict[str, Any]], chance: Random, *, good: bool) -> Parts:
    """Make a request with events and CDEvents, in part twice the same, in part not events at all."""
    events: list[Any] = [fresh(event, chance) for event in drawn]
    events += [fresh(chance.choice(CD_EVENTS), chance) for _ in range(chance.randrange(3))]
    if events and chance.randrange(4) == 0:
        events.append(chance.choice(events))
    body = encoded(changed(events, chance) if not good and events and chance.randrange(2) else events, chance)
    if not good and chance.randrange(4) == 0:
        body = broken(body, chance)
    headers = [("Content-Type", BATCH)]
    if chance.randrange(3) == 0:
        headers.append(("Prefer", chance.choice(["return=minimal", "respond-async, return=minimal"])))
    return headers, body


def binary(event: dict[str, Any], chance: Random, *, good: bool) -> Parts:
    """Make a request in binary mode, with headers that are missing, twice there, or of any bytes."""
    one = fresh(event if chance.randrange(3) else chance.choice(CD_EVENTS), chance)
    body = encoded(one.pop("data", None), chance)
    headers = [("Content-Type", "application/json")]
    headers += [
        (f"ce-{name}", value)
        for name, value in one.items()
        if isinstance(value, str) and value.isascii() and value.isprintable() and name.isalnum()
    ]
    for _ in range(0 if good else chance.randrange(3)):
        match chance.randrange(4):
            case 0 if headers:
                del headers[chance.randrange(len(headers))]
            case 1 if headers:
                at = chance.randrange(len(headers))
                headers[at] = (headers[at][0], chance.choice(HEADER_VALUES))
            case _:
                # Headers that may come once are twice there in the tests of framing: that isn't HTTP.
                name = chance.choice(HEADER_NAMES)
                headers = [pair for pair in headers if pair[0] != name or name not in ONCE]
                headers.append((name, chance.choice(HEADER_VALUES)))
    if not good and chance.randrange(4) == 0:
        body = broken(body, chance)
    return headers, body


def perhaps_compressed(parts: Parts, chance: Random) -> Parts:
    """Compress every fifth body."""
    headers, body = parts
    if chance.randrange(5):
        return parts
    return [*headers, ("Content-Encoding", "gzip")], compressed(body, chance)
