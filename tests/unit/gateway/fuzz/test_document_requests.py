"""Requests made of the OpenAPI document, as it wants them and not: each is answered as it says."""

import gzip
import json
import tomllib
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

import pytest
import requests
import schemathesis
from ansflow_gateway.web import openapi, tokens
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from support.fuzzing import GITLAB, JENKINS, SHARES, FuzzedGateway, fuzzed_gateway, github_signature
from support.raw_http import request

FUZZ_POSTS = SHARES["document"] // 8
"""Requests to each of four endpoints that take something in: such as it wants, and such as it doesn't."""

FUZZ_GETS = 60
"""Requests of each kind to each endpoint that only shows and takes a parameter."""

STREAM = "/status/events"
"""Has no end of its own, and so tests of its own."""

SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(dict(openapi.DOCUMENT))))
TAKING = [path for path, operations in openapi.PATHS.items() if "post" in operations]
SHOWING = [path for path, operations in openapi.PATHS.items() if "get" in operations and path != STREAM]
PREFERRED = [
    "gzip",
    "*",
    "text/html",
    "TEXT/*",
    "*/*",
    "application/openmetrics-text",
    ",",
    "",
    "\xff",
    "a" * 5000,
]
WEIGHTS = [
    "",
    ";q",
    ";q=nan",
    "; q=inf",
    ";q=-1",
    ";q=1e400",
    ";q=0",
    ";version=9",
    ';q="1"',
    ";escaping=\xff",
]

Pairs = list[tuple[str, str]]
CONNECTION = {"connection", "content-length", "transfer-encoding", "host"}
"""Headers that frame a request: other tests are about these."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FuzzedGateway, list[str]]]:
    """Give a gateway that asks for a token, and the tokens that it knows: for everything, and for a part."""
    folder = tmp_path_factory.mktemp("guarded")
    made = [tokens.make("all", tokens.Scope), tokens.make("part", [tokens.Scope.METRICS_READ])]
    file = folder / "tokens.toml"
    file.write_text("".join(entry for _, entry in made))
    assert len(tomllib.loads(file.read_text())["tokens"]) == len(made)
    with fuzzed_gateway(folder, f"--tokens-file={file}", f"--token={made[0][0]}x") as gateway:
        yield gateway, [token for token, _ in made]


def raw(case: "Case[Any]", chance: Random, token: str | None) -> tuple[str, bytes]:
    """Make a request's method and bytes of a case: coded as it says, signed mostly, with a token."""
    given = case.as_transport_kwargs(base_url="http://gateway")
    prepared = requests.Request(
        given["method"],
        given["url"],
        params=given.get("params"),
        headers=given["headers"],
        data=given.get("data"),
        json=given.get("json"),
        cookies=given.get("cookies"),
    ).prepare()
    assert prepared.body is None or isinstance(prepared.body, str | bytes)
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    headers: Pairs = [
        (name, value if isinstance(value, str) else value.decode("latin-1"))
        for name, value in prepared.headers.items()
        if name.lower() not in CONNECTION
    ]
    if body is not None:
        signature = _signature(case.operation.path, body)
        if dict(headers).get("Content-Encoding") == "gzip" and chance.randrange(4):
            body = gzip.compress(body)
        if signature and chance.randrange(5):
            headers = _replaced(headers, *signature)
    if token:
        headers = _replaced(headers, "Authorization", f"Bearer {token}")
    return str(prepared.method), request(str(prepared.method), prepared.path_url, headers, body)


def _signature(path: str, body: bytes) -> tuple[str, str] | None:
    match path.rpartition("/")[2]:
        case "github":
            return "X-Hub-Signature-256", github_signature(body)
        case "gitlab":
            return "X-Gitlab-Token", GITLAB
        case "jenkins":
            return "Authorization", f"Bearer {JENKINS}"
    return None


def _replaced(headers: Pairs, name: str, value: str) -> Pairs:
    return [*((other, given) for other, given in headers if other.lower() != name.lower()), (name, value)]


