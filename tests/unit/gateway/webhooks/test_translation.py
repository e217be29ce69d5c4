"""Translators: recorded deliveries, every conclusion, and any JSON at all."""

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ansflow_gateway.domain.events import Event, Phase, RunUpdate, TaskUpdate
from ansflow_gateway.domain.identity import delivery_key, semantic_key
from ansflow_gateway.domain.rejection import RejectedError
from ansflow_gateway.receivers.webhooks import github, gitlab, jenkins
from ansflow_gateway.receivers.webhooks.hooks import HOOKS
from ansflow_gateway.receivers.webhooks.translation import (
    Delivery,
    Outcome,
    Unsupported,
    optional_time,
    unsupported,
)
from hypothesis import given
from hypothesis import strategies as st

TRANSLATORS: Mapping[str, Callable[[Delivery], Outcome]] = {hook.system: hook.translate for hook in HOOKS}
CASES: Mapping[str, Any] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "payloads").glob("*.json"))
}


def translated(name: str, body: object = None, **headers: str) -> Outcome:
    """Translate a recorded delivery, or another body with its headers."""
    case = CASES[name]
    named = case["headers"] | {key.replace("_", "-"): value for key, value in headers.items()}
    return TRANSLATORS[name.partition("_")[0]](Delivery(named, case["body"] if body is None else body))


def only_event(outcome: Outcome) -> Event:
    """Give the last event of an outcome: the run's, where its tasks come before it."""
    assert not isinstance(outcome, Unsupported)
    return outcome[-1]


def changed(body: Any, path: str, value: object) -> Any:
    """Make a copy of a body with one member set, at a dotted path."""
    name, _, rest = path.partition(".")
    return body | {name: changed(body[name], rest, value) if rest else value}


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_delivery_becomes_its_events(name: str) -> None:
    """Each delivery gives exactly the events beside it, or the kind under which it is counted."""
    expected = CASES[name]["outcome"]
    outcome = translated(name)
    if isinstance(outcome, Unsupported):
        assert {"unsupported": outcome.kind} == expected
        assert outcome.system == name.partition("_")[0]
    else:
        assert list(outcome) == msgspec.convert(expected, list[Event])


@pytest.mark.parametrize(
    ("conclusion", "result", "error_type"),
    [
        ("success", "success", None),
        ("neutral", "success", None),
        ("failure", "failure", None),
        ("startup_failure", "error", "startup_failure"),
        ("timed_out", "timeout", "timed_out"),
        ("cancelled", "cancellation", None),
        ("stale", "cancellation", None),
        ("skipped", "skip", None),
        ("action_required", "skip", None),
    ],
)
def test_every_conclusion_of_github_has_a_result(
    conclusion: str, result: str, error_type: str | None
) -> None:
    """Runs and jobs have the same; what went wrong with the system itself has an error type."""
    assert set(github.RESULTS) >= {conclusion}
    body = changed(CASES["github_run_completed"]["body"], "workflow_run.conclusion", conclusion)
    run = only_event(translated("github_run_completed", body)).payload
    assert isinstance(run, RunUpdate)
    assert (run.result, run.error_type) == (result, error_type)
    body = changed(CASES["github_job_completed"]["body"], "workflow_job.conclusion", conclusion)
    task = only_event(translated("github_job_completed", body)).payload
    assert isinstance(task, TaskUpdate)
    assert task.result == result


def test_no_conclusion_is_untested() -> None:
    """The tables hold what these tests name, and nothing else."""
    assert len(github.RESULTS) == 9
    assert len(gitlab.RESULTS) == 4
    assert len(jenkins.RESULTS) == 5


