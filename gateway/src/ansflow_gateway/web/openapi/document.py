"""The whole OpenAPI document, and its route."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from ansflow_gateway import __version__
from ansflow_gateway.web.openapi import events, parts, reading, webhooks
from ansflow_gateway.web.schemas import DIALECT

PATH: Final = "/openapi.json"

PATHS: Final[Mapping[str, Mapping[str, Any]]] = {**events.PATHS, **webhooks.PATHS, **reading.PATHS}
"""Each endpoint; a test compares them with the routes."""

DOCUMENT: Final[Mapping[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "AnsFlow Observability Gateway",
        "version": __version__,
        "description": "Takes events and webhooks in, counts each once, and gives out metrics and traces. "
        "What GET answers, HEAD answers without the body. Errors of HTTP itself, such as 405, 417 and, after "
        "which the connection ends, 400, aren't listed at each operation.",
        "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    },
    "jsonSchemaDialect": DIALECT,
    "paths": PATHS,
    "components": {
        "schemas": {**events.SCHEMAS, **webhooks.SCHEMAS, **reading.SCHEMAS, **parts.SCHEMAS},
        "headers": parts.HEADERS,
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of the gateway's, with the scope that is named; none is needed where "
                "none is set.",
            },
            "basic": {
                "type": "http",
                "scheme": "basic",
                "description": "The same token as the password of any user, for browsers.",
            },
            **webhooks.SECURITY_SCHEMES,
        },
    },
}
"""The document."""

_RENDERED: Final = msgspec.json.format(msgspec.json.encode(DOCUMENT))


async def get_openapi(_: web.Request) -> web.Response:
    """Answer with the document."""
    return web.Response(body=_RENDERED, content_type="application/json")


def routes() -> list[web.RouteDef]:
    """Make the route.

    Returns:
        It.
    """
    return [web.get(PATH, get_openapi)]
