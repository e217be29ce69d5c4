"""`GET /schemas/`: JSON Schemas of the `data` of AnsFlow's own events, made from their descriptions.

Source: https://json-schema.org/draft/2020-12
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from aiohttp import web

from ansflow_gateway.domain.ansflow_events import DATA, Data
from ansflow_gateway.domain.events import EventType

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
CONTENT_TYPE: Final = "application/schema+json"
PATH: Final = "/schemas/"
SUFFIX: Final = ".json"


def data_schema(description: type[Data]) -> dict[str, Any]:
    """Make the schema of one description.

    Args:
        description: What the `data` of a type of event says.

    Returns:
        The schema, without `$schema` and `$id`, and without references.
    """
    (schema,), components = msgspec.json.schema_components([description])
    inlined: dict[str, Any] = _inlined(schema, components)
    return inlined


def _inlined(schema: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, components) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components)
    # msgspec forbids unknown members for the fast way's sake; the gateway as a whole lets them be.
    return {
        name: _inlined(value, components)
        for name, value in schema.items()
        if not (name == "additionalProperties" and value is False)
    }


def path_of(event_type: EventType) -> str:
    """Tell where the schema of a type is served.

    Args:
        event_type: One of AnsFlow's own types.

    Returns:
        The path.
    """
    return f"{PATH}{event_type}{SUFFIX}"


SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        event_type.value: {
            "$schema": DIALECT,
            "$id": f"urn:ansflow:schema:{event_type}",
            **data_schema(description),
            "title": f"data of {event_type}",
        }
        for event_type, description in DATA.items()
    }
)
"""The schemas by type."""

_RENDERED: Final = {
    event_type: msgspec.json.format(msgspec.json.encode(schema)) for event_type, schema in SCHEMAS.items()
}
_INDEX: Final = msgspec.json.format(
    msgspec.json.encode({"schemas": {event_type.value: path_of(event_type) for event_type in DATA}})
)


async def get_schemas(_: web.Request) -> web.Response:
    """Answer with the paths of all schemas, by type."""
    return web.Response(body=_INDEX, content_type="application/json")


async def get_schema(request: web.Request) -> web.Response:
    """Answer with the schema of a type."""
    try:
        body = _RENDERED[request.match_info["type"]]
    except KeyError as error:
        raise web.HTTPNotFound from error
    return web.Response(body=body, content_type=CONTENT_TYPE)


def routes() -> list[web.RouteDef]:
    """Make the routes.

    Returns:
        The index of schemas, and each schema.
    """
    return [web.get(PATH, get_schemas), web.get(PATH + "{type}" + SUFFIX, get_schema)]
