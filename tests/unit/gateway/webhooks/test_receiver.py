"""Webhooks over HTTP: what each kind of delivery is answered, and what it changes."""

import gzip
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from ansflow_gateway.domain.events import Event, EventType
from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.domain.store import Entry, StateRow, Verdict
from ansflow_gateway.receivers.webhooks.hooks import HOOKS, Hook, Secrets, build_verifiers
from ansflow_gateway.receivers.webhooks.receiver import MAX_BODY_BYTES, WEBHOOKS, WebhookReceiver, routes
from ansflow_gateway.storage.options import StoreOptions
from ansflow_gateway.storage.spool import Spool
from ansflow_gateway.storage.sqlite import SqliteEventStore
from ansflow_gateway.web.secrets import SecretSetting

SECRET = b"github-secret-example"
TOKEN = "gitlab-token-example"
JENKINS = "jenkins-token-example"
NOW = 1_800_000_000.0
PAYLOADS = Path(__file__).parent / "payloads"


class Remembered:
    """A fold that keeps the entries it was given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def load(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Begin with nothing: no state is saved."""

    def apply(self, entries: Sequence[Entry]) -> None:
        """Keep what is committed."""
        self.events.extend(entry.event for entry in entries)

    def changed(self) -> Sequence[StateRow]:
        """Have nothing to save."""
        return []

    @property
    def unsaved(self) -> bool:
        """Have nothing to save."""
        return False


class Counts(Counter[str]):
    """A tally by heading."""

    def taken(self, event_type: EventType, verdict: Verdict, count: int = 1) -> None:
        """Count valid events."""
        self[f"{verdict} {event_type}"] += count

    def shed(self, reason: Reason, count: int) -> None:
        """Count events that were sent away."""
        self[f"shed {reason}"] += count

    def rejected(self, rejection: Rejection, path: str) -> None:
        """Count a refusal."""
        self[f"rejected {rejection.reason}"] += 1

    def unsupported(self, system: str, kind: str) -> None:
        """Count an event that says nothing known."""
        self[f"unsupported {system} {kind}"] += 1

    def spooled(self, events: int) -> None:
        """Count what was put aside."""
        self["spooled"] += events


