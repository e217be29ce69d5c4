"""Regular expressions in the environment: a mistyped one is one warning, and no failed request."""

import re
from pathlib import Path

import pytest
from ansflow_instrumentation.configuration.expressions import drop_bad_expressions
from support.instrumented_service import StartService
from support.otlp_receiver import OtlpReceiver

CAPTURE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"


@pytest.mark.parametrize(
    ("variable", "value", "left"),
    [
        (f"{CAPTURE}_SERVER_REQUEST", "*", ".*"),
        (f"{CAPTURE}_CLIENT_RESPONSE", "x-tenant, *token ,accept", "x-tenant,accept"),
        (f"{CAPTURE}_SERVER_RESPONSE", "x-tenant,accept.*", "x-tenant,accept.*"),
        ("OTEL_PYTHON_EXCLUDED_URLS", "/a(", None),
        ("OTEL_PYTHON_AIOHTTP_CLIENT_EXCLUDED_URLS", "/a(,/b", "/b"),
        # Right by itself, and wrong in the list, which is compiled as one expression.
        ("OTEL_PYTHON_HTTPX_EXCLUDED_URLS", "/a,(?i)/b", "/a"),
        ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "", ""),
        ("SHOP_EXCLUDED_URLS", "/a(", "/a("),
    ],
)
def test_what_is_no_expression_is_taken_out(variable: str, value: str, left: str | None) -> None:
    """The others of a list stay; `*` is everything; a list that is left empty is no list."""
    env = {variable: value}
    drop_bad_expressions(env)
    assert env.get(variable) == left


def test_a_mistyped_name_of_a_secret_hides_all(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody knows which headers were meant, so none is sent in the clear."""
    env = {f"{CAPTURE}_SANITIZE_FIELDS": "authorization,*token"}
    drop_bad_expressions(env)
    assert env == {f"{CAPTURE}_SANITIZE_FIELDS": "authorization,.*"}
    assert [record.getMessage() for record in caplog.records] == [
        f"{CAPTURE}_SANITIZE_FIELDS: '*token' is ignored, and every captured header is hidden; expected a "
        "regular expression (nothing to repeat at position 0)"
    ]


def test_a_service_answers_whatever_is_mistyped(
    start: StartService, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Requests are answered and recorded, and each bad item is one warning that names it."""
    service = start(
        "uvicorn",
        "fastapi_shop.main:app",
        "--port",
        "{port}",
        variables={
            f"{CAPTURE}_SERVER_REQUEST": "*token,x-tenant",
            f"{CAPTURE}_SERVER_RESPONSE": "*",
            f"{CAPTURE}_SANITIZE_FIELDS": "*",
            "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "/a(",
        },
    )
    assert service.get("/items/1", headers={"x-tenant": "blue"}).status == 200
    output = service.stop()
    assert re.findall(r"([A-Z_]+): ('.+') is ignored; expected a regular expression", output) == [
        (f"{CAPTURE}_SERVER_REQUEST", "'*token'"),
        ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "'/a('"),
    ]
    (duration,) = receiver.durations()
    assert duration.point.count == 1
