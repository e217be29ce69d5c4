"""Tokens: who may do what, and what a token's file may say."""

import base64
import hashlib
import tomllib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from ansflow_gateway.domain.rejection import Reason, Rejection
from ansflow_gateway.web import tokens
from ansflow_gateway.web.authorization import require_token
from ansflow_gateway.web.tokens import ProducerToken, Scope

PATHS = {
    Scope.EVENTS_WRITE: ("POST", "/v1/events"),
    Scope.METRICS_READ: ("GET", "/metrics"),
    Scope.STATUS_READ: ("GET", "/"),
}


@dataclass
class Guarded:
    """An application behind the middleware, the tokens that it takes, and what it counted."""

    client: TestClient[web.Request, web.Application]
    tokens: list[ProducerToken]
    refused: Counter[Reason]

    async def status(self, method: str, path: str, authorization: str | None = None) -> int:
        """Ask, and give the status."""
        headers = {"Authorization": authorization} if authorization is not None else {}
        async with self.client.request(method, path, headers=headers) as response:
            return response.status


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    """Give an application that answers 200 to whoever gets through."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="through")

    valid: list[ProducerToken] = []
    refused: Counter[Reason] = Counter()

    def count(_: web.Request, rejection: Rejection) -> None:
        refused[rejection.reason] += 1

    app = web.Application(middlewares=[require_token(lambda: valid, count)])
    app.router.add_route("*", "/{path:.*}", answer)
    client = TestClient(TestServer(app))
    await client.start_server()
    yield Guarded(client, valid, refused)
    await client.close()


def made(name: str, *scopes: str) -> tuple[str, ProducerToken]:
    """Make a token and the entry that a file with it has."""
    token, entry = tokens.make(name, scopes)
    (parsed,) = tokens.parse(entry.encode())
    return token, parsed


@pytest.mark.parametrize("scope", Scope)
async def test_a_token_is_good_for_its_scope_alone(guarded: Guarded, scope: Scope) -> None:
    """403 elsewhere: it is known, and not meant for that."""
    token, entry = made("p", scope)
    guarded.tokens.append(entry)
    for asked, (method, path) in PATHS.items():
        expected = 200 if asked is scope else 403
        assert await guarded.status(method, path, f"Bearer {token}") == expected
    assert guarded.refused == {Reason.FORBIDDEN: 2}


async def test_what_is_not_listed_needs_the_scope_of_its_method(guarded: Guarded) -> None:
    """A path that is new is shut from its first day: reading it is status, anything else is writing."""
    token, entry = made("reader", Scope.STATUS_READ)
    guarded.tokens.append(entry)
    assert await guarded.status("GET", "/new", f"Bearer {token}") == 200
    assert await guarded.status("POST", "/new", f"Bearer {token}") == 403


async def test_a_single_token_may_do_everything(guarded: Guarded) -> None:
    """As it always could; the scheme's case doesn't matter."""
    guarded.tokens.append(tokens.of_all_scopes("correct-horse-battery-staple"))
    for method, path in PATHS.values():
        assert await guarded.status(method, path, "bearer correct-horse-battery-staple") == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer \udcff",
        "Digest x",
        "Basic x",
        "correct-horse-battery-staple",
    ],
)
async def test_without_a_valid_token_nothing_is_let_through(
    guarded: Guarded, authorization: str | None
) -> None:
    """Each refusal is a 401 that says how to do it right, and counted."""
    guarded.tokens.append(tokens.of_all_scopes("correct-horse-battery-staple"))
    for method, path in PATHS.values():
        assert await guarded.status(method, path, authorization) == 401
    assert guarded.refused == {Reason.UNAUTHORIZED: 3}


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/ready", "/webhooks/github"])
async def test_health_and_webhooks_need_no_token(guarded: Guarded, path: str) -> None:
    """Not even where there are none; what only begins like them does."""
    assert await guarded.status("GET", path) == 200
    assert await guarded.status("GET", "/healthy") == 401
    assert await guarded.status("GET", "/webhooksx") == 401


async def test_a_browser_may_give_the_token_as_a_password_to_look(guarded: Guarded) -> None:
    """The status page asks for it, and its link to the metrics takes it; what writes doesn't."""
    token, entry = made("operator", *Scope)
    guarded.tokens.append(entry)
    async with guarded.client.get("/") as response:
        assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
    basic = "Basic " + base64.b64encode(f"anybody:{token}".encode()).decode()
    assert await guarded.status("GET", "/", basic) == 200
    assert await guarded.status("POST", "/", basic) == 401
    assert await guarded.status("POST", "/v1/events", basic) == 401
    assert await guarded.status("GET", "/metrics", basic) == 200
    wrong = base64.b64encode(f"{token}:x".encode()).decode()
    assert await guarded.status("GET", "/", f"Basic {wrong}") == 401


