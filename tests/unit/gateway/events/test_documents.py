"""The published schemas and the OpenAPI document say what the gateway does."""

import json
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from ansflow_gateway.domain import cloudevents
from ansflow_gateway.domain.ansflow_events import DATA
from ansflow_gateway.domain.rejection import RejectedError
from ansflow_gateway.web import openapi, schemas
from hypothesis import given, settings
from schemathesis.specs.openapi import definitions
from support.event_bodies import WHOLE, events
from support.receiver import Receiver


@pytest.mark.parametrize("event_type", WHOLE)
async def test_schemas_are_served_and_valid(receiver: Receiver, event_type: str) -> None:
    """Each type has a schema of 2020-12 that takes good data."""
    async with receiver.session.get(receiver.url + "/schemas/") as response:
        path = (await response.json())["schemas"][event_type]
    async with receiver.session.get(receiver.url + path) as response:
        assert response.content_type == "application/schema+json"
        schema = await response.json(content_type=None)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(WHOLE[event_type], schema, jsonschema.Draft202012Validator)


async def test_the_schema_of_an_unknown_type_is_not_found(receiver: Receiver) -> None:
    """No type, no schema."""
    async with receiver.session.get(receiver.url + "/schemas/x.json") as response:
        assert response.status == 404


@settings(max_examples=500, deadline=None, database=None)
@given(events())
def test_what_the_gateway_takes_the_schema_takes(event: dict[str, Any]) -> None:
    """A sender that follows the gateway's refusals follows the schema, too."""
    decoded = json.loads(json.dumps(event))
    try:
        cloudevents.parse(decoded)
    except (RejectedError, ValueError):
        return
    jsonschema.validate(decoded["data"], schemas.SCHEMAS[decoded["type"]], jsonschema.Draft202012Validator)


def test_the_document_is_valid_openapi() -> None:
    """It is as the meta-schema of OpenAPI 3.1 has it, and its own schemas are valid."""
    document = json.loads(json.dumps(dict(openapi.DOCUMENT)))
    jsonschema.Draft202012Validator(definitions.OPENAPI_31).validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert len(document["components"]["schemas"]) == len(DATA) + 3


def documented() -> set[tuple[str, str]]:
    """List methods and paths of the document."""
    return {
        (method.upper(), path)
        for path, operations in openapi.PATHS.items()
        for method in operations
        if method in {"get", "post"}
    }


def routed(app: web.Application) -> set[tuple[str, str]]:
    """List methods and paths of an application; HEAD comes with GET."""
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


async def test_each_route_of_the_receiver_is_documented(receiver: Receiver) -> None:
    """Events, schemas and the document itself."""
    assert routed(receiver.app) <= documented()
