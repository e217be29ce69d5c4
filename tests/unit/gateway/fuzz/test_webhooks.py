"""Webhooks with recorded deliveries that were changed: verified first, then read, then taken or refused."""

import base64
import json
import time
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from support.event_bodies import mutated
from support.fuzzing import GITLAB, JENKINS, SHARES, FuzzedGateway, github_signature, gitlab_signature
from support.json_mutation import TOKENS, changed
from support.raw_http import Answer, request

FUZZ_DELIVERIES = SHARES["deliveries"] // 3
"""Deliveries to each hook."""

FUZZ_FORGERIES = SHARES["forgeries"] // 3
"""Deliveries to each hook of senders who know no secret."""

SYSTEMS = ("github", "gitlab", "jenkins")
RECORDED = {
    system: [
        json.loads(path.read_text())
        for path in sorted((Path(__file__).parent.parent / "webhooks" / "payloads").glob(f"{system}_*.json"))
    ]
    for system in SYSTEMS
}
FORM = "application/x-www-form-urlencoded"
IDENTIFYING = ("x-github-delivery", "webhook-id", "idempotency-key", "x-gitlab-event-uuid")

_IDS = count(1)

Sent = tuple[list[tuple[str, str]], bytes]
"""Headers and body."""


def unsigned(system: str, chance: Random) -> Sent:
    """Make a delivery that was never sent before: a recorded one, mostly with something changed."""
    case = json.loads(json.dumps(chance.choice(RECORDED[system])))
    number = next(_IDS)
    headers = dict(case["headers"])
    body: Any = case["body"]
    _renumber(body, number)
    if chance.randrange(4):
        for name in IDENTIFYING:
            if name in headers:
                headers[name] = f"{headers[name]}-{number}"
    if chance.randrange(5):
        body = changed(body, chance)
    if chance.randrange(12) == 0 and headers:
        headers[chance.choice(list(headers))] = chance.choice(["", "x" * 600, "\xff", "%", "a\tb", "push"])
    if chance.randrange(12) == 0 and headers:
        del headers[chance.choice(list(headers))]
    encoded = json.dumps(body, ensure_ascii=bool(chance.randrange(2))).encode("utf-8", "surrogatepass")
    if chance.randrange(6) == 0:
        at = chance.randrange(len(encoded) + 1)
        encoded = mutated(encoded, chance) if at % 2 else encoded[:at] + chance.choice(TOKENS) + encoded[at:]
    content_type = "application/json"
    if system == "github" and chance.randrange(4) == 0:
        content_type = FORM
        encoded = urlencode({"payload": encoded, "x": "y"}).encode()
        if chance.randrange(4) == 0:
            encoded = mutated(encoded, chance)
    if chance.randrange(20) == 0:
        content_type = chance.choice(["text/plain", "application/json; charset=utf-16", FORM, "", "x"])
    pairs = [(name, value) for name, value in headers.items() if name.lower() != "content-type"]
    return [*pairs, ("Content-Type", content_type)], encoded