def test_a_made_token_is_long_and_only_its_hash_is_kept() -> None:
    """The entry is TOML for the tokens file, which finds the token again."""
    token, entry = tokens.make("shop-ci", ["status:read", "events:write", "events:write"])
    assert len(token) >= 43
    assert token not in entry
    assert token != tokens.make("shop-ci", ["events:write"])[0]
    document = tomllib.loads(entry)
    assert document == {
        "tokens": [
            {
                "name": "shop-ci",
                "sha256": hashlib.sha256(token.encode()).hexdigest(),
                "scopes": ["events:write", "status:read"],
            }
        ]
    }
    found = tokens.find(token, tokens.parse(entry.encode()))
    assert found is not None
    assert found.name == "shop-ci"
    assert found.scopes == {Scope.EVENTS_WRITE, Scope.STATUS_READ}
    assert tokens.find(token + "x", tokens.parse(entry.encode())) is None
    assert tokens.find(token, []) is None


@pytest.mark.parametrize(
    ("name", "scopes", "complaint"),
    [
        ("a b", ["events:write"], "name is 'a b'"),
        ("", ["events:write"], "name is ''"),
        ("x" * 65, ["events:write"], "name is"),
        ("x", [], "scopes; expected an array"),
        ("x", ["event:write"], "is events:write meant"),
        ("x", ["admin"], "expected some of events:write"),
    ],
)
def test_a_token_without_a_sane_name_and_scope_is_not_made(
    name: str, scopes: list[str], complaint: str
) -> None:
    """The refusal says what was expected."""
    with pytest.raises(ValueError, match=complaint):
        tokens.make(name, scopes)


HASH = "0" * 64


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("x", "Expected"),
        ("[[token]]\nname = 'a'", "the key 'token'"),
        ("tokens = 'a'", "isn't an array of tables"),
        ("tokens = [1]", "isn't an array of tables"),
        ("[[tokens]]\nnam = 'a'", r"tokens\[0\].nam isn't known"),
        (f"[[tokens]]\nname = 1\nsha256 = '{HASH}'\nscopes = ['events:write']", "name is 1"),
        ("[[tokens]]\nname = 'a'\nsha256 = 'the-token-itself'\nscopes = ['events:write']", "SHA-256 as 64"),
        (f"[[tokens]]\nname = 'a'\nsha256 = '{HASH}'\nscopes = 'events:write'", "scopes; expected an array"),
        (f"[[tokens]]\nname = 'a'\nsha256 = '{HASH}'\nscopes = [1]", "scopes has 1"),
        (
            f"[[tokens]]\nname = 'a'\nsha256 = '{HASH}'\nscopes = ['status:read']\n" * 2,
            "two tokens of one name",
        ),
        (
            f"[[tokens]]\nname = 'a'\nsha256 = '{HASH}'\nscopes = ['status:read']\n"
            f"[[tokens]]\nname = 'b'\nsha256 = '{HASH}'\nscopes = ['status:read']\n",
            "two tokens of one hash",
        ),
    ],
)
def test_a_tokens_file_that_says_something_odd_is_refused(content: str, complaint: str) -> None:
    """What is wrong is named; what may be a token by mistake isn't shown."""
    with pytest.raises(ValueError, match=complaint) as refused:
        tokens.parse(content.encode())
    assert "the-token-itself" not in str(refused.value)


def test_an_empty_tokens_file_lets_nobody_in() -> None:
    """It is a valid one."""
    assert tokens.parse(b"# none yet\n") == ()


def test_the_single_token_and_a_file_of_tokens_are_valid_together(tmp_path: Path) -> None:
    """Without either nobody is asked; an empty file lets in whoever has the single token alone."""
    assert tokens.source(None, None) is None
    file = tmp_path / "tokens.toml"
    token, entry = tokens.make("shop-ci", ["events:write"])
    file.write_text(entry)
    valid = tokens.source("correct-horse-battery-staple", file)
    assert valid is not None
    assert [found.name for found in valid()] == ["token", "shop-ci"]
    assert tokens.find(token, valid()) is not None
    only = tokens.source("correct-horse-battery-staple", None)
    assert only is not None
    assert tokens.find(token, only()) is None
    with pytest.raises(OSError, match="No such file"):
        tokens.source(None, tmp_path / "tokens.none")
