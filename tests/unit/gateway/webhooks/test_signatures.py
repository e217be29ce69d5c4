"""Signatures: the published vectors pass, and nothing near them does."""

import base64
import hmac
from collections.abc import Mapping, Sequence

import pytest
from ansflow_gateway.domain.rejection import Reason, RejectedError
from ansflow_gateway.receivers.webhooks.signatures import (
    SKEW_S,
    verify_github,
    verify_gitlab,
    verify_jenkins,
    verify_standard,
)
from ansflow_gateway.web.secrets import signing_key
from hypothesis import given
from hypothesis import strategies as st

SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
DIGEST = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
SIGNED = {"x-hub-signature-256": f"sha256={DIGEST}"}
OTHER = b"another secret, valid as well"

NOW = 1_800_000_000.0
KEY = signing_key("whsec_" + base64.b64encode(bytes(range(32))).decode())
# The example of the Standard Webhooks project's own documentation.
PUBLISHED_KEY = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
PUBLISHED = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
PUBLISHED_BODY = b'{"test": 2432232314}'


def github_takes(headers: Mapping[str, str], body: bytes, *secrets: bytes) -> bool:
    """Tell whether a delivery of GitHub's is taken; it is refused for its signature alone."""
    try:
        verify_github(headers, body, secrets)
    except RejectedError as error:
        return error.rejection.reason is not Reason.INVALID_SIGNATURE
    return True


