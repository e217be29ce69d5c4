"""The publisher of domain events, against a real HTTP sink."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable

import pytest
from platform_events import EventPublisher, PipelineRunFinished, UserActivity
from platform_events.answers import Outcome, Verdict
from platform_events.sink import HttpSink

Sink = tuple[str, list[list[dict[str, object]]], deque[int]]

LOGIN = UserActivity(action="login", user_type="admin", user_id="ada")


@pytest.fixture(autouse=True)
def _empty(sink: Sink) -> None:
    sink[1].clear()
    sink[2].clear()


def test_delivers_cloud_events(sink: Sink) -> None:
    """An event arrives as a CloudEvent 1.0 with the contract's data, absent fields left out."""
    url, batches, _ = sink
    publisher = EventPublisher.to_url(url, source="/services/test")
    assert publisher.publish(LOGIN)
    assert publisher.publish(
        PipelineRunFinished(
            run_id="r1",
            pipeline="deploy",
            project="web-shop",
            pipeline_type="deploy",
            result="success",
            duration_s=1.5,
        )
    )
    assert publisher.close(10)
    first, second = (event for batch in batches for event in batch)
    assert first["specversion"] == "1.0"
    assert first["type"] == "dev.ansflow.user.activity.v1"
    assert first["source"] == "/services/test"
    assert first["data"] == {"action": "login", "user_type": "admin", "user_id": "ada"}
    assert second["type"] == "dev.ansflow.pipeline.run.finished.v1"
    assert second["data"] == {
        "run_id": "r1",
        "pipeline": "deploy",
        "project": "web-shop",
        "pipeline_type": "deploy",
        "result": "success",
        "duration_s": 1.5,
    }
    assert first["id"] != second["id"]
    assert publisher.counts.delivered == 2


def test_tries_again_with_the_same_ids(sink: Sink) -> None:
    """A sink that asks for patience gets the same batch again, and takes it once."""
    url, batches, statuses = sink
    statuses.extend([503, 429])
    publisher = EventPublisher(HttpSink(url), source="/t", first_backoff_s=0.01)
    publisher.publish(LOGIN)
    assert publisher.flush(10)
    assert len(batches) == 1
    assert not statuses
    assert publisher.counts.delivered == 1
    assert publisher.close(10)


def test_drops_what_the_sink_refuses(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """A batch that the sink refuses for good is counted as dropped, logged, and not sent again."""
    url, batches, statuses = sink
    statuses.append(400)
    publisher = EventPublisher.to_url(url, source="/t")
    publisher.publish(LOGIN)
    assert publisher.flush(10)
    publisher.publish(LOGIN)
    assert publisher.close(10)
    assert (publisher.counts.dropped, publisher.counts.delivered) == (1, 1)
    assert len(batches) == 1
    assert "1 dropped so far (HTTP 400)" in caplog.text


class SlowSink:
    """A sink that takes nothing before it is told to."""

    def __init__(self) -> None:
        self.busy = threading.Event()
        self.go_on = threading.Event()
        self.sizes: list[int] = []

    def send(self, batch: list[dict[str, object]]) -> Outcome:
        """Wait, then take the batch."""
        self.busy.set()
        self.go_on.wait(30)
        self.sizes.append(len(batch))
        return Outcome(Verdict.TAKEN, "taken")


def test_full_queue_drops_and_batches_are_bounded() -> None:
    """While the sink is slow the queue fills up; what does not fit is dropped, the rest goes in batches."""
    sink = SlowSink()
    publisher = EventPublisher(sink, source="/t", capacity=5, batch_size=2)
    assert publisher.publish(LOGIN)
    assert sink.busy.wait(10)
    assert [publisher.publish(LOGIN) for _ in range(7)] == [True] * 5 + [False] * 2
    assert publisher.counts.dropped == 2
    assert publisher.counts.waiting == 6
    sink.go_on.set()
    assert publisher.close(10)
    assert sink.sizes == [1, 2, 2, 1]
    assert publisher.counts.delivered == 6


def test_close_keeps_its_deadline() -> None:
    """What a hanging sink has not taken at the deadline is dropped and counted, and close returns."""
    sink = SlowSink()
    publisher = EventPublisher(sink, source="/t", batch_size=1)
    publisher.publish(LOGIN)
    assert sink.busy.wait(10)
    publisher.publish(LOGIN)
    assert not publisher.close(0.05)
    assert publisher.counts.dropped == 2
    assert not publisher.publish(LOGIN)
    sink.go_on.set()


def test_gives_up_on_a_sink_that_is_away(free_port: Callable[[], int]) -> None:
    """A sink that nobody runs costs the events after the last attempt, and nothing else."""
    publisher = EventPublisher(
        HttpSink(f"http://127.0.0.1:{free_port()}/"), source="/t", first_backoff_s=0.01, max_attempts=3
    )
    publisher.publish(LOGIN)
    assert publisher.flush(20)
    assert publisher.counts.dropped == 1
    assert publisher.close(10)


def test_without_a_sink_nothing_is_published() -> None:
    """A publisher without an address takes nothing and starts no thread."""
    before = threading.active_count()
    publisher = EventPublisher.to_url(None, source="/t")
    assert not publisher.publish(LOGIN)
    assert threading.active_count() == before
    assert publisher.close()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1:8080", "http://"])
def test_refuses_addresses_that_are_none(url: str) -> None:
    """A sink's address that is not http(s) is an error at the start that repeats it."""
    with pytest.raises(ValueError, match=r"expected an http\(s\) URL") as caught:
        HttpSink(url)
    assert repr(url) in str(caught.value)


def test_flushes_at_exit_and_in_forked_children(sink: Sink) -> None:
    """A process that just ends has delivered, and so has its forked child: each its own events, once."""
    url, batches, _ = sink
    script = """
import os, sys
from platform_events import EventPublisher, UserActivity
publisher = EventPublisher.to_url(sys.argv[1], source="/t")
publisher.publish(UserActivity("parent_before", "admin"))
child = os.fork()
if child == 0:
    publisher.publish(UserActivity("child", "admin"))
    sys.exit()
os.waitpid(child, 0)
publisher.publish(UserActivity("parent_after", "admin"))
"""
    subprocess.run([sys.executable, "-c", script, url], check=True, env=dict(os.environ), timeout=60)
    data = [event["data"] for batch in batches for event in batch]
    actions = sorted(item["action"] for item in data if isinstance(item, dict))
    assert actions == ["child", "parent_after", "parent_before"]
