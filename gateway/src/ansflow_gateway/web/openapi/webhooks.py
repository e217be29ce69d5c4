"""The OpenAPI document's part about webhooks. Of their bodies it tells what the gateway reads."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ansflow_gateway.domain.rejection import Reason
from ansflow_gateway.web.openapi.parts import (
    BODY_REFUSALS,
    JSON,
    JSON_OBJECT,
    LABEL,
    TEXT,
    Part,
    answer,
    failure,
    header,
    ref,
    refusals,
)

_FORM: Final = "application/x-www-form-urlencoded"
_NUMBER: Final = {"type": "integer", "minimum": 0}
_URL: Final = {"type": "string", "format": "uri", "maxLength": 2048}

SECURITY_SCHEMES: Final[Mapping[str, Any]] = {
    "githubSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Hub-Signature-256",
        "description": "`sha256=` and the HMAC of the body as it is before its compression.",
    },
    "gitlabToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Gitlab-Token",
        "description": "The hook's secret token.",
    },
    "standardWebhooks": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "https://www.standardwebhooks.com, with `webhook-id`, and `webhook-timestamp` within "
        "300 s of the gateway's time.",
    },
    "jenkinsToken": {"type": "apiKey", "in": "header", "name": "X-Jenkins-Token"},
    "jenkinsBearer": {"type": "http", "scheme": "bearer", "description": "The token of Jenkins."},
    "jenkinsBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "The token of Jenkins as the password of any user.",
    },
}
"""How the senders show who they are."""

SCHEMAS: Final[Mapping[str, Any]] = {
    "GithubDelivery": {
        "type": "object",
        "properties": {
            "action": LABEL,
            "repository": {
                "type": "object",
                "required": ["full_name", "html_url"],
                "properties": {"full_name": LABEL, "html_url": _URL},
            },
            "workflow_run": JSON_OBJECT,
            "workflow_job": JSON_OBJECT,
            "pull_request": JSON_OBJECT,
            "deployment": JSON_OBJECT,
            "deployment_status": JSON_OBJECT,
        },
    },
    "GitlabDelivery": {
        "type": "object",
        "required": ["object_kind"],
        "properties": {
            "object_kind": LABEL,
            "object_attributes": JSON_OBJECT,
            "project": {
                "type": "object",
                "required": ["web_url"],
                "properties": {"web_url": _URL, "path_with_namespace": LABEL},
            },
            "builds": {"type": "array", "maxItems": 2000, "items": JSON_OBJECT},
        },
    },
    "JenkinsNotification": {
        "type": "object",
        "required": ["build"],
        "properties": {
            "name": LABEL,
            "project": LABEL,
            "build": {
                "type": "object",
                "required": ["phase", "full_url", "number"],
                "properties": {
                    "phase": {"type": "string", "examples": ["QUEUED", "STARTED", "COMPLETED", "FINALIZED"]},
                    "full_url": {**_URL, "maxLength": 2032},
                    "number": _NUMBER,
                    "status": {"enum": ["SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"]},
                    "timestamp": {"type": "number", "minimum": 0},
                    "duration": {"type": "number", "minimum": 0},
                    "stages": {"type": "array", "maxItems": 500, "items": JSON_OBJECT},
                },
            },
        },
    },
    "DeliveryVerdict": {
        "title": "What became of a delivery",
        "oneOf": [
            {
                "type": "object",
                "required": ["verdict", "kind"],
                "properties": {"verdict": {"const": "unsupported"}, "kind": {"type": "string"}},
            },
            {
                "type": "object",
                "required": ["verdict", "items"],
                "properties": {
                    "verdict": {"enum": ["accepted", "duplicate", "spooled"]},
                    "items": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["id", "verdict"],
                            "properties": {
                                "id": {"type": "string"},
                                "verdict": {"enum": ["accepted", "duplicate", "spooled"]},
                            },
                        },
                    },
                },
            },
        ],
    },
}
"""Schemas of deliveries, and of what is answered to them."""

_GITHUB_HEADERS: Final = (
    header("X-GitHub-Event", TEXT, required=True),
    header("X-GitHub-Delivery", TEXT, "The delivery's id.", required=True),
)
_GITLAB_HEADERS: Final = (
    header("webhook-id", TEXT, "The delivery's id; of these three, the first that is there."),
    header("Idempotency-Key", TEXT),
    header("X-Gitlab-Event-UUID", TEXT),
    header("webhook-timestamp", {"type": "string", "pattern": "^[0-9]{1,12}$"}),
)


def _post(
    system: str, headers: Sequence[Part], contents: Mapping[str, Any], *schemes: str
) -> Mapping[str, Part]:
    return {
        "post": {
            "operationId": f"post{system}Webhook",
            "summary": f"Take a webhook of {system} in",
            "description": "What can't be stored at once is put aside, and counted later.",
            "security": [{scheme: []} for scheme in schemes],
            "parameters": [
                *headers,
                header("Content-Encoding", {"enum": ["gzip", "identity"]}, "How the body is coded."),
            ],
            "requestBody": {
                "required": True,
                "description": "At most 4 MiB, inflated too, and at most 16 levels deep.",
                "content": {content_type: {"schema": schema} for content_type, schema in contents.items()},
            },
            "responses": {
                "200": answer(
                    "It was known, says nothing, or isn't supported.", {JSON: ref("DeliveryVerdict")}
                ),
                "202": answer("Something of it is new, or was put aside.", {JSON: ref("DeliveryVerdict")}),
                **refusals(*BODY_REFUSALS, Reason.INVALID_SIGNATURE),
                "404": failure("No secret is set for this webhook: `detail` names the setting."),
                "503": failure("It could be neither stored nor put aside.", "Retry-After"),
            },
        }
    }


PATHS: Final[Mapping[str, Mapping[str, Part]]] = {
    "/webhooks/github": _post(
        "GitHub",
        _GITHUB_HEADERS,
        {
            JSON: ref("GithubDelivery"),
            _FORM: {
                "type": "object",
                "required": ["payload"],
                "properties": {"payload": {"type": "string", "contentMediaType": JSON}},
            },
        },
        "githubSignature",
    ),
    "/webhooks/gitlab": _post(
        "GitLab", _GITLAB_HEADERS, {JSON: ref("GitlabDelivery")}, "gitlabToken", "standardWebhooks"
    ),
    "/webhooks/jenkins": _post(
        "Jenkins",
        (),
        {JSON: ref("JenkinsNotification")},
        "jenkinsToken",
        "jenkinsBearer",
        "jenkinsBasic",
    ),
}
"""The paths, each with its operation."""
