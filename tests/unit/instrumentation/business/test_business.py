"""The business API under a real SDK that exports to a real receiver, and without any."""

import doctest
import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from ansflow_instrumentation import business
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.instrumented_service import run_python
from support.otlp_receiver import OtlpReceiver, attributes_of

RUN = "cicd.pipeline.run.duration"

RUNS = """
import asyncio, sys
from ansflow_instrumentation import business

def run(pipeline):
    return business.pipeline_run(pipeline, project="web-shop", pipeline_type="build", run_id="r-1")

def swallow(kind, pipeline, error, result=None):
    try:
        with run(pipeline) as it:
            if result is not None:
                it.result = result
            raise error
    except kind:
        return
    raise AssertionError("the block's exception was swallowed")

with run("good"):
    pass
swallow(ValueError, "raises", ValueError("secret"))
swallow(KeyError, "says timeout, and raises", KeyError("x"), business.RunResult.TIMEOUT)
swallow(KeyError, "says success, and raises", KeyError("x"), "success")
swallow(KeyboardInterrupt, "interrupted", KeyboardInterrupt())
swallow(SystemExit, "exits well", SystemExit(0))
swallow(SystemExit, "exits badly", SystemExit(2))
with run("skips") as it:
    it.result = "skip"
with run("fails") as it:
    it.fail("compile_error")
with run("mistyped") as it:
    it.result = "sucess"

async def cancelled():
    async with run("cancelled"):
        await asyncio.sleep(60)

async def main():
    task = asyncio.create_task(cancelled())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
open_run = run("still running").__enter__()
"""

ENDS = {
    "good": ("success", None),
    "raises": ("failure", "ValueError"),
    "says timeout, and raises": ("timeout", "KeyError"),
    "says success, and raises": ("failure", "KeyError"),
    "interrupted": ("cancellation", None),
    "exits well": ("success", None),
    "exits badly": ("failure", "SystemExit"),
    "skips": ("skip", None),
    "fails": ("failure", "compile_error"),
    "mistyped": ("error", "_OTHER"),
    "cancelled": ("cancellation", None),
}


def newest(receiver: OtlpReceiver, name: str) -> dict[str, Metric]:
    """Return the newest metric of a name by process."""
    return {
        attributes_of(list(group.resource.attributes))["service.instance.id"]: metric
        for request in receiver.metrics
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        if metric.name == name
    }


def counted(receiver: OtlpReceiver, name: str, *keys: str) -> Counter[tuple[str | None, ...]]:
    """Sum a metric over processes: the values of these attributes, and how often they were recorded."""
    sums: Counter[tuple[str | None, ...]] = Counter()
    for metric in newest(receiver, name).values():
        for bucketed in metric.histogram.data_points:
            attributes = attributes_of(list(bucketed.attributes))
            sums[tuple(attributes.get(key) for key in keys)] += bucketed.count
        for point in metric.sum.data_points:
            attributes = attributes_of(list(point.attributes))
            sums[tuple(attributes.get(key) for key in keys)] += int(point.as_int or point.as_double)
    return sums


