"""Good events: taken once, folded into the right meters."""

import asyncio

import pytest
from support.gateway import (
    BATCH,
    RUN_FINISHED,
    USER_ACTIVITY,
    Gateway,
    StartGateway,
    eventually,
    run_finished,
    series,
    user_activity,
)


async def test_a_finished_run_is_recorded_with_its_attributes(gateway: Gateway) -> None:
    """A good run becomes one duration, without error.type and without an error."""
    status, body = await gateway.send(run_finished(pipeline_type="deploy", duration_s=40))
    assert (status, body["verdict"]) == (202, "accepted")
    metrics = gateway.collect()
    attributes = series(
        cicd__pipeline__name="build",
        cicd__pipeline__run__state="executing",
        cicd__pipeline__result="success",
        ansflow__project__name="shop",
        ansflow__pipeline__type="deploy",
    )
    ((found, point),) = metrics["cicd.pipeline.run.duration"].items()
    assert found == attributes
    assert (point.count, point.sum) == (1, 40)
    assert dict(zip(point.explicit_bounds, point.bucket_counts, strict=False))[60.0] == 1
    assert "cicd.pipeline.run.errors" not in metrics
    assert gateway.values("ansflow.gateway.events.accepted")[series(event_type=RUN_FINISHED)] == 1


@pytest.mark.parametrize(
    ("result", "given", "recorded"),
    [
        ("success", None, None),
        ("success", "ignored", None),
        ("failure", "TestFailed", "TestFailed"),
        ("failure", None, "_OTHER"),
        ("error", "OutOfDisk", "OutOfDisk"),
        ("timeout", None, "_OTHER"),
        ("cancellation", "ignored", None),
        ("skip", None, None),
    ],
)
async def test_error_type_is_there_if_and_only_if_the_run_failed(
    gateway: Gateway, result: str, given: str | None, recorded: str | None
) -> None:
    """The duration has error.type, and an error is counted, exactly for failure, error and timeout."""
    await gateway.send(run_finished(result=result, error_type=given))
    ((attributes, count),) = gateway.values("cicd.pipeline.run.duration").items()
    assert dict(attributes).get("error.type") == recorded
    assert count == 1
    errors = gateway.values("cicd.pipeline.run.errors")
    assert errors == ({series(cicd__pipeline__name="build", error__type=recorded): 1} if recorded else {})


async def test_user_activity_is_counted_and_who_it_was_is_no_label(gateway: Gateway) -> None:
    """Two users' logins are two of one series; the user's id appears nowhere."""
    await gateway.send(user_activity(user_id="u-1"))
    await gateway.send(user_activity(user_id="u-2"))
    assert gateway.values("ansflow.user.activity") == {series(action="login", user_type="admin"): 2}
    async with gateway.session.get(gateway.url + "/metrics") as response:
        assert "u-1" not in await response.text()


async def test_a_duplicate_is_answered_200_counted_and_not_applied(gateway: Gateway) -> None:
    """The same source and id, even with another payload, changes nothing but the duplicates' count."""
    first = run_finished(duration_s=1)
    assert (await gateway.send(first))[0] == 202
    changed = first | {"data": run_finished(duration_s=99, project="other")["data"]}
    assert await gateway.send(changed) == (200, {"id": first["id"], "verdict": "duplicate"})
    ((_, point),) = gateway.collect()["cicd.pipeline.run.duration"].items()
    assert (point.count, point.sum) == (1, 1)
    assert gateway.values("ansflow.gateway.events.duplicate")[series(event_type=RUN_FINISHED)] == 1


async def test_identity_is_source_and_id_together(gateway: Gateway) -> None:
    """One id from two sources is two events."""
    event = run_finished()
    assert (await gateway.send(event))[0] == 202
    assert (await gateway.send(event | {"source": "/elsewhere"}))[0] == 202
    assert sum(gateway.values("cicd.pipeline.run.duration").values()) == 2


async def test_a_rejected_event_does_not_claim_its_id(gateway: Gateway) -> None:
    """An event that is corrected and sent again under the same id is accepted."""
    event = run_finished()
    bad = event | {"data": event["data"] | {"duration_s": -1}}  # type: ignore[operator] # made of dicts above
    assert (await gateway.send(bad))[0] == 422
    assert (await gateway.send(event))[0] == 202


async def test_a_batch_has_a_verdict_for_each_item(gateway: Gateway) -> None:
    """New, repeated within the batch, and bad items are told apart by index."""
    event = run_finished()
    status, body = await gateway.send([event, event, {"id": 1}, user_activity()], BATCH)
    assert status == 207
    assert (body["accepted"], body["duplicate"], body["rejected"]) == (2, 1, 1)
    assert [item["verdict"] for item in body["items"]] == ["accepted", "duplicate", "rejected", "accepted"]
    assert [item["index"] for item in body["items"]] == [0, 1, 2, 3]
    assert body["items"][2]["problem"]["field"] == "specversion"
    accepted = gateway.values("ansflow.gateway.events.accepted")
    assert {attributes: count for attributes, count in accepted.items() if count} == {
        series(event_type=RUN_FINISHED): 1,
        series(event_type=USER_ACTIVITY): 1,
    }


