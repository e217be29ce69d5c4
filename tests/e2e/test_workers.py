"""What each worker process tells of itself."""

from collections import Counter

from support.load import Load
from support.polling import poll_until
from support.running_system import RunningSystem

WORKERS = {"ansflow/ansflow-fastapi": 1, "ansflow/ansflow-django": 2}
"""How many processes serve each job."""


def test_each_worker_tells_of_its_own_process(system: RunningSystem, load: Load) -> None:
    """Memory, CPU, threads and age, once a worker; gunicorn's master, which serves nobody, goes silent."""
    assert load.requests("fastapi")

    def told() -> None:
        # What the master was before it became one may have been exported, and is served until it expires.
        growing = system.prometheus.query("sum by (job, instance) (changes(process_uptime_seconds[20s])) > 0")
        workers = {(sample.labels["job"], sample.labels["instance"]) for sample in growing}
        assert Counter(job for job, _ in workers) == WORKERS
        for metric in (
            "process_memory_usage_bytes",
            "process_cpu_time_seconds_total",
            "process_thread_count",
            "cpython_gc_collections_total",
        ):
            samples = system.prometheus.query(f"sum by (job, instance) ({metric}) > 0")
            assert workers <= {(sample.labels["job"], sample.labels["instance"]) for sample in samples}

    poll_until(told)


def test_the_event_loop_is_watched_where_there_is_one(system: RunningSystem, load: Load) -> None:
    """The FastAPI worker's loop has a lag; gunicorn's synchronous workers have no loop."""
    assert load.requests("fastapi")

    def watched() -> None:
        samples = system.prometheus.query("sum by (job) (ansflow_eventloop_lag_seconds_count) > 0")
        assert [sample.labels["job"] for sample in samples] == ["ansflow/ansflow-fastapi"]

    poll_until(watched)