@pytest.mark.parametrize(
    ("status", "phase", "result"),
    [
        ("created", Phase.QUEUED, None),
        ("waiting_for_resource", Phase.QUEUED, None),
        ("preparing", Phase.QUEUED, None),
        ("pending", Phase.QUEUED, None),
        ("scheduled", Phase.QUEUED, None),
        ("running", Phase.STARTED, None),
        ("success", Phase.FINISHED, "success"),
        ("failed", Phase.FINISHED, "failure"),
        ("canceled", Phase.FINISHED, "cancellation"),
        ("skipped", Phase.FINISHED, "skip"),
        ("manual", None, None),
        ("canceling", None, None),
    ],
)
def test_every_status_of_gitlab_has_a_phase(status: str, phase: Phase | None, result: str | None) -> None:
    """Pipelines and jobs have the same; steps in between are not supported."""
    for name, path in (
        ("gitlab_pipeline_pending", "object_attributes.status"),
        ("gitlab_job_pending", "build_status"),
    ):
        outcome = translated(name, changed(CASES[name]["body"], path, status))
        if phase is None:
            assert isinstance(outcome, Unsupported)
            continue
        payload = only_event(outcome).payload
        assert isinstance(payload, RunUpdate | TaskUpdate)
        assert (payload.phase, payload.result) == (phase, result)


@pytest.mark.parametrize(
    ("reason", "result"),
    [
        ("script_failure", "failure"),
        ("stuck_or_timeout_failure", "timeout"),
        ("job_execution_timeout", "timeout"),
        ("runner_system_failure", "error"),
        ("scheduler_failure", "error"),
        (None, "failure"),
        ("", "failure"),
    ],
)
def test_why_a_job_of_gitlab_failed_tells_failures_from_errors(reason: str | None, result: str) -> None:
    """A job's own failure is one; the runner's is an error; a deadline is a timeout."""
    body = changed(CASES["gitlab_job_failed_without_project"]["body"], "build_failure_reason", reason)
    payload = only_event(translated("gitlab_job_pending", body)).payload
    assert isinstance(payload, TaskUpdate)
    assert payload.result == result


@pytest.mark.parametrize(
    ("status", "result", "error_type"),
    [
        ("SUCCESS", "success", None),
        ("UNSTABLE", "failure", "UNSTABLE"),
        ("FAILURE", "failure", None),
        ("NOT_BUILT", "skip", None),
        ("ABORTED", "cancellation", None),
    ],
)
def test_every_status_of_jenkins_has_a_result(status: str, result: str, error_type: str | None) -> None:
    """An unstable build failed, and says how."""
    body = changed(CASES["jenkins_completed"]["body"], "build.status", status)
    payload = only_event(translated("jenkins_completed", body)).payload
    assert isinstance(payload, RunUpdate)
    assert (payload.result, payload.error_type) == (result, error_type)


def test_the_same_fact_has_the_same_key_whoever_tells_it() -> None:
    """A job in its pipeline's end and in its own hook, and a build's two ends, are each one fact."""
    in_pipeline = translated("gitlab_pipeline_failed")
    assert not isinstance(in_pipeline, Unsupported)
    body = CASES["gitlab_job_failed_without_project"]["body"] | {"build_id": 380}
    alone = only_event(translated("gitlab_job_pending", body))
    assert semantic_key(in_pipeline[0]) == semantic_key(alone)
    completed, finalized = (only_event(translated(f"jenkins_{end}")) for end in ("completed", "finalized"))
    assert semantic_key(completed) == semantic_key(finalized)
    assert delivery_key(completed) != delivery_key(finalized)


def test_attempts_of_a_run_are_runs_of_their_own() -> None:
    """A rerun's end is another fact than the first one's."""
    first, second = (
        only_event(translated(name)) for name in ("github_run_completed", "github_run_rerun_timed_out")
    )
    assert semantic_key(first) != semantic_key(second)


