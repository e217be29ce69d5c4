"""Instance ids: a slot for each process, taken over by its successor, with its totals."""

import contextlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansflow_instrumentation.configuration.file import read_config_file
from ansflow_instrumentation.workers import identity
from ansflow_instrumentation.workers.processes import is_resource_tracker
from ansflow_instrumentation.workers.slots import (
    ABANDONED_AFTER_S,
    Slots,
    directory,
    key_of,
    remove_abandoned,
)
from ansflow_instrumentation.workers.totals import KEPT_FOR_S
from support.instrumented_service import StartService, free_port, run_python, serving, telemetry_environment
from support.otlp_receiver import OtlpReceiver
from support.vanilla import VANILLA

from ..conftest import APPLICATIONS

CHOSEN = {"OTEL_RESOURCE_ATTRIBUTES": "service.namespace=test,service.instance.id=blue"}
BUFFERED = {"OTEL_METRIC_EXPORT_INTERVAL": "600000"}

GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "django_shop.wsgi:application")
RECYCLING = (*GUNICORN, "--preload", "--max-requests", "10")
UVICORN = ("uvicorn", "fastapi_shop.main:app", "--port", "{port}")
# By default uvicorn kills a worker that takes 5 s to import: a busy machine may take longer.
UVICORN_WORKERS = (*UVICORN, "--workers", "2", "--timeout-worker-healthcheck", "60")

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _ask_until_both_answered(
    start: StartService, *command: str, path: str, variables: dict[str, str]
) -> Counter[int]:
    service = start(*command, variables={**BUFFERED, **variables})
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
    """Gunicorn's workers are `<id>-<slot>`, whatever detectors the user has, and their requests add up."""
    variables = {**CHOSEN, "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": detectors}
    answers = _ask_until_both_answered(start, *GUNICORN, path="/orders/1", variables=variables)
    counted = _counted(receiver)
    assert set(counted) == {"blue-1", "blue-2"}
    assert sorted(counted.values()) == sorted(answers.values())
    assert {resource["service.namespace"] for resource in receiver.resources()} == {"test"}


def test_spawned_workers_derive_theirs(start: StartService, receiver: OtlpReceiver) -> None:
    """`uvicorn --workers` starts new interpreters that all read the user's id: they differ as well.

    Python's own helper process, which inherits the instrumentation, is no instance (finding 6).
    """
    answers = _ask_until_both_answered(start, *UVICORN_WORKERS, path="/pid", variables=CHOSEN)
    counted = _counted(receiver)
    assert set(counted) == {"blue-1", "blue-2"}
    assert sorted(counted.values()) == sorted(answers.values())
    assert receiver.instances() <= {"blue", "blue-1", "blue-2"}


def test_recycled_workers_take_their_predecessors_places(start: StartService, receiver: OtlpReceiver) -> None:
    """Ten workers' lives are two instances, whose counts go on: core#3885, jumping counters."""
    service = start(*RECYCLING, variables=BUFFERED)
    pids = {answer.body for answer in service.get_many("/orders/1", 100)}
    output = service.stop()
    assert len(pids) > 4, output
    counted = _counted(receiver)
    assert len(counted) == 2
    assert sum(counted.values()) == 100
    assert len(receiver.instances()) <= 3  # with gunicorn's master
    assert all(UUID.fullmatch(instance) for instance in receiver.instances())
    assert receiver.server_spans().total() == 100


def test_vanilla_begins_a_series_with_each_recycled_worker(
    start: StartService, receiver: OtlpReceiver
) -> None:
    """Without this package, each of the workers' lives is an instance."""
    service = start(*RECYCLING, variables={**BUFFERED, **VANILLA})
    pids = {answer.body for answer in service.get_many("/orders/1", 100)}
    service.stop()
    assert len({duration.instance for duration in receiver.durations()}) == len(pids) > 4


