"""The dashboard `ansflow-workers`: the processes of the services, each for itself."""

from . import thresholds
from .layout import Page, Section
from .panels import THIRD, graph
from .queries import Query, quantile_by, rate_by, select

_WORKER = "{{job}} {{instance}}"
_POOL = "{{job}} {{instance}} {{pool}}"
_BY_POOL = "max by (job, instance, pool)"
_OVERFLOW = select("", 'otel_metric_overflow="true"')
_USED = select("ansflow_threadpool_threads", 'state="used"')


def _each(gauge: str) -> Query:
    return Query(f"max by (job, instance) ({select(gauge)})", _WORKER)


def _responsiveness() -> Section:
    return Section(
        "Responsiveness",
        [
            graph(
                "Event-loop lag",
                "How late each worker's event loop is, 99th percentile: while it is late, all its requests "
                "wait. AnsFlowEventLoopBlocked fires where one stays above the line.",
                "s",
                [Query(quantile_by(0.99, "ansflow_eventloop_lag_seconds", "job", "instance"), _WORKER)],
                limit=thresholds.EVENT_LOOP_LAG_SECONDS,
            ),
            graph(
                "CPU",
                "CPUs that each worker used. A Python worker without native code can't use more than one.",
                "short",
                [Query(rate_by("process_cpu_time_seconds_total", "job", "instance"), _WORKER)],
            ),
            graph(
                "Busy threads of pools",
                "Share of the threads that a pool may have which work: anyio's serve FastAPI's synchronous "
                "endpoints, asyncio's what is handed to them by to_thread. At 100 %, calls wait.",
                "percentunit",
                [Query(f"{_BY_POOL} ({_USED}) / {_BY_POOL} ({select('ansflow_threadpool_limit')})", _POOL)],
            ),
            graph(
                "Calls that wait for a thread",
                "Requests that stand still while neither CPU nor event loop is busy. "
                "AnsFlowThreadPoolExhausted fires where some wait all the time.",
                "short",
                [Query(f"{_BY_POOL} ({select('ansflow_threadpool_queue')})", _POOL)],
                limit=thresholds.WAITING_CALLS,
            ),
        ],
    )


def _memory() -> Section:
    return Section(
        "Memory",
        [
            graph(
                "Memory",
                "Resident memory of each worker. A slope is a leak: AnsFlowWorkerMemoryGrows compares with "
                "an hour before.",
                "bytes",
                [_each("process_memory_usage_bytes")],
                width=THIRD,
            ),
            graph(
                "Garbage collections",
                "Collections a minute by generation; many of the oldest one are pauses of all threads.",
                "cpm",
                [
                    Query(
                        f"60 * {rate_by('cpython_gc_collections_total', 'job', 'cpython_gc_generation')}",
                        "{{job}} generation {{cpython_gc_generation}}",
                    )
                ],
                width=THIRD,
            ),
            graph(
                "Pauses by garbage collections",
                "99th percentile of the collections above the youngest generation: all threads stand still.",
                "s",
                [
                    Query(
                        quantile_by(
                            0.99, "ansflow_gc_pause_duration_seconds", "job", "cpython_gc_generation"
                        ),
                        "{{job}} generation {{cpython_gc_generation}}",
                    )
                ],
                width=THIRD,
            ),
        ],
    )


def _resources() -> Section:
    return Section(
        "Resources",
        [
            graph(
                "Threads",
                "Threads of each worker; a number that only rises is a pool made again and again.",
                "short",
                [_each("process_thread_count")],
                width=THIRD,
            ),
            graph(
                "Open files",
                "Files and sockets that each worker holds; `ulimit -n` is where requests begin to fail.",
                "short",
                [_each("process_unix_file_descriptor_count")],
                width=THIRD,
            ),
            graph(
                "Age",
                "How long each worker has run: it falls to zero where one was started again.",
                "s",
                [_each("process_uptime_seconds")],
                width=THIRD,
            ),
            graph(
                "Overflowing metrics",
                "Metrics of which a worker records label sets beyond the limit into one series. While it "
                "goes on, AnsFlowSeriesOverflow fires; all zero is good news.",
                "short",
                [
                    Query(
                        f"count by (job, instance) ({_OVERFLOW}) "
                        f"or 0 * count by (job, instance) ({select('target_info')})",
                        _WORKER,
                    )
                ],
                width=THIRD,
            ),
        ],
    )


WORKERS_PAGE = Page(
    uid="ansflow-workers",
    title="AnsFlow workers",
    description="The services' workers: event loop, CPU, memory, garbage collection, threads, open files.",
    jobs_of="process_memory_usage_bytes",
    sections=(_responsiveness(), _memory(), _resources()),
)