def finished(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a program wrote, which ended well."""
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_run_ends_as_its_block_does(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Each end has its result, its error, its span; exceptions go on; the run that is left open is active."""
    finished(run_python(RUNS, receiver, tmp_path))

    ends = counted(receiver, RUN, "cicd.pipeline.name", "cicd.pipeline.result", "error.type")
    assert ends == {(pipeline, *end): 1 for pipeline, end in ENDS.items()}
    common = counted(
        receiver, RUN, "ansflow.project.name", "ansflow.pipeline.type", "cicd.pipeline.run.state"
    )
    assert common == {("web-shop", "build", "executing"): len(ENDS)}
    failed = {pipeline: error for pipeline, (_, error) in ENDS.items() if error}
    errors = counted(receiver, "cicd.pipeline.run.errors", "cicd.pipeline.name", "error.type")
    assert errors == dict.fromkeys(failed.items(), 1)
    active = counted(receiver, "cicd.pipeline.run.active", "cicd.pipeline.name", "cicd.pipeline.run.state")
    assert +active == {("still running", "executing"): 1}

    spans = {span.name: span for span in receiver.spans()}
    assert set(spans) == {f"RUN {pipeline}" for pipeline in ENDS}
    assert {span.kind for span in spans.values()} == {Span.SPAN_KIND_SERVER}
    for pipeline, (result, error) in ENDS.items():
        span = spans[f"RUN {pipeline}"]
        attributes = attributes_of(list(span.attributes))
        assert attributes["cicd.pipeline.result"] == result
        assert attributes["cicd.pipeline.run.id"] == "r-1"
        assert attributes.get("error.type") == error
        assert (span.status.code == Status.STATUS_CODE_ERROR) is (error is not None)
    assert [event.name for event in spans["RUN raises"].events] == ["exception"]


def test_calls_and_activity(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Every kind of function can be measured; a call that raises, is cancelled, or says so has failed."""
    program = """
import asyncio, contextlib
from ansflow_instrumentation import business

@business.integration_call("plain")
def plain(x): return x

@business.integration_call("coroutine")
async def coroutine(x): return x

@business.integration_call("generator")
def generator(): yield 1; return 2

@business.integration_call("stream")
async def stream():
    yield 1
    yield 2

@business.pipeline_run("outer", project="p")
def raises():
    with business.integration_call("raises"):
        raise OSError

def delegated(): return (yield from generator())

async def main():
    assert await coroutine(3) == 3
    assert asyncio.iscoroutinefunction(coroutine) and coroutine.__name__ == "coroutine"
    assert [value async for value in stream()] == [1, 2]
    abandoned = stream()
    await anext(abandoned)
    await abandoned.aclose()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01), business.integration_call("cancelled"):
            await asyncio.sleep(60)

assert plain(1) == plain(1) == 1
assert list(delegated()) == [1]
asyncio.run(main())
with contextlib.suppress(OSError):
    raises()
assert business.current_integration_type() is None
with business.integration_call("says") as call:
    assert business.current_integration_type() == "says"
    call.fail("503")
assert business.current_integration_type() is None
for _ in range(3):
    business.user_activity("login", user_type="developer")
business.user_activity("login")
"""
    finished(run_python(program, receiver, tmp_path))

    expected = {
        ("plain", "success"): 2,
        ("coroutine", "success"): 1,
        ("generator", "success"): 1,
        ("stream", "success"): 1,
        ("stream", "failed"): 1,
        ("raises", "failed"): 1,
        ("cancelled", "failed"): 1,
        ("says", "failed"): 1,
    }
    for name in ("ansflow.integration.calls", "ansflow.integration.call.duration"):
        assert counted(receiver, name, "integration_type", "status") == expected
    assert counted(receiver, "ansflow.user.activity", "action", "user_type") == {
        ("login", "developer"): 3,
        ("login", "unknown"): 1,
    }
    spans = {span.name: span for span in receiver.spans()}
    assert spans["call raises"].parent_span_id == spans["RUN outer"].span_id


def test_values_that_cannot_be_recorded_are_one_warning(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Whatever the application gives: nothing is raised, everything is counted, and exported."""
    program = r"""
from ansflow_instrumentation import business

for action in (None, 7, "", [], "a\x00b", "\ud800", "x" * 999):
    business.user_activity(action, user_type="developer")
with business.pipeline_run(None, project=object(), pipeline_type="build") as run:
    run.error_type = 7
with business.integration_call(b"bytes"):
    pass
"""
    output = finished(run_python(program, receiver, tmp_path))

    actions = counted(receiver, "ansflow.user.activity", "action")
    assert actions == {("_OTHER",): 4, ("a?b",): 1, ("?",): 1, ("x" * 200,): 1}
    assert counted(receiver, RUN, "cicd.pipeline.name", "ansflow.project.name") == {("_OTHER", "_OTHER"): 1}
    assert counted(receiver, "ansflow.integration.calls", "integration_type") == {("_OTHER",): 1}
    assert output.count("action: expected a text") == 1


def test_label_sets_are_bounded_and_totals_exact(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Beyond the limit new label sets share one visible series; results are kept, and nothing is lost."""
    program = """
from ansflow_instrumentation import business
for number in range(10):
    business.user_activity(f"a{number}", user_type="t")
    with business.pipeline_run(f"p{number}", project="x") as run:
        run.result = "success" if number % 2 else "timeout"
    with business.integration_call(f"i{number}"):
        pass
business.user_activity("a0", user_type="t")
"""
    output = finished(
        run_python(program, receiver, tmp_path, variables={"ANSFLOW_BUSINESS_SERIES_LIMIT": "3"})
    )

    assert counted(receiver, "ansflow.user.activity", "action") == {
        ("a0",): 2,
        ("a1",): 1,
        ("a2",): 1,
        ("__overflow__",): 7,
    }
    results = counted(receiver, RUN, "cicd.pipeline.name", "cicd.pipeline.result")
    assert results == {
        ("p0", "timeout"): 1,
        ("p1", "success"): 1,
        ("p2", "timeout"): 1,
        ("__overflow__", "success"): 4,
        ("__overflow__", "timeout"): 3,
    }
    active = counted(receiver, "cicd.pipeline.run.active", "cicd.pipeline.name")
    assert dict(active) == {("p0",): 0, ("p1",): 0, ("p2",): 0, ("__overflow__",): 0}
    assert counted(receiver, "ansflow.integration.calls", "integration_type")[("__overflow__",)] == 7
    assert {span.name for span in receiver.spans()} >= {"RUN p2", "RUN", "call i2", "call"}
    assert output.count("more than 3 label sets") == 5  # four kinds, and errors


def test_a_fork_within_a_block_counts_it_once(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A child records what it does itself, at once; what the parent began, active or not, is the parent's."""
    program = """
import os, sys
from ansflow_instrumentation import business
business.user_activity("x")
with business.pipeline_run("outer", project="x"):
    pid = os.fork()
    business.user_activity("x")
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
    else:
        with business.pipeline_run("in child", project="x"):
            pass
"""
    finished(run_python(program, receiver, tmp_path))

    assert counted(receiver, RUN, "cicd.pipeline.name") == {("outer",): 1, ("in child",): 1}
    assert counted(receiver, "ansflow.user.activity", "action") == {("x",): 3}
    assert Counter(span.name for span in receiver.spans()) == {"RUN outer": 1, "RUN in child": 1}
    active = [
        {attributes_of(list(point.attributes))["cicd.pipeline.name"]: point.as_int}
        for metric in newest(receiver, "cicd.pipeline.run.active").values()
        for point in metric.sum.data_points
    ]
    assert sorted(active, key=str) == [{"in child": 0}, {"outer": 0}]


def plain_python(program: str) -> str:
    """Run a program without `opentelemetry-instrument`, and return its output."""
    command = [sys.executable, "-W", "error", "-c", program]
    return finished(subprocess.run(command, capture_output=True, text=True, timeout=60, check=False))


def test_without_an_sdk_nothing_is_recorded_or_loaded() -> None:
    """The calls may stay in an application without telemetry: they do nothing, and load no SDK."""
    output = plain_python("""
import sys
from ansflow_instrumentation import business
business.user_activity(None)
with business.pipeline_run("p", project="x") as run:
    run.result = "timeout"
    run.fail("e")
with business.integration_call("i") as call:
    call.fail("e")
loaded = [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
print(run.result, run.error_type, call.failed, loaded)
""")
    assert output == "failure e True []\n"


async def test_what_a_type_checker_sees() -> None:
    """Decorated functions keep their types, and a result is one of its names or an enumeration's member."""

    @business.integration_call("registry")
    async def push(image: str, *, tag: str = "latest") -> str:
        return f"{image}:{tag}"

    class Worker:
        @business.pipeline_run("build", project="web-shop")
        def build(self, number: int) -> int:
            return number + 1

    pushed: str = await push("shop", tag="1.4")
    built: int = Worker().build(1)
    async with business.pipeline_run("release", project="web-shop") as run:
        run.result = "skip"
        run.result = business.RunResult.TIMEOUT
    result: business.RunResult | None = run.result
    assert (pushed, built, result) == ("shop:1.4", 2, business.RunResult.TIMEOUT)


def test_providers_may_be_set_after_the_import_and_the_first_calls() -> None:
    """What is called before an SDK is there is not recorded; from then on everything is."""
    output = plain_python("""
from ansflow_instrumentation import business
business.user_activity("before")
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
business.user_activity("after")
with business.pipeline_run("p", project="x"):
    pass
data = reader.get_metrics_data()
print(sorted(
    (metric.name, point.attributes.get("action"))
    for metric in data.resource_metrics[0].scope_metrics[0].metrics for point in metric.data.data_points
))
""")
    expected = [
        ("ansflow.user.activity", "after"),
        ("cicd.pipeline.run.active", None),
        ("cicd.pipeline.run.duration", None),
    ]
    assert output == f"{expected}\n"


@pytest.mark.parametrize("module", ["activity", "integration", "pipeline", ""])
def test_examples_in_docstrings_run(module: str) -> None:
    """What the docstrings show is what happens."""
    documented = importlib.import_module(f"ansflow_instrumentation.business.{module}".rstrip("."))
    results = doctest.testmod(documented)
    assert results.attempted > 0
    assert results.failed == 0


def test_a_block_shared_by_tasks_keeps_their_measurements_apart(
    receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """One block, entered by several tasks and threads at once, and left in the order they were entered."""
    program = """
import asyncio, threading
from ansflow_instrumentation import business

shared = business.pipeline_run("shared", project="web-shop", pipeline_type="build", run_id="r-1")

async def task(begun, may_end, error):
    async with shared as it:
        begun.set()
        await may_end.wait()
        if error:
            it.fail(error)

async def main():
    events = [asyncio.Event() for _ in range(4)]
    first = asyncio.create_task(task(events[0], events[1], "first"))
    await events[0].wait()
    second = asyncio.create_task(task(events[2], events[3], ""))
    await events[2].wait()
    events[1].set()
    await first
    events[3].set()
    await second

asyncio.run(main())

begun, may_end = threading.Event(), threading.Event()

def thread():
    with shared as it:
        begun.set()
        may_end.wait()
        it.fail("thread")

other = threading.Thread(target=thread)
other.start()
begun.wait()
entered = shared.__enter__()
may_end.set()
other.join()
shared.__exit__(None, None, None)
"""
    done = run_python(program, receiver, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Failed to detach" not in done.stderr
    spans = [span for span in receiver.spans() if span.name.endswith("shared")]
    failed = [
        span.status.code == Status.STATUS_CODE_ERROR
        for span in sorted(spans, key=lambda s: s.end_time_unix_nano)
    ]
    assert failed == [True, False, True, False]
    assert all(not span.parent_span_id for span in spans)