def test_a_service_that_is_started_again_goes_on(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The same command in the same place has the same identity, and adds to its sums."""
    port = free_port()
    command = [*UVICORN[:-1], str(port)]
    environment = telemetry_environment(receiver, APPLICATIONS, BUFFERED)
    for _ in range(2):
        with serving(command, port, environment, tmp_path / "server.log") as service:
            service.get_many("/items/1", 10)
            service.stop()
    assert len(receiver.instances()) == 1
    assert receiver.requests_counted() == {"/items/{item_id}": 20}


def test_without_a_directory_ids_are_random(start: StartService, receiver: OtlpReceiver) -> None:
    """With slots turned off, workers have random ids, or the user's with the process id."""
    off = {"ANSFLOW_STATE_DIR": ""}
    answers = _ask_until_both_answered(start, *GUNICORN, path="/orders/1", variables={**CHOSEN, **off})
    assert _counted(receiver) == {f"blue-{pid}": times for pid, times in answers.items()}


@pytest.fixture(name="forget")
def _forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(identity, "_held", identity._Held())
    monkeypatch.setenv(identity.STATE_DIR_VARIABLE, str(tmp_path / "state"))
    monkeypatch.delenv(identity.GROUP, raising=False)


@pytest.mark.usefixtures("forget")
def test_only_the_first_process_carries_the_chosen_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first claim stands for children of the same service; another service's id is claimed anew."""
    pid = os.getpid()
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=blue one")
    identity.claim_identity(os.environ, pid)
    identity.claim_identity(os.environ, pid + 1)
    assert identity.instance_id(os.environ) is None
    identity.start_over()  # as if forked
    group = os.environ[identity.GROUP].replace(str(pid), "1", 1)
    monkeypatch.setenv(identity.GROUP, group)
    assert identity.instance_id(os.environ) == "blue one-1"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=green")
    identity.claim_identity(os.environ, pid)
    assert identity.instance_id(os.environ) is None


FILE = """
file_format: "1.0"
resource:
  attributes:
    - {{name: service.name, value: {name}}}
"""


@pytest.mark.usefixtures("forget")
def test_services_and_environments_share_no_slots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever tells two of them apart is in the group's name, started from one shell or another."""
    for name in ("shop", "till"):
        (tmp_path / f"{name}.yaml").write_text(FILE.format(name=name))
    (tmp_path / "shop-again.yaml").write_text(FILE.format(name="shop"))
    kinds = [
        {},
        {"OTEL_RESOURCE_ATTRIBUTES": "service.namespace=a"},
        {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=a"},
        {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=a"},
        {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=b"},
        {"DJANGO_SETTINGS_MODULE": "shop.settings"},
        *({"OTEL_CONFIG_FILE": str(file)} for file in tmp_path.glob("*.yaml")),
    ]
    groups = set()
    for variables in kinds:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.delenv(identity.GROUP, raising=False)
            identity.claim_identity(os.environ, 1)
            group = identity.Group.inherited(os.environ)
            assert group is not None
            groups.add(group.key)
    assert len(groups) == len(kinds) == 9


@pytest.mark.usefixtures("forget")
def test_the_file_names_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A configuration file under one path with another name, as after a deployment, is another service."""
    keys = []
    for name in ("shop", "till"):
        file = tmp_path / "telemetry.yaml"
        file.write_text(FILE.format(name=name))
        read_config_file.cache_clear()
        monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
        identity.claim_identity(os.environ, 1)
        group = identity.Group.inherited(os.environ)
        assert group is not None
        keys.append(group.key)
    assert keys[0] != keys[1]


@pytest.mark.usefixtures("forget")
def test_a_child_is_a_worker_though_its_parent_has_set_djangos_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`manage.py` sets them after the group is named; the reloader's child is of the same group."""
    identity.claim_identity(os.environ, 1)
    group = os.environ[identity.GROUP]
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
    identity.claim_identity(os.environ, 2)
    assert os.environ[identity.GROUP] == group


HOLD = """
import sys
from pathlib import Path
from ansflow_instrumentation.workers.slots import Slots
slot = Slots(Path(sys.argv[1])).hold()
print(slot.number, slot.instance_id, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def _held_by_another_process(path: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        yield process.stdout.readline()


def test_a_slot_is_one_processs_until_it_ends(tmp_path: Path) -> None:
    """Two processes never hold the same slot; one that ended leaves its slot and its id."""
    path = tmp_path / "group.slots"
    with _held_by_another_process(path) as first, _held_by_another_process(path) as second:
        assert (first[:2], second[:2]) == ("0 ", "1 ")
        assert first[2:] != second[2:]
    with _held_by_another_process(path) as again:
        assert again == first


def test_a_group_is_named_whatever_its_bytes_are() -> None:
    """Arguments and folders that are no UTF-8 name a group like any other."""
    assert key_of(os.fsdecode(b"caf\xe9")) != key_of(os.fsdecode(b"caf\xe8"))


def test_what_nobody_holds_is_removed_after_a_week(tmp_path: Path) -> None:
    """Files of a group that has not run for so long go; those of one that runs stay, however old."""
    for name in ("held", "left"):
        Slots(tmp_path / f"{name}.slots")
        (tmp_path / f"{name}-0.0.json").touch()
    with _held_by_another_process(tmp_path / "held.slots"):
        for file in tmp_path.glob("*.slots"):
            os.utime(file, (0, file.stat().st_mtime - ABANDONED_AFTER_S - 60))
        remove_abandoned(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"held.slots", "held-0.0.json"}


def test_files_are_this_users_alone(tmp_path: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        Slots(tmp_path / "group.slots")
    finally:
        os.umask(before)
    assert (tmp_path / "group.slots").stat().st_mode & 0o777 == 0o600


def test_totals_that_nobody_would_carry_on_are_removed(tmp_path: Path) -> None:
    """A slot that is not taken again leaves nothing behind; what may be carried on stays."""
    for name in ("old-0.0.json", "old-0.0.json.draft", "new-0.0.json"):
        (tmp_path / name).touch()
    for file in tmp_path.glob("old*"):
        os.utime(file, (0, file.stat().st_mtime - KEPT_FOR_S - 60))
    remove_abandoned(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["new-0.0.json"]


def test_a_directory_that_others_write_to_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Identities and totals are read from nobody else's files, and by nobody else."""
    own = tmp_path / "new" / f"ansflow-{os.geteuid()}"
    assert directory(str(own.parent)) == own
    assert own.stat().st_mode & 0o777 == 0o700
    for mode in (0o777, 0o755):
        own.chmod(mode)
        assert directory(str(own.parent)) is None
    assert str(own) in caplog.text
    assert directory("") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_worker_that_becomes_another_user_has_an_identity_of_its_own(
    receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Where it cannot leave its totals to a successor, a worker does not take a predecessor's place."""
    program = """
import os, sys
from opentelemetry import metrics
if not os.fork():
    os.setuid(65534)
    metrics.get_meter("test").create_counter("shop.orders").add(1)
    sys.exit(0)
os.wait()
"""
    for _ in range(2):
        process = run_python(program, receiver, tmp_path, variables=BUFFERED)
        assert process.stderr.count("is not this user's any more") == 1, process.stderr
    assert receiver.sums("shop.orders") == {("shop.orders",): 2}
    ids = {resource["service.instance.id"] for resource in receiver.resources()}
    assert len(ids) >= 2
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([sys.executable, "-c", "from multiprocessing.resource_tracker import main;main(5)"], True),
        ([sys.executable, "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"], False),
        ([sys.executable, "/usr/bin/gunicorn", "shop:app"], False),
    ],
)
def test_pythons_own_process_is_told_from_workers(argv: list[str], expected: bool) -> None:
    """`multiprocessing`'s resource tracker is no worker; a spawned process is."""
    assert is_resource_tracker(argv) is expected


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
    identity.register_detector(env)
    assert env == {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": registered}
