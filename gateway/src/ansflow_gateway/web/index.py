"""`GET /`: what is here."""

from typing import Final

from aiohttp import web

VERSION: Final = web.AppKey("version", str)
"""The gateway's version."""

ENDPOINTS: Final = {
    "POST /v1/events": "take CloudEvents 1.0 in, as application/cloudevents+json or a batch of them",
    "POST /webhooks/github": "take GitHub's webhooks in, signed",
    "POST /webhooks/gitlab": "take GitLab's webhooks in, signed or with a token",
    "POST /webhooks/jenkins": "take Jenkins' notifications in, with a token",
    "GET /": "the status page, for browsers",
    "GET /status/events": "what changes on the status page, as server-sent events",
    "GET /metrics": "metrics as Prometheus text or OpenMetrics",
    "GET /openapi.json": "what all of these take and answer, as OpenAPI",
    "GET /schemas/": "JSON Schemas of the events' data",
    "GET /health/": "health with all checks, application/health+json",
    "GET /health/services": "health of the services that are probed",
    "GET /health/live": "whether the process answers",
    "GET /health/ready": "whether it can do its work",
}
"""What each endpoint is for."""


async def get_index(request: web.Request) -> web.Response:
    """Answer with a list of the endpoints."""
    return web.json_response(
        {"service": "ansflow-gateway", "version": request.app[VERSION], "endpoints": ENDPOINTS}
    )
