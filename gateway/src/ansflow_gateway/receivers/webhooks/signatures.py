"""Who sent a webhook: signatures over the raw body, and tokens; all compared in constant time.

Each function takes the secrets that are valid now: two of them while they are being changed. It gives back
nothing, or raises; nothing in what it says helps a sender to guess.

Sources: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries,
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md,
https://docs.gitlab.com/user/project/integrations/webhooks/
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

from ansflow_gateway.domain.rejection import Reason, RejectedError, Rejection

SKEW_S: Final = 300
"""Furthest that a signed time may be from the gateway's clock, in seconds, either way: an older delivery may
be replayed by whoever recorded it."""

MAX_SIGNATURES: Final = 16
"""Most signatures of one delivery that are looked at."""

_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


def verify_github(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes]) -> None:
    """Verify `X-Hub-Signature-256`.

    Args:
        headers: Headers by their names in lower case.
        body: The body as it came.
        secrets: The hook's secrets that are valid.

    Raises:
        RejectedError: `invalid_signature`.
    """
    name = "x-hub-signature-256"
    given = headers.get(name)
    if given is None:
        raise _refused(name, "sha256= and the body's HMAC", "nothing")
    if not _any_equal([given], ["sha256=" + hmac.digest(key, body, "sha256").hex() for key in secrets]):
        raise _refused(name, "sha256= and the body's HMAC", "a signature that isn't valid")


def verify_gitlab(
    headers: Mapping[str, str],
    body: bytes,
    tokens: Sequence[bytes],
    signing_keys: Sequence[bytes],
    now: float,
) -> None:
    """Verify `X-Gitlab-Token`, or the signature where there is one and a key for it.

    A delivery that is signed must be signed rightly, whatever token it carries.

    Args:
        headers: Headers by their names in lower case.
        body: The body as it came.
        tokens: The secret tokens that are valid.
        signing_keys: The signing keys that are valid, see `web.secrets.signing_key`.
        now: The present time, in seconds since the epoch.

    Raises:
        RejectedError: `invalid_signature`.
    """
    if signing_keys and ("webhook-signature" in headers or not tokens):
        verify_standard(headers, body, signing_keys, now)
        return
    name = "x-gitlab-token"
    given = headers.get(name)
    if given is None:
        raise _refused(name, "the hook's secret token", "nothing")
    if not _any_equal([given], tokens):
        raise _refused(name, "the hook's secret token", "one that isn't valid")


def verify_standard(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float) -> None:
    """Verify a Standard Webhooks signature: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

    Args:
        headers: Headers by their names in lower case.
        body: The body as it came.
        keys: The signing keys that are valid, see `web.secrets.signing_key`.
        now: The present time, in seconds since the epoch.

    Raises:
        RejectedError: `invalid_signature`.
    """
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not headers.get(name):
            raise _refused(name, "the three headers of a signed webhook", "nothing")
    timestamp = headers["webhook-timestamp"]
    signed = b".".join((_bytes(headers["webhook-id"]), _bytes(timestamp), body))
    wanted = ["v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    if not _any_equal(headers["webhook-signature"].split()[:MAX_SIGNATURES], wanted):
        raise _refused("webhook-signature", "v1, and the HMAC in base64", "none that is valid")
    # After the signature, so that only who knows the key learns what the gateway's clock says.
    if not _TIMESTAMP.fullmatch(timestamp) or abs(int(timestamp) - now) > SKEW_S:
        raise _refused("webhook-timestamp", f"a time within {SKEW_S} s of the gateway's", timestamp[:20])


def verify_jenkins(headers: Mapping[str, str], tokens: Sequence[bytes]) -> None:
    """Verify a token, which Jenkins doesn't sign with.

    The Notification plugin knows no headers of one's own; it makes `Authorization: Basic` of what stands
    before the host in the endpoint's URL (`https://jenkins:TOKEN@gateway/webhooks/jenkins`, as a credential).
    Other senders set `Authorization: Bearer TOKEN` or `X-Jenkins-Token: TOKEN`.

    Args:
        headers: Headers by their names in lower case.
        tokens: The tokens that are valid.

    Raises:
        RejectedError: `invalid_signature`.
    """
    given = headers.get("x-jenkins-token")
    if given is None:
        given = _credentials_token(headers.get("authorization", ""))
    if not given:
        raise _refused("authorization", "Bearer and the token", "nothing")
    if not _any_equal([given], tokens):
        raise _refused("authorization", "Bearer and the token", "one that isn't valid")


def _any_equal(given: Sequence[str], wanted: Sequence[str] | Sequence[bytes]) -> bool:
    found = False
    for one in wanted:
        expected = one if isinstance(one, bytes) else one.encode()
        for other in given:
            # No short cut: the time tells neither which pair was equal nor how many there are.
            found |= hmac.compare_digest(_bytes(other), expected)
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # as aiohttp decoded it


def _credentials_token(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            return _basic_password(credentials.strip())
    return ""


def _basic_password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _refused(field: str, expected: str, got: str) -> RejectedError:
    return RejectedError(Rejection(Reason.INVALID_SIGNATURE, field, expected, got))
