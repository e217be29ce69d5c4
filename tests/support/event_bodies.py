"""Bodies that fuzzing sends: events of all kinds, good, nearly good and broken."""

import json
from random import Random
from typing import Any

from ansflow_gateway.domain.ansflow_events import DATA
from hypothesis import strategies as st

RUN: dict[str, object] = {"run_id": "r-1", "pipeline": "build", "project": "shop"}
WHOLE: dict[str, dict[str, object]] = {
    "dev.ansflow.pipeline.run.queued.v1": {**RUN, "queued_at": "2026-01-31T12:00:00Z"},
    "dev.ansflow.pipeline.run.started.v1": RUN | {"attempt": 2, "url": "https://ci.example/1"},
    "dev.ansflow.pipeline.run.finished.v1": RUN | {"result": "failure", "duration_s": 2.5, "error_type": "E"},
    "dev.ansflow.user.activity.v1": {"action": "login", "user_type": "admin", "user_id": "u"},
    "dev.ansflow.integration.call.v1": {"integration_type": "slack", "status": "failed", "duration_s": 1},
    "dev.ansflow.project.usage.v1": {"project": "shop", "cpu_s": 0.5, "storage_bytes": 1e12},
    "dev.ansflow.websocket.activity.v1": {"endpoint": "/ws", "opened": 3, "closed": {"1000": 2, "1006": 1}},
}
"""A good `data` of each type."""

assert WHOLE.keys() == DATA.keys()

NAMES = sorted({name for description in DATA.values() for name in description.__struct_fields__})
ATTRIBUTES = [
    "time",
    "datacontenttype",
    "subject",
    "dataschema",
    "traceparent",
    "sequence",
    "Bad",
    "data_base64",
]

TEXTS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "x",
                "a" * 200,
                "a" * 201,
                "é",
                "a\x7f",
                "\x85",
                "\ufdd0",
                "\n",
                "\ud800",
                '"',
                "\\",
                "😀" * 200,
            ),
            *("2026-01-31T12:00:00Z", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00"),
            *("2026-01-31t12:00:00.1234567z", "2026-13-31T12:00:00Z", "0001-01-01T00:00:00+23:59"),
            *("2026-W05-6T12:00:00Z", "2026-01-31T24:00:00Z", "https://x", "javascript:alert(1)"),
            *("application/json", "text/xml", "success", "1000", "1000\n"),
        ]
    ),
    st.text(max_size=8),
)
NUMBERS = st.one_of(
    st.sampled_from([0, -0.0, -1, 1, 1.0, 2.5, 1e9, 1e9 + 1, 1e18, 1e19, 10**30, 10**400, 1e308, True]),
    st.floats(),
    st.integers(),
)
VALUES = st.one_of(
    TEXTS,
    NUMBERS,
    st.none(),
    st.lists(st.none(), max_size=2),
    st.dictionaries(TEXTS, NUMBERS, max_size=3),
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an event, with some of its members changed, added or taken away."""
    event_type = draw(st.sampled_from(sorted(WHOLE)))
    data = dict(WHOLE[event_type])
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "e",
        "source": "/s",
        "type": event_type,
        "data": data,
    }
    changes = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 9), VALUES), max_size=3))
    for in_data, what, value in changes:
        place = data if in_data else event
        names = NAMES if in_data else ATTRIBUTES
        if what == 0 and place:
            del place[draw(st.sampled_from(sorted(place)))]
        elif what < 5 and place:
            place[draw(st.sampled_from(sorted(place)))] = value
        else:
            place[draw(st.sampled_from(names))] = value
    return event


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw the body of an event, often in a batch, some of its texts escaped or not even UTF-8."""
    whole: object = draw(events())
    if draw(st.booleans()):
        whole = [whole, draw(events())]
    return json.dumps(whole, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


_TOKENS = [
    b'"id":"e",',
    b"NaN",
    b"\t",
    b"\x7f",
    b"\\u0000",
    b"1e999",
    b"null",
    b"\xc2\x85",
    b"[" * 20,
    b"0",
    b'"',
]


def mutated(body: bytes, chance: Random) -> bytes:
    """Change some bytes: delete or replace them, put a token in, or repeat a member."""
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.randrange(12))
    match chance.randrange(4):
        case 0:
            return body[:start] + body[end:]
        case 1:
            return body[:start] + chance.randbytes(chance.randrange(4)) + body[end:]
        case 2:
            return body[:start] + chance.choice(_TOKENS) + body[start:]
    comma = body.find(b",", start)
    later = body.find(b",", comma + 1)
    return body[:later] + body[comma:] if 0 <= comma < later else body + body[start:end]
