"""Secrets out of settings or files: two of them may be valid at a time, so that they can be changed."""

import base64
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ansflow_gateway.web.reloading import Reloaded

MAX_VALID: Final = 2
"""Most secrets that are valid at a time: the present one and the one before."""

SIGNING_PREFIX: Final = "whsec_"
"""What a Standard Webhooks secret begins with; base64 follows."""

_SECRET: Final = re.compile(r"[\x20-\x7e]{16,512}", re.ASCII)

Decode = Callable[[str], bytes]
"""Makes a key of a secret's text; raises ValueError where it is none."""


@dataclass(frozen=True, slots=True)
class SecretSetting:
    """Where a secret comes from.

    Args:
        text: The secret itself, and on a second line one that is valid too; None where a file has them.
        file: The file that holds such lines, and is read again when it changes.
    """

    text: str | None
    file: Path | None

    def source(
        self, decode: Decode = str.encode, clock: Callable[[], float] = time.monotonic
    ) -> Callable[[], Sequence[bytes]]:
        """Make what gives the secrets that are valid now.

        Args:
            decode: Makes a key of a secret's text.
            clock: Present time in seconds, monotonic.

        Returns:
            A function without arguments.

        Raises:
            OSError: The file can't be read.
            ValueError: This is no secret.
        """
        if self.file is not None:
            return Reloaded([self.file], lambda content: parse(content, decode), clock)
        secrets = parse((self.text or "").encode(), decode)
        return lambda: secrets


def parse(content: bytes, decode: Decode = str.encode) -> Sequence[bytes]:
    """Read secrets.

    Args:
        content: One or two lines of 16 to 512 printable ASCII characters; space around them doesn't count.
        decode: Makes a key of a secret's text.

    Returns:
        The keys, in their order.

    Raises:
        ValueError: There is none, or one that can't be used; the text doesn't hold it.
    """
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    secrets = [line for line in lines if line]
    if not 1 <= len(secrets) <= MAX_VALID:
        raise ValueError(f"{len(secrets)} secrets, not one or two lines")
    if not all(_SECRET.fullmatch(secret) for secret in secrets):
        raise ValueError("not 16 to 512 printable ASCII characters a line")
    return tuple(decode(secret) for secret in secrets)


def signing_key(secret: str) -> bytes:
    """Decode a Standard Webhooks secret.

    Args:
        secret: `whsec_` and 24 to 64 bytes in base64; the prefix may be left out.

    Returns:
        The key.

    Raises:
        ValueError: It is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except ValueError as error:
        raise ValueError("not base64") from error
    if not 24 <= len(key) <= 64:
        raise ValueError("not 24 to 64 bytes")
    return key
