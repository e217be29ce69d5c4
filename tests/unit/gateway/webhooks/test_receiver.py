"""Webhooks over HTTP: what each kind of delivery is answered, and what it changes."""

import gzip
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from ansflow_gateway.domain.events import Event, EventType
from ansflow_gateway.domain.identity import delivery_key, semantic_key
from ansflow_gateway.domain.rejection import Reason
from ansflow_gateway.domain.store import Verdict
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from ansflow_gateway.receivers.webhooks.hooks import HOOKS, build_verifiers
from ansflow_gateway.receivers.webhooks.receiver import MAX_BODY_BYTES, WEBHOOKS, WebhookReceiver, routes

SECRET = b"github-secret-example"
TOKEN = "gitlab-token-example"
JENKINS = "jenkins-token-example"
NOW = 1_800_000_000.0
PAYLOADS = Path(__file__).parent / "payloads"


@dataclass
class Journal:
    """A store that keeps its journal in memory, and can be made to refuse."""

    events: list[Event] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)
    problem: str | None = None
    overloaded: bool = False
    waiting: int = 0

    async def open(self) -> None:
        """Be ready."""

    async def close(self) -> None:
        """Have nothing to give back."""

    async def apply(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep what isn't known."""
        if self.overloaded:
            raise OverloadedError("50000 events wait")
        if self.problem:
            raise StoreUnavailableError(self.problem)
        return [self._keep(event) for event in events]

    def _keep(self, event: Event) -> Verdict:
        keys = {key for key in (delivery_key(event), semantic_key(event)) if key}
        if keys & self.known:
            return Verdict.DUPLICATE
        self.known |= keys
        self.events.append(event)
        return Verdict.ACCEPTED


@dataclass
class SpoolList:
    """A spool that keeps events in memory, up to a quota."""

    quota: int = 10
    events: list[Event] = field(default_factory=list)

    async def append(self, events: Sequence[Event]) -> None:
        """Keep all or none."""
        if len(self.events) + len(events) > self.quota:
            raise OverloadedError("the spool is full")
        self.events.extend(events)


class Counts(Counter[str]):
    """A tally by heading."""

    def taken(self, event_type: EventType, verdict: Verdict, count: int = 1) -> None:
        """Count valid events."""
        self[f"{verdict} {event_type}"] += count

    def shed(self, reason: Reason, count: int) -> None:
        """Count events that were sent away."""
        self[f"shed {reason}"] += count

    def rejected(self, reason: Reason) -> None:
        """Count a refusal."""
        self[f"rejected {reason}"] += 1

    def unsupported(self, system: str, kind: str) -> None:
        """Count an event that says nothing known."""
        self[f"unsupported {system} {kind}"] += 1

    def spooled(self, events: int) -> None:
        """Count what was put aside."""
        self["spooled"] += events


@dataclass
class Receiving:
    """A receiver under test, behind a server on a free port."""

    client: TestClient[web.Request, web.Application]
    store: Journal
    spool: SpoolList
    counts: Counts

    async def post(
        self, system: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Send a delivery; give status, decoded answer and headers."""
        headers = {"Content-Type": "application/json"} | headers
        async with self.client.post(f"/webhooks/{system}", data=BytesIO(body), headers=headers) as response:
            return response.status, await response.json(content_type=None), dict(response.headers)

    @property
    def state(self) -> tuple[list[Event], list[Event]]:
        """What was kept so far."""
        return list(self.store.events), list(self.spool.events)


async def serve(*, configured: bool = True) -> Receiving:
    """Start a receiver with one secret each, or with none at all."""
    store, spool, counts = Journal(), SpoolList(), Counts()
    verifiers = build_verifiers(
        github_secrets=(lambda: [SECRET]) if configured else None,
        gitlab_tokens=(lambda: [TOKEN.encode()]) if configured else None,
        gitlab_signing_keys=None,
        jenkins_tokens=(lambda: [JENKINS.encode()]) if configured else None,
        wall_clock=lambda: NOW,
    )
    app = web.Application()
    app[WEBHOOKS] = WebhookReceiver(store, spool, counts, verifiers)
    app.add_routes(routes())
    server = TestServer(app)
    await server.start_server(auto_decompress=False)
    return Receiving(TestClient(server), store, spool, counts)


@pytest.fixture
async def receiving() -> AsyncIterator[Receiving]:
    """Give a receiver with all hooks configured."""
    receiving = await serve()
    yield receiving
    await receiving.client.close()


def delivery(name: str) -> tuple[bytes, dict[str, str]]:
    """Read a recorded delivery, signed or with its token."""
    case = json.loads((PAYLOADS / f"{name}.json").read_text())
    body = json.dumps(case["body"]).encode()
    credentials = {
        "github": {"x-hub-signature-256": "sha256=" + hmac.digest(SECRET, body, "sha256").hex()},
        "gitlab": {"x-gitlab-token": TOKEN},
        "jenkins": {"authorization": f"Bearer {JENKINS}"},
    }
    return body, case["headers"] | credentials[name.partition("_")[0]]


def resigned(body: bytes, headers: dict[str, str]) -> dict[str, str]:
    """Sign a changed body of GitHub's."""
    return headers | {"x-hub-signature-256": "sha256=" + hmac.digest(SECRET, body, "sha256").hex()}


@pytest.mark.parametrize(
    ("system", "name"),
    [("github", "github_run_completed"), ("gitlab", "gitlab_job_running"), ("jenkins", "jenkins_started")],
)
async def test_a_new_delivery_is_202_and_its_repetition_200(
    receiving: Receiving, system: str, name: str
) -> None:
    """The second one changes nothing, and each is counted once."""
    body, headers = delivery(name)
    status, answer, _ = await receiving.post(system, body, headers)
    (event,) = receiving.store.events
    assert (status, answer) == (
        202,
        {"verdict": "accepted", "items": [{"id": event.id, "verdict": "accepted"}]},
    )
    status, answer, _ = await receiving.post(system, body, headers)
    assert (status, answer["verdict"]) == (200, "duplicate")
    assert receiving.store.events == [event]
    assert receiving.counts == {f"accepted {event.type}": 1, f"duplicate {event.type}": 1}


async def test_a_delivery_of_several_events_has_a_verdict_each(receiving: Receiving) -> None:
    """A pipeline's end tells its jobs' too; those known from their own hooks are duplicates."""
    body, headers = delivery("gitlab_pipeline_failed")
    status, answer, _ = await receiving.post("gitlab", body, headers)
    assert (status, [item["verdict"] for item in answer["items"]]) == (202, ["accepted"] * 3)
    again = headers | {"webhook-id": "msg-example-2"}
    status, answer, _ = await receiving.post("gitlab", body, again)
    assert (status, answer["verdict"], len(answer["items"])) == (200, "duplicate", 3)


async def test_a_valid_event_that_is_not_known_is_200_and_counted(receiving: Receiving) -> None:
    """Its sender must not think that the hook fails; a ping is nothing at all."""
    body, headers = delivery("github_push")
    assert (await receiving.post("github", body, headers))[:2] == (
        200,
        {"verdict": "unsupported", "kind": "push"},
    )
    await receiving.post("gitlab", *delivery("gitlab_merge_request_opened"))
    body, headers = delivery("github_ping")
    assert (await receiving.post("github", body, headers))[:2] == (200, {"verdict": "accepted", "items": []})
    assert receiving.counts == {"unsupported github push": 1, "unsupported gitlab merge_request.open": 1}
    assert receiving.state == ([], [])


@pytest.mark.parametrize(
    ("system", "name", "header", "value"),
    [
        ("github", "github_run_completed", "x-hub-signature-256", None),
        ("github", "github_run_completed", "x-hub-signature-256", "sha256=" + "0" * 64),
        ("gitlab", "gitlab_job_running", "x-gitlab-token", None),
        ("gitlab", "gitlab_job_running", "x-gitlab-token", "wrong"),
        ("jenkins", "jenkins_started", "authorization", None),
        ("jenkins", "jenkins_started", "authorization", "Bearer wrong"),
    ],
)
async def test_an_unknown_sender_is_401_and_changes_nothing(
    receiving: Receiving, system: str, name: str, header: str, value: str | None
) -> None:
    """A missing and a wrong signature are refused and counted alike."""
    body, headers = delivery(name)
    del headers[header]
    status, answer, _ = await receiving.post(system, body, headers | ({header: value} if value else {}))
    assert (status, answer["reason"], answer["field"]) == (401, "invalid_signature", header)
    assert receiving.state == ([], [])
    assert receiving.counts == {"rejected invalid_signature": 1}


async def test_a_signed_body_that_was_changed_on_its_way_is_401(receiving: Receiving) -> None:
    """One space more than was signed is another body, though the same JSON."""
    body, headers = delivery("github_run_completed")
    assert (await receiving.post("github", body + b" ", headers))[0] == 401
    assert receiving.state == ([], [])


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b"{", "application/json", 400, "not_json"),
        (b"\xff", "application/json", 400, "not_json"),
        (b"[" * 100, "application/json", 400, "not_json"),
        (b'{"workflow_run": NaN}', "application/json", 400, "not_finite"),
        (b"[" * 17 + b"]" * 17, "application/json", 400, "too_deep"),
        (b"[]", "application/json", 422, "wrong_type"),
        (b"{}", "application/json", 422, "missing"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", "application/json; charset=latin-1", 415, "unsupported_media_type"),
        (b"payload=%7B", "application/x-www-form-urlencoded", 400, "not_json"),
        (b"other=%7B%7D", "application/x-www-form-urlencoded", 422, "missing"),
        (b"payload=%FF", "application/x-www-form-urlencoded", 400, "not_json"),
        (b"a=1&" * 20, "application/x-www-form-urlencoded", 400, "not_json"),
        (b"payload=\xff", "application/x-www-form-urlencoded", 400, "not_json"),
    ],
)
async def test_a_signed_body_that_is_no_delivery_is_refused(
    receiving: Receiving, body: bytes, content_type: str, status: int, reason: str
) -> None:
    """The status tells what it isn't; nothing but the count of refusals changes."""
    _, headers = delivery("github_run_completed")
    answered, answer, _ = await receiving.post(
        "github", body, resigned(body, headers) | {"Content-Type": content_type}
    )
    assert (answered, answer["reason"]) == (status, reason)
    assert receiving.state == ([], [])
    assert receiving.counts == {f"rejected {reason}": 1}


