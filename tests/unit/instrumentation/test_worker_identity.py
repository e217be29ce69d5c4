"""Instance ids: random where the user chose none, derived from the user's in several workers."""

import os
import re
from collections import Counter

import pytest
from ansflow_instrumentation.worker_identity import claim_instance_id, register_detector, worker_instance_id
from support.instrumented_service import StartService
from support.otlp_receiver import OtlpReceiver

CHOSEN = {"OTEL_RESOURCE_ATTRIBUTES": "service.namespace=test,service.instance.id=blue"}

GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2")
UVICORN = ("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
# By default uvicorn kills a worker that takes 5 s to import: a busy machine may take longer.
UVICORN_WORKERS = (*UVICORN, "--workers", "2", "--timeout-worker-healthcheck", "60")


def _ask_until_both_answered(
    start: StartService, *command: str, path: str, variables: dict[str, str]
) -> Counter[int]:
    service = start(*command, variables={"OTEL_METRIC_EXPORT_INTERVAL": "600000", **variables})
    answers: Counter[int] = Counter()
    while len(answers) < 2:
        answers.update(int(answer.body) for answer in service.get_many(path, 50))
    service.stop()
    return answers


def _counted(receiver: OtlpReceiver) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for duration in receiver.durations():
        counted[duration.instance] += duration.point.count
    return dict(counted)


def test_a_single_process_keeps_the_users_id(start: StartService, receiver: OtlpReceiver) -> None:
    """One process reports exactly the id that the user chose, in all signals."""
    service = start(*UVICORN, variables=CHOSEN)
    service.get("/items/1")
    service.stop()
    assert receiver.instances() == {"blue"}
    assert {bool(receiver.traces), bool(receiver.metrics), bool(receiver.logs)} == {True}


@pytest.mark.parametrize("detectors", ["", "otel,process"])
def test_forked_workers_derive_theirs(start: StartService, receiver: OtlpReceiver, detectors: str) -> None:
    """Gunicorn's workers are `<id>-<pid>`, whatever detectors the user has, and their requests add up."""
    answers = _ask_until_both_answered(
        start,
        *GUNICORN,
        "django_shop.wsgi:application",
        path="/orders/1",
        variables={**CHOSEN, "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": detectors},
    )
    assert _counted(receiver) == {f"blue-{pid}": times for pid, times in answers.items()}
    assert {resource["service.namespace"] for resource in receiver.resources()} == {"test"}


def test_spawned_workers_derive_theirs(start: StartService, receiver: OtlpReceiver) -> None:
    """`uvicorn --workers` starts new interpreters that all read the user's id: they differ as well."""
    answers = _ask_until_both_answered(start, *UVICORN_WORKERS, path="/pid", variables=CHOSEN)
    assert _counted(receiver) == {f"blue-{pid}": times for pid, times in answers.items()}


def test_workers_without_a_chosen_id_are_random(start: StartService, receiver: OtlpReceiver) -> None:
    """Each gunicorn worker has a random id (a UUID, as the conventions ask) of its own."""
    answers = _ask_until_both_answered(
        start, *GUNICORN, "django_shop.wsgi:application", path="/orders/1", variables={}
    )
    counted = _counted(receiver)
    assert sorted(counted.values()) == sorted(answers.values())
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", instance) for instance in counted)


def test_only_the_first_process_carries_the_chosen_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first claim stands for children of the same service; another service's id is claimed anew."""
    env: dict[str, str] = {}
    monkeypatch.setitem(os.environ, "OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=blue one")
    claim_instance_id(env, 10)
    claim_instance_id(env, 11)
    assert worker_instance_id(env, 10) is None
    assert worker_instance_id(env, 11) == "blue one-11"
    monkeypatch.setitem(os.environ, "OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=green")
    claim_instance_id(env, 11)
    assert worker_instance_id(env, 11) is None
    assert worker_instance_id(env, 12) == "green-12"
    monkeypatch.delitem(os.environ, "OTEL_RESOURCE_ATTRIBUTES")
    claim_instance_id(env, 12)
    assert worker_instance_id(env, 13) is None


@pytest.mark.parametrize(
    ("configured", "registered"),
    [
        (None, "otel,ansflow_worker"),
        ("process", "process,otel,ansflow_worker"),
        ("otel, host", "otel,host,ansflow_worker"),
        ("*", "*,otel,ansflow_worker"),
        ("otel,ansflow_worker", "otel,ansflow_worker"),
    ],
)
def test_the_detector_comes_last(configured: str | None, registered: str) -> None:
    """The user's detectors stay, in their order; ours follows `otel`, whose value it replaces in workers."""
    env = {} if configured is None else {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": configured}
    register_detector(env)
    assert env == {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": registered}