def send_all(gateway: FuzzedGateway, method: str, path: str, mode: GenerationMode, most: int) -> int:
    """Send requests made of the document; give their number."""
    before = gateway.requests

    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(SCHEMA[path][method].as_strategy(generation_mode=mode), st.integers(0, 2**32))
    def send(case: "Case[Any]", seed: int) -> None:
        chance = Random(seed)  # noqa: S311 - reproducible, not secret
        sent, data = raw(case, chance, None)
        gateway.exchange(sent, path, data, template=path)

    send()
    return gateway.requests - before


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("path", TAKING)
def test_what_is_made_for_an_endpoint_that_takes_is_answered_as_documented(
    fuzzed: FuzzedGateway, path: str, mode: GenerationMode
) -> None:
    """No 5xx, a documented answer, and exactly what it says has happened; the gateway shows all as before."""
    assert send_all(fuzzed, "POST", path, mode, FUZZ_POSTS) >= FUZZ_POSTS
    assert fuzzed.statuses[401] + fuzzed.statuses[422]
    fuzzed.look()
    fuzzed.check_counts()


@pytest.mark.parametrize("path", SHOWING)
def test_what_is_made_for_an_endpoint_that_shows_changes_nothing(fuzzed: FuzzedGateway, path: str) -> None:
    """Whatever its parameters: it is answered as documented, and leaves meters and journal as they were."""
    business = fuzzed.business()
    sent = send_all(fuzzed, "GET", path, GenerationMode.POSITIVE, FUZZ_GETS)
    if "{" in path:
        sent += send_all(fuzzed, "GET", path, GenerationMode.NEGATIVE, FUZZ_GETS)
    assert sent
    assert fuzzed.exchange("HEAD", path, request("HEAD", path), template=path).body == b""
    assert fuzzed.business() == business
    fuzzed.check_counts()


@pytest.mark.parametrize("path", ["/", "/metrics"])
@pytest.mark.parametrize("name", ["Accept", "Accept-Encoding"])
def test_whatever_a_client_prefers_it_is_shown_something(fuzzed: FuzzedGateway, path: str, name: str) -> None:
    """Weights that are no numbers, types that are none: what can't be read is as if it weren't there."""
    for preferred, weight in product(PREFERRED, WEIGHTS):
        sent = request("GET", path, [(name, preferred + weight)])
        assert fuzzed.exchange("GET", path, sent).status == 200


@pytest.mark.parametrize("path", [*TAKING, *SHOWING, STREAM])
def test_without_a_token_that_is_meant_for_it_nothing_is_taken_or_shown(
    guarded: tuple[FuzzedGateway, list[str]], path: str
) -> None:
    """No token, a wrong one: 401; one for something else: 403, each as documented, and nothing changes."""
    gateway, (whole, part) = guarded
    method = "POST" if path in TAKING else "GET"
    security = openapi.PATHS[path][method.lower()]["security"]
    needed = {scope for each in security for scopes in each.values() for scope in scopes}
    target = path.replace("{type}", "x").replace("{name}", "x")
    for credential in (None, "Bearer", "Bearer x", "Basic x", "Basic eDp4", f"Bearer {part}", "\xff \xff"):
        headers = [("Content-Type", "application/json"), ("ce-id", "x"), ("ce-type", "x")]
        headers += [("Authorization", credential)] if credential else []
        body = b"{}" if method == "POST" else None
        answer = gateway.exchange(method, target, request(method, target, headers, body), template=path)
        if not needed:
            assert answer.status in ({401} if path in TAKING else {200})
        elif credential == f"Bearer {part}":
            assert answer.status == (200 if needed == {"metrics:read"} else 403)
        else:
            assert answer.status == 401
    if path != STREAM:
        headers = [("Authorization", f"Bearer {whole}"), ("Content-Type", "application/cloudevents+json")]
        body = b"[]" if method == "POST" else None
        answer = gateway.exchange(method, target, request(method, target, headers, body), template=path)
        assert answer.status in ({401, 422} if path in TAKING else {200, 404})
    assert gateway.journal() == 0
