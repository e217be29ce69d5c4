"""CDEvents of several versions of the specification, and what they become."""

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ansflow_gateway.domain import cloudevents
from ansflow_gateway.domain.cloudevents import Unsupported
from ansflow_gateway.domain.events import Event, EventType, Payload
from ansflow_gateway.domain.identity import semantic_key
from ansflow_gateway.domain.rejection import RejectedError
from support.receiver import BATCH, Receiver

Golden = dict[str, Any]

GOLDEN: dict[str, Golden] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "cdevents").glob("*.json"))
}
AT = 1772445600.0  # 2026-03-02T10:00:00Z
SUPPORTED = {
    "pipelinerun": {"queued", "started", "finished"},
    "taskrun": {"started", "finished"},
    "change": {"merged"},
    "artifact": {"packaged"},
    "service": {"deployed", "upgraded", "rolledback"},
    "incident": {"detected", "reported", "resolved"},
}


def golden(name: str) -> Golden:
    """Copy a golden CloudEvent, to be changed."""
    event: Golden = copy.deepcopy(GOLDEN[name]["cloudevent"])
    return event


def retyped(name: str, event_type: str) -> Golden:
    """Copy a golden CloudEvent under another type."""
    event = golden(name)
    event["type"] = event["data"]["context"]["type"] = event_type
    return event


@pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN)
def test_a_golden_event_becomes_what_it_says(case: Golden) -> None:
    """Type, payload, identity and time are those written beside the event."""
    sent, expected = case["cloudevent"], case["expected"]
    payload = msgspec.convert(expected["payload"], Payload)
    assert cloudevents.parse(sent) == Event(
        sent["source"], sent["id"], EventType(expected["type"]), payload, AT
    )


def test_each_supported_type_has_a_golden_event() -> None:
    """No predicate is taken that isn't shown."""
    shown: dict[str, set[str]] = {}
    for case in GOLDEN.values():
        _, _, subject, predicate, *_ = case["cloudevent"]["type"].split(".")
        shown.setdefault(subject, set()).add(predicate)
    assert shown == SUPPORTED


@pytest.mark.parametrize("version", ["0.1.0", "0.2.7", "0.99.3", "0.3.0-draft"])
def test_any_minor_version_is_taken(version: str) -> None:
    """What a type says has kept its place through the minor versions."""
    parsed = cloudevents.parse(retyped("service-deployed", f"dev.cdevents.service.deployed.{version}"))
    assert isinstance(parsed, Event)


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("dev.cdevents.service.removed.0.2.0", "service"),
        ("dev.cdevents.service.published.0.2.0", "service"),
        ("dev.cdevents.change.created.0.3.0", "change"),
        ("dev.cdevents.build.queued.0.2.0", "build"),
        ("dev.cdevents.testsuiterun.finished.0.2.0", "testsuiterun"),
        ("dev.cdevents.service.deployed.1.0.0", "other"),
        ("dev.cdevents.novelty.made.0.1.0", "other"),
        ("dev.cdeventsx.mytool-thing.made.0.1.0", "other"),
    ],
)
def test_other_cdevents_are_valid_and_unsupported(event_type: str, kind: str) -> None:
    """The vocabulary beyond what is used, future and others' own types: named by a closed set of kinds."""
    event = retyped("service-deployed", event_type)
    assert cloudevents.parse(event) == Unsupported(event["id"], "cdevents", kind)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("pipelinerun-finished", "outcome"),
        ("taskrun-finished", "outcome"),
        ("taskrun-started", "pipelineRun"),
        ("change-merged", "repository"),
        ("artifact-packaged", "change"),
        ("incident-detected", "service"),
    ],
)
def test_what_leaves_out_an_optional_member_that_is_needed_is_unsupported(name: str, member: str) -> None:
    """The specification lets these be absent, so their sender is no worse for it; nothing is made up."""
    event = golden(name)
    del event["data"]["subject"]["content"][member]
    assert isinstance(cloudevents.parse(event), Unsupported)


@pytest.mark.parametrize(
    ("name", "path", "value", "field"),
    [
        ("pipelinerun-finished", ["subject"], None, "data.subject"),
        ("pipelinerun-finished", ["context"], "x", "data.context"),
        ("pipelinerun-finished", ["context", "id"], "another", "data.context.id"),
        ("pipelinerun-finished", ["context", "type"], "dev.cdevents.x.y.0.1.0", "data.context.type"),
        ("pipelinerun-finished", ["subject", "id"], 7, "data.subject.id"),
        ("pipelinerun-finished", ["subject", "content"], [], "data.subject.content"),
        ("pipelinerun-finished", ["subject", "content", "outcome"], "fine", "data.subject.content.outcome"),
        (
            "pipelinerun-finished",
            ["subject", "content", "pipelineName"],
            "a\n",
            "data.subject.content.pipelineName",
        ),
        ("taskrun-started", ["subject", "content", "pipelineRun"], {}, "data.subject.content.pipelineRun.id"),
        ("service-deployed", ["subject", "content", "environment"], None, "data.subject.content.environment"),
        ("service-deployed", ["subject", "id"], "s" * 201, "data.subject.id"),
        (
            "incident-detected",
            ["subject", "content", "service"],
            {"id": 1},
            "data.subject.content.service.id",
        ),
        ("pipelinerun-finished-error", ["context", "timestamp"], "soon", "data.context.timestamp"),
        ("pipelinerun-finished-error", ["context", "timestamp"], None, "data.context.timestamp"),
    ],
)
def test_what_is_not_what_its_type_says_is_refused_by_name(
    name: str, path: list[str], value: object, field: str
) -> None:
    """Each refusal names the member within the event."""
    event = golden(name)
    place = event["data"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(RejectedError) as refused:
        cloudevents.parse(event)
    assert refused.value.rejection.field == field


def test_an_incident_that_is_detected_and_reported_is_one() -> None:
    """Two systems tell of one beginning; its end is another fact."""
    detected, reported, resolved = (
        semantic_key(parsed)
        for predicate in ("detected", "reported", "resolved")
        if isinstance(parsed := cloudevents.parse(golden(f"incident-{predicate}")), Event)
    )
    assert detected == reported != resolved


async def test_unsupported_events_are_answered_counted_and_not_stored(receiver: Receiver) -> None:
    """In a batch they have a verdict of their own, which is no refusal; alone they are a 200."""
    removed = retyped("service-deployed", "dev.cdevents.service.removed.0.2.0")
    body = json.dumps([removed, golden("service-deployed"), {"id": "x"}]).encode()
    status, answer, _ = await receiver.post(body, BATCH)
    assert [item["verdict"] for item in answer["items"]] == ["unsupported", "accepted", "rejected"]
    assert (status, answer["unsupported"]) == (207, 1)
    status, answer, _ = await receiver.post(json.dumps(removed).encode(), "application/cloudevents+json")
    assert (status, answer) == (200, {"id": removed["id"], "verdict": "unsupported"})
    assert len(receiver.applied.events) == 1
    assert receiver.counted.counts == {
        ("unsupported", "cdevents", "service"): 2,
        ("accepted", "dev.cdevents.service"): 1,
        ("rejected", "missing"): 1,
    }
