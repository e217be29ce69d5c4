"""Every cell of the matrix: N requests are N spans and a count of N, under the right routes and statuses."""

from collections import Counter
from collections.abc import Sequence

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from matrix.cells import DJANGO_CELLS, FASTAPI_CELLS, Cell
from matrix.runs import CONNECTIONS, MESSAGES, Run, Sent, run_cell, sums

FASTAPI = (
    Sent("/items/7", 40, 200, "/items/{item_id}"),
    Sent("/items/seven", 3, 422, "/items/{item_id}"),
    Sent("/threaded/7", 5, 200, "/threaded/{item_id}"),
    Sent("/v1/shops/3/orders/4", 6, 200, "/v1/shops/{shop_id}/orders/{order_id}"),
    Sent("/mounted/things/1", 7, 200, "/mounted/things/{thing_id}"),
    Sent("/broken", 3, 500, "/broken"),
    Sent("/stream", 2, 200, "/stream"),
    Sent("/nowhere", 4, 404),
    Sent("/health/live", 9, 200, recorded=False),
)

DJANGO = (
    Sent("/items/7", 40, 200, "/items/<int:item_id>"),
    Sent("/asynchronous/7", 5, 200, "/asynchronous/<int:item_id>"),
    Sent("/shops/3/orders/4", 6, 200, "/shops/<int:shop_id>/orders/<int:order_id>"),
    Sent("/archive/2026/", 7, 200, "/archive/<year>/"),
    Sent("/broken", 3, 500, "/broken"),
    Sent("/stream", 2, 200, "/stream"),
    Sent("/nowhere", 4, 404),
    Sent("/items/8", 3, 400, host="elsewhere.example"),
    Sent("/health/live", 9, 200, recorded=False),
)

ROOM = "/rooms/{room}"
DJANGO_ROOM = "/rooms/<str:room>"


def sent_to(cell: Cell) -> Sequence[Sent]:
    """Give the requests that a cell's application is sent."""
    return FASTAPI if cell in FASTAPI_CELLS else DJANGO


def expected(cell: Cell) -> Counter[tuple[str, int]]:
    """Give what has to be recorded of them, by route and status."""
    recorded: Counter[tuple[str, int]] = Counter()
    for kind in sent_to(cell):
        if kind.recorded:
            recorded[kind.route, kind.status] += kind.times
    return recorded


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(cell, id=cell.name, marks=pytest.mark.matrix) for cell in FASTAPI_CELLS + DJANGO_CELLS
    ],
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a cell."""
    return run_cell(request.param, sent_to(request.param), tmp_path_factory.mktemp("run"))


def test_every_request_is_counted_once(run: Run) -> None:
    """N requests of a route with a status are a duration count of N, summed over workers; health has none."""
    assert run.counted() == expected(run.cell), run.output


def test_every_request_is_one_server_span(run: Run) -> None:
    """N requests are N SERVER spans, flushed at SIGTERM; there is no other span, of a second owner, say."""
    assert run.traced() == expected(run.cell), run.output
    assert {span.kind for span in run.received.spans()} == {Span.SPAN_KIND_SERVER}


def test_every_websocket_message_is_counted(run: Run) -> None:
    """N connections and M messages are N and M, none is active afterwards; a connection is one span."""
    if not run.cell.server.websockets:
        pytest.skip("the server has no WebSockets")
    room = ("endpoint", ROOM if run.cell in FASTAPI_CELLS else DJANGO_ROOM)
    assert sums(run.received, "ansflow.websocket.connections") == {(room,): CONNECTIONS}
    assert sums(run.received, "ansflow.websocket.connections.active") == {(room,): 0}
    messages = CONNECTIONS * MESSAGES
    assert sums(run.received, "ansflow.websocket.messages") == {
        (("direction", "received"), room): messages,
        (("direction", "sent"), room): messages,
    }
    assert sums(run.received, "ansflow.websocket.disconnections") == {(("code", "1000"), room): CONNECTIONS}
    assert run.received.server_spans()[f"WS {room[1]}"] == CONNECTIONS, run.received.server_spans()


def test_the_server_starts_without_a_word(run: Run) -> None:
    """No instrumentation fails to load, whatever the framework's version."""
    assert "the application runs on without it" not in run.output