def _renumber(body: object, number: int) -> None:
    """Make a run, job, pipeline or build one of its own."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name in {"id", "run_id", "pipeline_id", "build_id", "number", "iid"} and isinstance(
                value, int
            ):
                body[name] = value + number
            if name == "full_url":
                body[name] = value.replace("/17/", f"/{17 + number}/")
            _renumber(value, number)
    elif isinstance(body, list):
        for value in body:
            _renumber(value, number)


def signed(system: str, sent: Sent, chance: Random) -> Sent:
    """Sign a delivery as its CI system does, in one of the ways there are."""
    headers, body = sent
    match system:
        case "github":
            return [*headers, ("X-Hub-Signature-256", github_signature(body))], body
        case "gitlab":
            if chance.randrange(2):
                return [*_without(headers, "webhook-signature"), ("X-Gitlab-Token", GITLAB)], body
            delivery, now = f"msg-{next(_IDS)}", str(int(time.time()))
            headers = _without(headers, "webhook-id", "webhook-timestamp", "webhook-signature")
            signature = gitlab_signature(delivery, now, body)
            if chance.randrange(3) == 0:
                signature = f"v1,x v2,y {signature}"
            headers += [
                ("webhook-id", delivery),
                ("webhook-timestamp", now),
                ("webhook-signature", signature),
            ]
            return headers, body
    basic = base64.b64encode(f"jenkins:{JENKINS}".encode()).decode()
    shown = [
        ("Authorization", f"Bearer {JENKINS}"),
        ("X-Jenkins-Token", JENKINS),
        ("Authorization", f"Basic {basic}"),
    ]
    return [*headers, chance.choice(shown)], body


def forged(system: str, sent: Sent, chance: Random) -> Sent:
    """Give a delivery whose signature is missing, of another body, stale, or of any bytes."""
    headers, body = signed(system, sent, chance)
    names = {"github": "x-hub-signature-256", "gitlab": "webhook-signature", "jenkins": "authorization"}
    held = {name.lower(): value for name, value in headers}
    name = (
        names[system]
        if names[system] in held
        else {"gitlab": "x-gitlab-token"}.get(system, "x-jenkins-token")
    )
    right = held[name]
    rest = _without(headers, name)
    match chance.randrange(6):
        case 0:
            return rest, body
        case 1 if not right.startswith("Basic"):  # of which the user's name may be any
            # Near the end: of several signatures, the true one is the last.
            at = chance.randrange(max(0, len(right) - 40), len(right))
            other = chr(ord(right[at]) ^ 1)
            return [*rest, (name, right[:at] + other + right[at + 1 :])] if other != right[at] else rest, body
        case 2:
            return [
                *rest,
                (name, chance.choice(["", "sha256=", "v1,", "Bearer ", "Basic eDp5", "\xff", "v1," * 50])),
            ], body
        case 3 if name in {"x-hub-signature-256", "webhook-signature"}:
            return headers, body + b" "
        case 4 if name == "webhook-signature":
            then = str(int(time.time()) + chance.choice([-301, 330, -(10**9), 10**11]))
            rest = [*_without(rest, "webhook-timestamp"), ("webhook-timestamp", then)]
            return [*rest, (name, gitlab_signature(held["webhook-id"], then, body))], body
    return [*rest, (name, right[: len(right) // 2])], body


def _without(headers: list[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in names]


def post(fuzzed: FuzzedGateway, system: str, sent: Sent) -> Answer:
    """Send a delivery."""
    path = f"/webhooks/{system}"
    return fuzzed.exchange("POST", path, request("POST", path, *sent))


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_delivery_harms(fuzzed: FuzzedGateway, system: str) -> None:
    """No 5xx, a documented answer to each; exactly what it says is in the journal, and in the meters."""
    chance = Random(f"deliveries of {system}")  # noqa: S311 - reproducible, not secret
    before = fuzzed.statuses.copy()
    for _ in range(FUZZ_DELIVERIES):
        post(fuzzed, system, signed(system, unsigned(system, chance), chance))
    answered = fuzzed.statuses - before
    assert answered[202] > FUZZ_DELIVERIES // 10
    assert answered[422] > FUZZ_DELIVERIES // 10
    assert not answered[401] or system == "gitlab"
    fuzzed.look()
    fuzzed.check_counts()
    fuzzed.check_fold()


@pytest.mark.parametrize("system", SYSTEMS)
def test_who_knows_no_secret_changes_nothing(fuzzed: FuzzedGateway, system: str) -> None:
    """Whatever is said is answered 401, and neither the journal nor a business meter moves."""
    chance = Random(f"forgeries of {system}")  # noqa: S311 - reproducible, not secret
    before, stored = fuzzed.business(), fuzzed.journal()
    for _ in range(FUZZ_FORGERIES):
        sent = forged(system, unsigned(system, chance), chance)
        assert post(fuzzed, system, sent).status == 401, sent
    assert (fuzzed.business(), fuzzed.journal()) == (before, stored)
    fuzzed.check_counts()