def test_a_server_elsewhere_and_below_a_path_is_told_apart() -> None:
    """Host, port and root path are part of the scope; Jenkins' jobs are found below its root."""
    body = changed(
        CASES["github_run_completed"]["body"], "repository.html_url", "https://GHE.example.test:8443/x"
    )
    assert (
        only_event(translated("github_run_completed", body)).source
        == "ghe.example.test:8443/acme-example/shop"
    )
    body = changed(
        CASES["gitlab_job_pending"]["body"], "project.web_url", "http://[2001:DB8::1]:80/gitlab/acme/shop"
    )
    assert only_event(translated("gitlab_job_pending", body)).source == "[2001:db8::1]/gitlab/acme/shop"
    url = "https://ci.example.test/jenkins/job/shop/17/"
    payload = only_event(
        translated("jenkins_started", changed(CASES["jenkins_started"]["body"], "build.full_url", url))
    ).payload
    assert isinstance(payload, RunUpdate)
    assert (payload.pipeline, payload.project) == ("shop", "shop")


@pytest.mark.parametrize(
    ("name", "path", "value", "reason", "field"),
    [
        ("github_run_completed", "workflow_run.name", "", "invalid_value", "workflow_run.name"),
        ("github_run_completed", "workflow_run.name", "x" * 201, "too_long", "workflow_run.name"),
        ("github_run_completed", "workflow_run.name", "a\nb", "invalid_value", "workflow_run.name"),
        ("github_run_completed", "workflow_run.id", "30433642", "wrong_type", "workflow_run.id"),
        ("github_run_completed", "workflow_run.id", True, "wrong_type", "workflow_run.id"),
        ("github_run_completed", "workflow_run.id", 2**63, "out_of_range", "workflow_run.id"),
        ("github_run_completed", "workflow_run.run_attempt", 0, "out_of_range", "workflow_run.run_attempt"),
        ("github_run_completed", "workflow_run.conclusion", None, "missing", "workflow_run.conclusion"),
        (
            "github_run_completed",
            "workflow_run.conclusion",
            "odd",
            "invalid_value",
            "workflow_run.conclusion",
        ),
        (
            "github_run_completed",
            "workflow_run.updated_at",
            "soon",
            "invalid_value",
            "workflow_run.updated_at",
        ),
        ("github_run_completed", "workflow_run", [], "wrong_type", "workflow_run"),
        ("github_run_completed", "repository", None, "missing", "repository"),
        ("github_run_completed", "repository.html_url", "ftp://h/x", "invalid_value", "repository.html_url"),
        ("github_run_completed", "repository.html_url", "https://[", "invalid_value", "repository.html_url"),
        ("github_job_completed", "workflow_job.runner_name", 3, "wrong_type", "workflow_job.runner_name"),
        ("gitlab_pipeline_failed", "builds", {}, "wrong_type", "builds"),
        ("gitlab_pipeline_failed", "builds", [{}], "missing", "builds[0].status"),
        ("gitlab_pipeline_failed", "builds", [0], "wrong_type", "builds[0]"),
        ("gitlab_job_pending", "project.web_url", "nowhere", "invalid_value", "project.web_url"),
        ("gitlab_job_pending", "project", None, "missing", "build_created_at"),
        ("jenkins_completed", "build.status", None, "missing", "build.status"),
        ("jenkins_completed", "build.timestamp", -1, "out_of_range", "build.timestamp"),
        ("jenkins_completed", "build.stages", "none", "wrong_type", "build.stages"),
        ("jenkins_completed", "build.stages", [{"status": "SUCCESS"}], "missing", "build.stages[0].id"),
        ("jenkins_completed", "build.full_url", "", "invalid_value", "build.full_url"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    name: str, path: str, value: object, reason: str, field: str
) -> None:
    """The refusal of a verified delivery says which member is at fault."""
    body = changed(CASES[name]["body"], path, value)
    if field == "build_created_at":
        body = {key: member for key, member in body.items() if key != field}
    with pytest.raises(RejectedError) as refused:
        translated(name, body)
    assert (refused.value.rejection.reason, refused.value.rejection.field) == (reason, field)


@pytest.mark.parametrize("header", ["x-github-event", "x-github-delivery"])
def test_a_delivery_without_its_headers_is_refused(header: str) -> None:
    """GitHub's event and id are in headers alone; GitLab's id may be in one of three."""
    case = CASES["github_run_completed"]
    headers = {name: value for name, value in case["headers"].items() if name != header}
    with pytest.raises(RejectedError, match=header):
        github.translate(Delivery(headers, case["body"]))
    with pytest.raises(RejectedError, match="x-gitlab-event-uuid"):
        gitlab.translate(Delivery({}, CASES["gitlab_job_pending"]["body"]))
    once = gitlab.translate(Delivery({"idempotency-key": "k"}, CASES["gitlab_job_pending"]["body"]))
    assert only_event(once).id == "k/1977/queued"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("2026-03-02T10:00:00Z", 1772445600),
        ("2026-03-02t10:00:00.25z", 1772445600.25),
        ("2026-03-02T10:00:00.123456789Z", 1772445600.123456),
        ("2026-03-02T12:00:00+02:00", 1772445600),
        ("2026-03-02 10:00:00 UTC", 1772445600),
        ("2026-03-02 12:00:00 +0200", 1772445600),
        ("1970-01-01T00:00:00Z", 0),
        ("", None),
        (None, None),
    ],
)
def test_times_of_all_systems_are_read(given: str | None, seconds: float | None) -> None:
    """RFC 3339, and the two other forms that GitLab writes."""
    assert optional_time({"at": given}, "at") == seconds