async def test_a_batch_of_good_events_is_200_and_one_of_bad_ones_422(gateway: Gateway) -> None:
    """The status tells whether anything was refused; an empty batch is fine."""
    assert (await gateway.send([], BATCH))[0] == 200
    assert (await gateway.send([run_finished(), run_finished()], BATCH))[0] == 200
    assert (await gateway.send([{}, {}], BATCH))[0] == 422


async def test_a_batch_as_large_as_the_body_may_be_counts_each_item(gateway: Gateway) -> None:
    """Thousands of events in one body are all taken."""
    events = [run_finished(run_id=f"r-{n}") for n in range(3000)]
    status, body = await gateway.send(events, BATCH)
    assert (status, body["accepted"]) == (200, 3000)
    assert sum(gateway.values("cicd.pipeline.run.duration").values()) == 3000


async def test_concurrent_senders_of_the_same_events_count_each_once(gateway: Gateway) -> None:
    """Ten senders of the same fifty events: fifty accepted, the rest duplicates."""
    events = [run_finished() for _ in range(50)]
    answers = await asyncio.gather(*(gateway.send(event) for _ in range(10) for event in events))
    assert sorted(status for status, _ in answers) == [200] * 450 + [202] * 50
    assert sum(gateway.values("cicd.pipeline.run.duration").values()) == 50


async def test_optional_and_unknown_members_are_taken(gateway: Gateway) -> None:
    """Extensions, subject, null members, a zone offset and unknown members of data don't hurt."""
    event = run_finished(extra={"a": [1, 2]}) | {
        "time": "2027-01-15T08:00:00.123456789+01:00",
        "subject": "run/1",
        "dataschema": None,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "datacontenttype": "application/vnd.x+json; charset=utf-8",
        "sampledrate": 3,
    }
    assert (await gateway.send(event, "application/cloudevents+json; charset=UTF-8"))[0] == 202


async def test_beyond_the_limit_runs_share_an_overflow_series(
    start_gateway: StartGateway,
) -> None:
    """Of 21 and one series twelve are the overflow's; ninety projects share it; the total stays exact."""
    gateway = await start_gateway(series_limit="21")
    for n in range(100):
        await gateway.send(run_finished(project=f"p-{n}", result="success" if n % 2 else "failure"))
    runs = gateway.values("cicd.pipeline.run.duration")
    overflow = {
        attributes: count for attributes, count in runs.items() if "__overflow__" in dict(attributes).values()
    }
    assert (len(runs), sum(runs.values()), sum(overflow.values())) == (12, 100, 90)
    assert {(dict(a)["cicd.pipeline.result"], dict(a).get("error.type")) for a in overflow} == {
        ("success", None),
        ("failure", "__overflow__"),
    }
    for attributes in overflow:
        assert {
            dict(attributes)[name]
            for name in ("ansflow.project.name", "cicd.pipeline.name", "ansflow.pipeline.type")
        } == {"__overflow__"}
    await gateway.send(run_finished(project="p-0", result="failure"))
    admitted = series(
        cicd__pipeline__name="build",
        cicd__pipeline__run__state="executing",
        cicd__pipeline__result="failure",
        ansflow__project__name="p-0",
        ansflow__pipeline__type="pipeline",
        error__type="_OTHER",
    )
    assert gateway.values("cicd.pipeline.run.duration")[admitted] == 2


async def test_beyond_the_limit_activities_share_one_series(
    start_gateway: StartGateway,
) -> None:
    """At most limit + 1 series, with the exact total."""
    gateway = await start_gateway(series_limit="3")
    await gateway.send([user_activity(action=f"a-{n}") for n in range(20)], BATCH)
    activities = gateway.values("ansflow.user.activity")
    assert activities[series(action="__overflow__", user_type="__overflow__")] == 17
    assert (len(activities), sum(activities.values())) == (4, 20)


async def test_active_projects_follow_the_window(
    start_gateway: StartGateway,
) -> None:
    """A project counts for the window after its latest run; a late report of an old run doesn't count."""
    gateway = await start_gateway(active_window="3600")

    async def active(count: int) -> None:
        def counted() -> None:
            assert gateway.values("ansflow.active_projects") == {series(): count}

        await eventually(counted)

    await active(0)
    await gateway.send(run_finished(project="a"))
    gateway.clock.now += 3000
    await gateway.send(run_finished(project="b"))
    await gateway.send(run_finished(project="old") | {"time": "2020-01-01T00:00:00Z"})
    await gateway.send(run_finished(project="future") | {"time": "2999-01-01T00:00:00Z"})
    await active(3)
    gateway.clock.now += 601
    await gateway.send(run_finished(project="b"))
    await active(2)
    gateway.clock.now += 3601
    await active(0)
