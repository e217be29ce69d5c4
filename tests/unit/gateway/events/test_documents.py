"""The published schemas and the OpenAPI document say what the gateway does."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from ansflow_gateway.domain import cloudevents
from ansflow_gateway.domain.rejection import RejectedError
from ansflow_gateway.web import authorization, openapi, schemas
from ansflow_gateway.web.index import ENDPOINTS
from ansflow_gateway.web.status.assets import ASSETS
from ansflow_gateway.web.tokens import Scope
from hypothesis import given, settings
from schemathesis.specs.openapi import definitions
from support.event_bodies import WHOLE, events
from support.gateway import Gateway
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


OPERATIONS = {
    (method, path): operation
    for path, operations in openapi.PATHS.items()
    for method, operation in operations.items()
    if method != "parameters"
}
"""The document's operations, by method and path."""


def test_the_document_is_valid_openapi() -> None:
    """It is as the meta-schema of OpenAPI 3.1 has it, its own schemas are valid, and no reference dangles."""
    document = json.loads(json.dumps(dict(openapi.DOCUMENT)))
    jsonschema.Draft202012Validator(definitions.OPENAPI_31).validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    components = {
        f"#/components/{kind}/{name}": component
        for kind, named in document["components"].items()
        for name, component in named.items()
        if kind != "securitySchemes"
    }
    assert set(references(document)) == components.keys()


def references(part: object) -> Iterator[str]:
    """Give what a part of the document refers to."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)


def documented() -> set[tuple[str, str]]:
    """List methods and paths of the document; HEAD comes with GET."""
    given = {(method.upper(), path) for method, path in OPERATIONS}
    return given | {("HEAD", path) for method, path in given if method == "GET"}


def routed(app: web.Application) -> set[tuple[str, str]]:
    """List methods and paths of an application."""
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }


async def test_each_route_is_documented_and_nothing_else(gateway: Gateway) -> None:
    """The application's routes and the document's paths are the same."""
    assert routed(gateway.app) == documented()


async def test_a_route_that_is_not_documented_is_found() -> None:
    """The comparison sees whatever is added to an application."""
    app = web.Application()
    app.add_routes([*openapi.routes(), web.delete("/v1/events/{id}", schemas.get_schema)])
    assert routed(app) - documented() == {("DELETE", "/v1/events/{id}")}


def test_the_index_lists_what_is_documented() -> None:
    """But for the files of the page, and each schema by itself."""
    listed = {tuple(endpoint.split(" ")) for endpoint in ENDPOINTS}
    unlisted = {("GET", path) for path in ("/health", "/static/{name}", "/schemas/{type}.json")}
    assert listed | unlisted == {(method.upper(), path) for method, path in OPERATIONS}


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: str(part))
def test_each_operation_is_described_whole(method: str, path: str) -> None:
    """It has an id of its own, asks for what the gateway asks for, and each response has a schema."""
    operation = OPERATIONS[method, path]
    assert [each["operationId"] for each in OPERATIONS.values()].count(operation["operationId"]) == 1
    asked = {scheme: scopes for each in operation["security"] for scheme, scopes in each.items()}
    if any(path.startswith(prefix) for prefix in authorization.OPEN_PREFIXES):
        assert "bearer" not in asked
        assert ("403" in operation["responses"]) is False
    else:
        scope = authorization.SCOPES.get(path, Scope.STATUS_READ)
        assert set(map(tuple, asked.values())) == {(scope.value,)}
        assert ("basic" in asked) == (scope is not Scope.EVENTS_WRITE)
        assert {"401", "403"} <= operation["responses"].keys()
    for status, response in operation["responses"].items():
        assert response["content"]
        assert all("schema" in content for content in response["content"].values())
        types = set(response["content"])
        assert int(status) < 400 or types & {"application/problem+json", "application/health+json"}
        assert ("Retry-After" in response.get("headers", {})) == (
            status in {"429", "503"} and "application/health+json" not in types
        )


async def test_the_document_is_served(gateway: Gateway) -> None:
    """As it is, and each file of the page under the path that it gives."""
    async with gateway.session.get(gateway.url + openapi.PATH) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert await response.json() == json.loads(json.dumps(dict(openapi.DOCUMENT)))
    for path, asset in ASSETS.served.items():
        async with gateway.session.get(gateway.url + path) as response:
            assert response.status == 200
            assert asset.content_type in OPERATIONS["get", "/static/{name}"]["responses"]["200"]["content"]
