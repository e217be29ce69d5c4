"""A health check that calls another service leaves no span; the same call in a counted request does."""

from collections import Counter

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.instrumented_service import StartService
from support.otlp_receiver import OtlpReceiver

UVICORN = ("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
GUNICORN = ("gunicorn", "django_shop.wsgi:application", "--bind", "127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("command", "check"), [(UVICORN, "/health/ready"), (GUNICORN, "/health/live")], ids=["fastapi", "django"]
)
def test_calls_of_an_excluded_request_are_not_traced(
    start: StartService, receiver: OtlpReceiver, command: tuple[str, ...], check: str
) -> None:
    """Of two requests that make the same call, the excluded one leaves its log record only."""
    service = start(*command, variables={"SHOP_BACKEND_URL": receiver.endpoint})
    assert service.get(check).status == 200
    assert service.get("/checkout").status == 200
    service.stop()
    kinds = Counter(span.kind for span in receiver.spans())
    assert kinds == {Span.SPAN_KIND_SERVER: 1, Span.SPAN_KIND_CLIENT: 1}
    assert len({span.trace_id for span in receiver.spans()}) == 1
    assert receiver.requests_counted().total() == 1
    asked = [r for r in receiver.log_records() if r.body.string_value == "the backend is asked"]
    assert len(asked) == 2
