"""A load for a gateway: facts told in a random order, some again; alone, in batches and by webhooks."""

import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from support import event_facts
from support.event_facts import Fact
from support.gateway import BATCH, STRUCTURED

GITHUB_SECRET = "github-secret-example"
"""What the webhooks are signed with: `ANSFLOW_GATEWAY_GITHUB_SECRET`."""

DISORDER = 2_000
"""How far from its place a telling may come, in tellings."""

_SHARES: tuple[tuple[Callable[[int, Random], list[Fact]], float], ...] = (
    (event_facts.ansflow_run, 0.52),
    (event_facts.call, 0.10),
    (event_facts.usage, 0.03),
    (event_facts.connections, 0.03),
    (event_facts.cdevents_task, 0.01),
    (event_facts.github_run, 0.01),
)
"""Makers of facts, and how many of all facts each makes; the rest are what users did."""


@dataclass(frozen=True, slots=True)
class Telling:
    """A fact under one id; sent again under that id, it is the same telling.

    Attributes:
        id: The CloudEvent's id, or that of GitHub's delivery.
        fact: The fact.
    """

    id: str
    fact: Fact


@dataclass(frozen=True, slots=True)
class Request:
    """A request that tells something.

    Attributes:
        path: Where to.
        headers: Its headers.
        body: Its body.
        tellings: What it tells.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    tellings: tuple[Telling, ...]


@dataclass(frozen=True)
class Load:
    """What is to be sent.

    Attributes:
        facts: Each fact once.
        requests: What tells them, in the order in which to send it.
    """

    facts: Sequence[Fact]
    requests: Sequence[Request]

    @property
    def told(self) -> int:
        """Events that are sent, those that are sent again among them, retries not."""
        return sum(1 for _ in self.tellings)

    @property
    def tellings(self) -> Iterator[Telling]:
        """All that is told, in the order in which it is sent."""
        return (telling for request in self.requests for telling in request.tellings)

    def told_by(self, events: Iterable[Mapping[str, Any]]) -> list[Fact]:
        """Give the facts of CloudEvents, such as those of the journal, by their ids."""
        fact_of = {telling.id: telling.fact for telling in self.tellings}
        return [fact_of[event["id"]] for event in events]


def make_load(dice: Random, told: int, singles: int, batch: int = 100, late: int = 10 * DISORDER) -> Load:
    """Make a load in which a fifth of what is told is told again: under the same id, or under another.

    Args:
        dice: Makes it the same each time.
        told: Events to send in all.
        singles: How many of them are sent in a request of their own, beside webhooks.
        batch: Events of a batch, on average.
        late: How long after its place a telling may be repeated, in tellings.

    Returns:
        The load.
    """
    facts = _facts(dice, told * 4 // 5)
    tellings = [(place, Telling(f"t-{number}", fact)) for number, (place, fact) in enumerate(facts)]
    first = dict(enumerate(tellings))
    identified = [number for number, (_, telling) in first.items() if telling.fact.identified]
    for again in range(told - len(tellings)):
        shift = dice.uniform(-DISORDER, late)
        if again % 2:
            place, telling = first[dice.choice(identified)]
            tellings.append((place + shift, Telling(f"again-{again}", telling.fact)))
        else:
            place, telling = first[dice.randrange(len(first))]
            tellings.append((place + shift, telling))
    tellings.sort(key=lambda each: each[0])
    return Load([fact for _, fact in facts], _requests(dice, [t for _, t in tellings], singles, batch))


def single(telling: Telling) -> Request:
    """Make a request of one structured CloudEvent."""
    body = json.dumps(_event(telling)).encode()
    return Request("/v1/events", {"Content-Type": STRUCTURED}, body, (telling,))


def batched(tellings: Sequence[Telling]) -> Request:
    """Make a request of a batch."""
    body = json.dumps([_event(telling) for telling in tellings]).encode()
    return Request("/v1/events", {"Content-Type": BATCH}, body, tuple(tellings))


def hook(telling: Telling) -> Request:
    """Make a delivery of GitHub's, signed."""
    body = json.dumps(telling.fact.body).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": telling.fact.github,
        "X-GitHub-Delivery": telling.id,
        "X-Hub-Signature-256": "sha256=" + hmac.digest(GITHUB_SECRET.encode(), body, "sha256").hex(),
    }
    return Request("/webhooks/github", headers, body, (telling,))


def _facts(dice: Random, count: int) -> list[tuple[float, Fact]]:
    """Make so many facts, each with its place: those of one run are near each other, in any order."""
    facts: list[tuple[float, Fact]] = []
    number = 0
    for make, share in _SHARES:
        most = len(facts) + int(count * share)
        while len(facts) < most:
            number += 1
            place = dice.uniform(0, count)
            facts += [(place + dice.uniform(0, DISORDER), fact) for fact in make(number, dice)]
    while len(facts) < count:
        facts += [(dice.uniform(0, count), fact) for fact in event_facts.activity(number, dice)]
    return facts


def _requests(dice: Random, tellings: Sequence[Telling], singles: int, batch: int) -> list[Request]:
    alone = singles / len(tellings)
    requests: list[Request] = []
    waiting: list[Telling] = []
    size = batch
    for telling in tellings:
        if telling.fact.github:
            requests.append(hook(telling))
        elif dice.random() < alone:
            requests.append(single(telling))
        else:
            waiting.append(telling)
            if len(waiting) == size:
                requests.append(batched(waiting))
                waiting, size = [], dice.randrange(batch // 2, batch * 3 // 2)
    return [*requests, *([batched(waiting)] if waiting else [])]


def _event(telling: Telling) -> dict[str, Any]:
    event = {"id": telling.id, **telling.fact.body}
    if "context" in event["data"]:  # a CDEvent says its id once more
        event["data"] = event["data"] | {"context": {**event["data"]["context"], "id": telling.id}}
    return event