@dataclass
class Receiving:
    """A receiver under test over a real store and spool, behind a server on a free port."""

    client: TestClient[web.Request, web.Application]
    fold: Remembered
    spool: Spool
    counts: Counts

    async def post(
        self, system: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Send a delivery; give status, decoded answer and headers."""
        headers = {"Content-Type": "application/json"} | headers
        async with self.client.post(f"/webhooks/{system}", data=BytesIO(body), headers=headers) as response:
            return response.status, await response.json(content_type=None), dict(response.headers)

    @property
    def untouched(self) -> bool:
        """Whether nothing was kept anywhere."""
        return not self.fold.events and not self.spool.pending


@asynccontextmanager
async def receiver(
    place: Path,
    *,
    configured: bool = True,
    quota: int = 100_000,
    limit: int = 100,
    opened: bool = True,
    secrets: Secrets = lambda: [SECRET],
) -> AsyncIterator[Receiving]:
    """Run a receiver.

    Args:
        place: Directory of the store and the spool.
        configured: Whether each hook has a secret.
        quota: Bytes that the spool may take.
        limit: Events that may wait for the store.
        opened: Whether the store is open; else it can't commit.
        secrets: Gives the secrets of GitHub's hook.
    """
    fold, counts = Remembered(), Counts()
    store = SqliteEventStore(place / "gateway.sqlite3", fold, StoreOptions(max_waiting=limit))
    spool = Spool(place / "spool", quota)
    spool.open()
    if opened:
        await store.open()
    verifiers = build_verifiers(
        github_secrets=secrets if configured else None,
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
    client = TestClient(server)
    try:
        yield Receiving(client, fold, spool, counts)
    finally:
        await client.close()
        spool.close()
        if opened:
            await store.close()


@pytest.fixture
async def receiving(tmp_path: Path) -> AsyncIterator[Receiving]:
    """Give a receiver with all hooks configured."""
    async with receiver(tmp_path) as receiving:
        yield receiving


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
    (event,) = receiving.fold.events
    assert (status, answer) == (
        202,
        {"verdict": "accepted", "items": [{"id": event.id, "verdict": "accepted"}]},
    )
    status, answer, _ = await receiving.post(system, body, headers)
    assert (status, answer["verdict"]) == (200, "duplicate")
    assert receiving.fold.events == [event]
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
    assert receiving.untouched


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
    assert receiving.untouched
    assert receiving.counts == {"rejected invalid_signature": 1}


async def test_a_secret_is_changed_while_the_hook_goes_on(tmp_path: Path) -> None:
    """The new one is put before the old one, then the old one is taken away; nothing is lost meanwhile."""
    file, now = tmp_path / "secret", [0.0]
    old, new = SECRET.decode(), "github-secret-that-follows"

    def keep(*secrets: str) -> None:
        file.write_text("\n".join(secrets))
        now[0] += 1

    async def answers(to: Receiving, name: str) -> list[int]:
        body, headers = delivery(name)
        signed = "sha256=" + hmac.digest(new.encode(), body, "sha256").hex()
        return [
            (await to.post("github", body, given))[0]
            for given in (headers, headers | {"x-hub-signature-256": signed})
        ]

    keep(old)
    secrets = SecretSetting(None, file).source(clock=lambda: now[0])
    async with receiver(tmp_path, secrets=secrets) as receiving:
        assert await answers(receiving, "github_job_queued") == [202, 401]
        keep(new, old)
        assert await answers(receiving, "github_job_in_progress") == [202, 200]
        file.unlink()
        now[0] += 1
        assert await answers(receiving, "github_job_completed") == [202, 200]
        keep(new)
        assert await answers(receiving, "github_run_completed") == [401, 202]


async def test_a_signed_body_that_was_changed_on_its_way_is_401(receiving: Receiving) -> None:
    """One space more than was signed is another body, though the same JSON."""
    body, headers = delivery("github_run_completed")
    assert (await receiving.post("github", body + b" ", headers))[0] == 401
    assert receiving.untouched


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
    assert receiving.untouched
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
    assert len(receiving.fold.events) == 2


@pytest.mark.parametrize("refusing", [{"limit": 0}, {"opened": False}], ids=["overloaded", "unavailable"])
async def test_what_the_store_cannot_take_is_spooled(tmp_path: Path, refusing: dict[str, Any]) -> None:
    """A CI system doesn't send twice: its event waits on the disk, is answered 202, and comes in later."""
    body, headers = delivery("github_run_completed")
    async with receiver(tmp_path, **refusing) as receiving:
        status, answer, _ = await receiving.post("github", body, headers)
        item = {"id": headers["x-github-delivery"], "verdict": "spooled"}
        assert (status, answer) == (202, {"verdict": "spooled", "items": [item]})
        assert receiving.counts == {"spooled": 1}
        assert (receiving.fold.events, receiving.spool.pending) == ([], 1)
    fold, spool = Remembered(), Spool(tmp_path / "spool", 100_000)
    store = SqliteEventStore(tmp_path / "gateway.sqlite3", fold)
    spool.open()
    await store.open()
    assert await spool.drain(store) == 1
    assert [event.id for event in fold.events] == [headers["x-github-delivery"]]
    spool.close()
    await store.close()


async def test_what_cannot_be_spooled_either_is_503(tmp_path: Path) -> None:
    """The answer says when to come again; nothing is kept."""
    async with receiver(tmp_path, opened=False, quota=0) as receiving:
        body, headers = delivery("github_run_completed")
        status, answer, answered = await receiving.post("github", body, headers)
        assert status == 503
        assert (answered["Retry-After"], answered["Content-Type"]) == ("30", "application/problem+json")
        assert "the store is closed" in answer["detail"]
        assert receiving.untouched
        assert receiving.counts == {"shed unavailable": 1}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.system)
async def test_a_hook_without_a_secret_is_404_and_says_how_to_enable_it(tmp_path: Path, hook: Hook) -> None:
    """Nothing is taken unverified; the answer names the setting."""
    async with receiver(tmp_path, configured=False) as receiving:
        name = {"github": "github_push", "gitlab": "gitlab_push", "jenkins": "jenkins_queued"}[hook.system]
        status, answer, _ = await receiving.post(hook.system, *delivery(name))
        assert status == 404
        assert hook.enabled_by in answer["detail"]
        assert receiving.untouched