@pytest.mark.parametrize(
    "given",
    [
        "2026-02-30T10:00:00Z",
        "2026-03-02T10:00:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-03-02T25:00:00Z",
        "2026-03-02T10:00:00+99:99",
        "2026-03-02",
    ],
)
def test_what_is_no_time_is_refused(given: str) -> None:
    """Impossible days, times without a zone, and times far from this age."""
    with pytest.raises(RejectedError):
        optional_time({"at": given}, "at")


def test_kinds_are_safe_as_labels() -> None:
    """A name that is none becomes `other`, so that a sender can't write what it likes into a label."""
    assert unsupported("github", "push") == Unsupported("github", "push")
    assert unsupported("github", "issues", "opened").kind == "issues.opened"
    for odd in ("x" * 65, "a b", "Ä", "", "a.b.c"):
        assert unsupported("github", odd).kind == "other"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, object]:
    """Draw a recorded delivery with some of its members replaced or left out."""
    name = draw(st.sampled_from(list(CASES)))
    body: Any = json.loads(json.dumps(CASES[name]["body"]))
    for _ in range(draw(st.integers(1, 3))):
        target = body
        while True:
            if isinstance(target, dict) and target:
                key: Any = draw(st.sampled_from(list(target)))
            elif isinstance(target, list) and target:
                key = draw(st.integers(0, len(target) - 1))
            else:
                break
            if isinstance(target[key], dict | list) and target[key] and draw(st.booleans()):
                target = target[key]
                continue
            if isinstance(target, dict) and draw(st.booleans()):
                del target[key]
            else:
                target[key] = draw(JSON)
            break
    return name, body


@given(damaged())
def test_no_damage_to_a_delivery_makes_a_translator_fail(case: tuple[str, object]) -> None:
    """Whatever is replaced or missing, the outcome is events, an unsupported kind, or a refusal."""
    name, body = case
    try:
        outcome = TRANSLATORS[name.partition("_")[0]](Delivery(CASES[name]["headers"], body))
    except RejectedError:
        return
    if not isinstance(outcome, Unsupported):
        for event in outcome:
            assert len(delivery_key(event)) == 16
            assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


@given(
    JSON, st.sampled_from(["workflow_run", "workflow_job", "pull_request", "deployment_status", "ping", "x"])
)
def test_no_json_makes_a_translator_fail(body: object, kind: str) -> None:
    """Any value at all is taken by each translator, or refused."""
    headers = {"x-github-event": kind, "x-github-delivery": "d", "webhook-id": "w"}
    for translate in TRANSLATORS.values():
        with contextlib.suppress(RejectedError):
            outcome = translate(Delivery(headers, body))
            assert isinstance(outcome, Unsupported) or all(isinstance(event, Event) for event in outcome)
