"""Requests with an event, framed in any way, and conversations that may end in what isn't HTTP."""

import json
from collections.abc import Sequence
from itertools import count

from support.fuzzing import FuzzedGateway, check_answer
from support.raw_http import Answer, ClosedError, Connection, request

PATH = "/v1/events"
STRUCTURED = ("Content-Type", "application/cloudevents+json")
MIB = 1024 * 1024

OTHER_WAY = ("X-Anything", "1")
"""Takes a request to aiohttp's parser; without it, plain events don't get there."""

WAYS = {"slim": (), "aiohttp": (OTHER_WAY,)}
"""Headers by who reads the request."""

PATIENCE_S = 0.05
"""Time without an answer after which a server is taken to wait for more; a shorter one only costs time."""

Way = Sequence[tuple[str, str]]

_IDS = count(1)


def body(**changes: object) -> bytes:
    """Make an event that nobody has sent yet."""
    data = {"action": "login", "user_type": "admin"}
    event = {"specversion": "1.0", "id": f"framed-{next(_IDS)}", "source": "/s", "data": data}
    return json.dumps(event | {"type": "dev.ansflow.user.activity.v1"} | changes).encode()


def post(way: Way = (), content: bytes | None = None) -> bytes:
    """Make a request with an event."""
    return request("POST", PATH, [STRUCTURED, *way], body() if content is None else content)


def framed(head: bytes, rest: bytes, way: Way = (OTHER_WAY,)) -> bytes:
    """Make a request whose body is framed by other fields than its length."""
    plain = request("POST", PATH, [STRUCTURED, *way])
    return plain.removesuffix(b"\r\n") + head + b"\r\n\r\n" + rest


def is_malformed(answer: Answer) -> bool:
    """Tell whether an answer is the last one to what isn't HTTP."""
    return answer.status == 400 and json.loads(answer.body)["reason"] == "malformed_request"


def talk(fuzzed: FuzzedGateway, data: bytes, *, malformed: bool | None = False) -> list[Answer]:
    """Send bytes on a connection of their own, and check all answers to them, and what they have changed.

    Args:
        fuzzed: The gateway.
        data: What to send.
        malformed: Whether they end in something that isn't HTTP, so that nothing after it is answered; None
            where they may.

    Returns:
        The answers before that to the last request, which is added.
    """
    last = request("GET", "/health/live", [("Connection", "close")])
    answers: list[Answer] = []
    with Connection(fuzzed.port) as connection:
        connection.send(data + last)
        filled = False
        while True:
            if not filled and not connection.wait(PATIENCE_S):
                # A body that is longer than what was sent, or a head without an end: now it has one.
                connection.send(b" " * (MIB + 70_000) + b"\r\n\r\n" + last)
                filled = True
            try:
                answers.append(connection.receive())
            except ClosedError:
                break
    refused = [answer for answer in answers if is_malformed(answer)]
    assert refused in ([], answers[-1:]), "what isn't HTTP is answered once, and at the end"
    assert malformed is None or bool(refused) is malformed, answers
    if answers and not refused:
        assert answers[-1].header("content-type") == "application/health+json" or malformed is None
    assert all(answer.closes for answer in refused)
    told = [answer for answer in answers if answer.header("content-type") != "application/health+json"]
    for answer in told:
        if answer.status not in {404, 405, 417}:
            check_answer("POST", PATH, answer)
        assert answer.status < 500
    fuzzed.account(told)
    return [answer for answer in told if answer not in refused]