def signed(body: bytes, key: bytes, at: float = NOW, message: str = "msg-1") -> dict[str, str]:
    """Sign a body as Standard Webhooks has it."""
    timestamp = str(int(at))
    digest = hmac.digest(key, f"{message}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def standard_takes(headers: Mapping[str, str], body: bytes, *keys: bytes, now: float = NOW) -> bool:
    """Tell whether a signed delivery is taken."""
    try:
        verify_standard(headers, body, keys, now)
    except RejectedError as error:
        return error.rejection.reason is not Reason.INVALID_SIGNATURE
    return True


def test_the_vector_that_github_publishes_is_taken() -> None:
    """Its secret, body and signature fit together; the prefix and the header's name are needed."""
    assert github_takes(SIGNED, BODY, SECRET)
    assert not github_takes({"x-hub-signature-256": DIGEST}, BODY, SECRET)
    assert not github_takes({"x-hub-signature-256": f"sha1={DIGEST}"}, BODY, SECRET)
    assert not github_takes({"x-hub-signature": f"sha256={DIGEST}"}, BODY, SECRET)
    assert not github_takes({}, BODY, SECRET)
    assert not github_takes({"x-hub-signature-256": ""}, BODY, SECRET)


def test_every_flipped_bit_of_body_and_signature_is_refused() -> None:
    """No bit of either may differ."""
    for position in range(len(BODY) * 8):
        flipped = bytearray(BODY)
        flipped[position // 8] ^= 1 << position % 8
        assert not github_takes(SIGNED, bytes(flipped), SECRET)
    signature = SIGNED["x-hub-signature-256"].encode()
    for position in range(len(signature) * 8):
        changed = bytearray(signature)
        changed[position // 8] ^= 1 << position % 8
        header = changed.decode("utf-8", "surrogateescape")  # as aiohttp decodes headers
        assert not github_takes({"x-hub-signature-256": header}, BODY, SECRET)


def test_two_secrets_are_valid_while_they_are_changed() -> None:
    """Either of the two is enough, in any order; a third isn't, and without a secret nothing is."""
    assert github_takes(SIGNED, BODY, SECRET, OTHER)
    assert github_takes(SIGNED, BODY, OTHER, SECRET)
    assert not github_takes(SIGNED, BODY, OTHER)
    assert not github_takes(SIGNED, BODY)


def test_the_vector_of_standard_webhooks_is_taken() -> None:
    """Its secret, headers and body fit together at its time."""
    assert standard_takes(PUBLISHED, PUBLISHED_BODY, PUBLISHED_KEY, now=1_614_265_330)
    assert not standard_takes(PUBLISHED, PUBLISHED_BODY + b" ", PUBLISHED_KEY, now=1_614_265_330)


@pytest.mark.parametrize(
    ("off", "taken"),
    [(0, True), (SKEW_S, True), (-SKEW_S, True), (SKEW_S + 1, False), (-SKEW_S - 1, False), (-1e9, False)],
)
def test_a_delivery_is_taken_within_five_minutes_of_its_time(off: float, taken: bool) -> None:
    """A stale one may be a recording played again; one from the future is no better."""
    assert standard_takes(signed(BODY, KEY, NOW + off), BODY, KEY) is taken


@pytest.mark.parametrize(
    "timestamp", ["", "soon", "1e9", "+1800000000", "١٨٠٠٠٠٠٠٠٠", "1800000000.0", " 1800000000"]
)
def test_a_timestamp_is_whole_seconds(timestamp: str) -> None:
    """Even one that is signed."""
    headers = signed(BODY, KEY)
    digest = hmac.digest(KEY, f"msg-1.{timestamp}.".encode() + BODY, "sha256")
    resigned = "v1," + base64.b64encode(digest).decode()
    headers |= {"webhook-timestamp": timestamp, "webhook-signature": resigned}
    assert not standard_takes(headers, BODY, KEY)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_of_the_three_headers_is_needed_and_signed(name: str) -> None:
    """Without one, or with another one, the delivery is refused."""
    headers = signed(BODY, KEY)
    assert standard_takes(headers, BODY, KEY)
    assert not standard_takes({key: value for key, value in headers.items() if key != name}, BODY, KEY)
    other = signed(BODY + b"!", KEY, NOW + 1, "msg-2")
    assert not standard_takes(headers | {name: other[name]}, BODY, KEY)


def test_several_signatures_may_stand_side_by_side() -> None:
    """A sender that changes keys signs with both; other versions are passed over; too many aren't read."""
    ours, theirs = (signed(BODY, key)["webhook-signature"] for key in (KEY, OTHER))
    headers = signed(BODY, KEY)
    assert standard_takes(headers | {"webhook-signature": f"v1a,xyz {theirs} {ours}"}, BODY, KEY)
    assert standard_takes(headers | {"webhook-signature": theirs}, BODY, KEY, OTHER)
    assert not standard_takes(headers | {"webhook-signature": f"v1a,{ours[3:]} {theirs}"}, BODY, KEY)
    assert not standard_takes(headers | {"webhook-signature": "v1,x " * 16 + ours}, BODY, KEY)


def test_gitlab_takes_a_token_or_a_signature_as_configured() -> None:
    """What is signed must be signed rightly: a good token doesn't make up for it."""
    tokens, keys = [b"token-of-the-hook"], [KEY]
    token = {"x-gitlab-token": "token-of-the-hook"}
    signature = signed(BODY, KEY)
    verify_gitlab(token, BODY, tokens, [], NOW)
    verify_gitlab(token | signature, BODY, tokens, [], NOW)
    verify_gitlab(signature, BODY, [], keys, NOW)
    verify_gitlab(token, BODY, tokens, keys, NOW)
    refused: Sequence[tuple[dict[str, str], list[bytes], list[bytes]]] = [
        ({}, tokens, []),
        ({"x-gitlab-token": "token-of-the-hooK"}, tokens, []),
        ({"x-gitlab-token": ""}, tokens, []),
        (signature, tokens, []),
        (token, [], keys),
        (token | signed(BODY, OTHER), tokens, keys),
        ({}, tokens, keys),
        ({}, [], []),
    ]
    for headers, valid_tokens, valid_keys in refused:
        with pytest.raises(RejectedError) as error:
            verify_gitlab(headers, BODY, valid_tokens, valid_keys, NOW)
        assert error.value.rejection.reason is Reason.INVALID_SIGNATURE


def test_jenkins_shows_its_token_in_one_of_three_ways() -> None:
    """As a header of its own, as a bearer, or as the password of its URL; never two secrets mixed up."""
    tokens = [b"jenkins-token-example", b"the-next-token-example"]
    basic = base64.b64encode(b"anybody:jenkins-token-example").decode()
    for headers in (
        {"x-jenkins-token": "jenkins-token-example"},
        {"x-jenkins-token": "the-next-token-example"},
        {"authorization": "Bearer jenkins-token-example"},
        {"authorization": "bearer  jenkins-token-example "},
        {"authorization": f"Basic {basic}"},
    ):
        verify_jenkins(headers, tokens)
    for headers in (
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer jenkins-token-exampl"},
        {"authorization": "Digest jenkins-token-example"},
        {"authorization": " jenkins-token-example"},
        {"authorization": "Basic jenkins-token-example"},
        {"authorization": "Basic \udcff"},
        {"authorization": "Basic " + base64.b64encode(b"jenkins-token-example").decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff:x").decode()},
        {"x-jenkins-token": "wrong", "authorization": "Bearer jenkins-token-example"},
    ):
        with pytest.raises(RejectedError) as error:
            verify_jenkins(headers, tokens)
        assert error.value.rejection.reason is Reason.INVALID_SIGNATURE
        assert "jenkins-token-example" not in str(error.value)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "whsec_AAAA", "ä", "whsec_" + "A" * 100])
def test_a_signing_secret_is_a_key_in_base64(secret: str) -> None:
    """Anything else is no secret, and told so at the start."""
    with pytest.raises(ValueError, match="not "):
        signing_key(secret)


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=64), st.integers(0, 10**6))
def test_what_is_signed_is_taken_and_what_is_changed_is_not(body: bytes, key: bytes, place: int) -> None:
    """Any body, any secret: the true signature passes, one for a changed body doesn't."""
    right = {"x-hub-signature-256": "sha256=" + hmac.digest(key, body, "sha256").hex()}
    assert github_takes(right, body, key)
    changed = bytearray(body or b"\0")
    changed[place % len(changed)] ^= 1 + place % 255
    assert not github_takes(right, bytes(changed), key)
    assert standard_takes(signed(body, key), body, key)
    assert not standard_takes(signed(body, key), bytes(changed), key)