async def test_a_body_beyond_the_bound_is_413_before_anything_else(receiving: Receiving) -> None:
    """Neither its size on the wire nor the one it inflates to may pass it, signed or not."""
    for sent, headers in (
        (b" " * (MAX_BODY_BYTES + 1), {}),
        (gzip.compress(b" " * (MAX_BODY_BYTES + 1)), {"Content-Encoding": "gzip"}),
    ):
        assert (await receiving.post("github", sent, headers))[0] == 413
    assert receiving.counts == {"rejected body_too_large": 2}


async def test_a_form_and_a_gzipped_body_are_taken(receiving: Receiving) -> None:
    """GitHub signs the form as it is sent; a signature is over the body before its compression."""
    body, headers = delivery("github_run_requested")
    form = urlencode({"payload": body.decode()}).encode()
    as_form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await receiving.post("github", form, resigned(form, headers) | as_form))[0] == 202
    body, headers = delivery("github_run_completed")
    sent = gzip.compress(body)
    assert (await receiving.post("github", sent, headers | {"Content-Encoding": "gzip"}))[0] == 202
    assert len(receiving.store.events) == 2


@pytest.mark.parametrize("how", ["overloaded", "unavailable"])
async def test_what_the_store_cannot_take_is_spooled(receiving: Receiving, how: str) -> None:
    """A CI system doesn't send twice: its event waits on the disk, and is answered 202."""
    receiving.store.overloaded = how == "overloaded"
    receiving.store.problem = "no space left on the device" if how == "unavailable" else None
    body, headers = delivery("github_run_completed")
    status, answer, _ = await receiving.post("github", body, headers)
    (event,) = receiving.spool.events
    assert (status, answer) == (
        202,
        {"verdict": "spooled", "items": [{"id": event.id, "verdict": "spooled"}]},
    )
    assert receiving.counts == {"spooled": 1}


async def test_what_cannot_be_spooled_either_is_503(receiving: Receiving) -> None:
    """The answer says when to come again; nothing is kept."""
    receiving.store.problem, receiving.spool.quota = "no space left on the device", 0
    body, headers = delivery("github_run_completed")
    status, answer, answered = await receiving.post("github", body, headers)
    assert (status, answered["Retry-After"], answered["Content-Type"]) == (
        503,
        "30",
        "application/problem+json",
    )
    assert "no space left" in answer["detail"]
    assert receiving.state == ([], [])
    assert receiving.counts == {"shed unavailable": 1}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.system)
async def test_a_hook_without_a_secret_is_404_and_says_how_to_enable_it(hook: Any) -> None:
    """Nothing is taken unverified; the answer names the setting."""
    receiving = await serve(configured=False)
    try:
        body, headers = delivery(
            {"github": "github_push", "gitlab": "gitlab_push", "jenkins": "jenkins_queued"}[hook.system]
        )
        status, answer, _ = await receiving.post(hook.system, body, headers)
        assert status == 404
        assert hook.enabled_by in answer["detail"]
        assert receiving.state == ([], [])
    finally:
        await receiving.client.close()
