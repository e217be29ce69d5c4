"""Which webhooks there are, and how the sender of each is verified."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from ansflow_gateway.receivers.webhooks import github, gitlab, jenkins, signatures
from ansflow_gateway.receivers.webhooks.translation import Delivery, Outcome

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"

Secrets = Callable[[], Sequence[bytes]]
"""Gives the secrets that are valid now; asked for each delivery, so that they can change."""

Verify = Callable[[Mapping[str, str], bytes], None]
"""Takes headers (by names in lower case) and the raw body; raises `RejectedError` for an unknown sender."""


@dataclass(frozen=True, slots=True)
class Hook:
    """The webhook of one CI system.

    Args:
        system: The CI system; the path is made of it.
        translate: Makes events of a delivery.
        content_types: Content types taken.
        enabled_by: The settings that enable it, for people.
    """

    system: str
    translate: Callable[[Delivery], Outcome]
    content_types: frozenset[str]
    enabled_by: str

    @property
    def path(self) -> str:
        """The path, such as `/webhooks/github`."""
        return "/webhooks/" + self.system


HOOKS: Final = (
    Hook(
        github.SYSTEM,
        github.translate,
        frozenset({JSON, FORM}),
        "--github-secret-file or ANSFLOW_GATEWAY_GITHUB_SECRET",
    ),
    Hook(
        gitlab.SYSTEM,
        gitlab.translate,
        frozenset({JSON}),
        "--gitlab-token-file, --gitlab-signing-secret-file or their ANSFLOW_GATEWAY_… twins",
    ),
    Hook(
        jenkins.SYSTEM,
        jenkins.translate,
        frozenset({JSON}),
        "--jenkins-token-file or ANSFLOW_GATEWAY_JENKINS_TOKEN",
    ),
)
"""All webhooks."""


def build_verifiers(
    *,
    github_secrets: Secrets | None,
    gitlab_tokens: Secrets | None,
    gitlab_signing_keys: Secrets | None,
    jenkins_tokens: Secrets | None,
    wall_clock: Callable[[], float],
) -> Mapping[str, Verify]:
    """Build what verifies the senders.

    There is no way to take webhooks unverified, not even on loopback: whatever runs on this host, a page in
    somebody's browser among it, can post to it, and what it says would count for good.

    Args:
        github_secrets: Secrets of GitHub's hooks; None where that hook isn't configured, like those below.
        gitlab_tokens: Secret tokens of GitLab's hooks.
        gitlab_signing_keys: Keys that GitLab's hooks sign with.
        jenkins_tokens: Tokens of Jenkins.
        wall_clock: Present time in seconds since the epoch.

    Returns:
        A verifier by each CI system that is configured.
    """

    def verify_github(headers: Mapping[str, str], body: bytes, secrets: Secrets) -> None:
        signatures.verify_github(headers, body, secrets())

    def verify_gitlab(headers: Mapping[str, str], body: bytes) -> None:
        tokens = gitlab_tokens() if gitlab_tokens else ()
        keys = gitlab_signing_keys() if gitlab_signing_keys else ()
        signatures.verify_gitlab(headers, body, tokens, keys, wall_clock())

    def verify_jenkins(headers: Mapping[str, str], _: bytes, tokens: Secrets) -> None:
        signatures.verify_jenkins(headers, tokens())

    verifiers: dict[str, Verify] = {}
    if github_secrets:
        verifiers[github.SYSTEM] = partial(verify_github, secrets=github_secrets)
    if gitlab_tokens or gitlab_signing_keys:
        verifiers[gitlab.SYSTEM] = verify_gitlab
    if jenkins_tokens:
        verifiers[jenkins.SYSTEM] = partial(verify_jenkins, tokens=jenkins_tokens)
    return MappingProxyType(verifiers)
