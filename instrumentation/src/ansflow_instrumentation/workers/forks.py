"""A forked child starts with nothing of its parent's: no sums, no locks that are held, no connections.

The SDK 1.45 clears the child's spans and logs, and gives it a resource of its own; its metrics stay:

- the child goes on counting from the parent's sums, so that what was counted before the fork is counted once
  per worker (gunicorn `--preload`);
- a lock that another thread of the parent held at that moment is held in the child for ever
  (https://github.com/open-telemetry/opentelemetry-python/issues/4345);
- exporters keep the parent's idle connections, and two processes write into one socket.

So the child gets new ones of all of these, before the SDK's own handlers (this one is registered earlier)
start its threads. What is replaced is private to the SDK: it is tried out once, and left alone if it is not
built as expected.
"""

import copy
import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry._logs import get_logger_provider
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.trace import get_tracer_provider

from ansflow_instrumentation.survive import survive

__all__ = ["forget_the_parent", "sdk_can_forget"]

_logger = logging.getLogger(__name__)

Replacement = tuple[Any, str, Any]
"""An object, the name of one of its attributes, and what it is in the child."""


def forget_the_parent() -> None:
    """Replace, in a forked child, what the providers have of the parent."""
    if not sdk_can_forget.cache_info().currsize or not sdk_can_forget():
        return
    parts: tuple[tuple[str, Callable[[], Iterator[Replacement]]], ...] = (
        ("metrics", lambda: _of_metrics(get_meter_provider())),
        ("spans", lambda: _of_batches(get_tracer_provider(), "_active_span_processor", "_span_processors")),
        ("logs", lambda: _of_batches(get_logger_provider(), *_LOG_PROCESSORS)),
    )
    for signal, replacements in parts:
        with survive(f"Preparing {signal} for a forked process"):
            for owner, name, value in replacements():
                setattr(owner, name, value)


_LOG_PROCESSORS = ("_multi_log_record_processor", "_log_record_processors")


def _of_metrics(provider: Any) -> Iterator[Replacement]:
    consumer = getattr(provider, "_measurement_consumer", None)
    if consumer is None:
        return  # the API's provider
    yield consumer, "_lock", threading.Lock()
    yield (
        consumer,
        "_reader_storages",
        {
            reader: type(storage)(
                storage._sdk_config,
                storage._instrument_class_temporality,
                storage._instrument_class_aggregation,
            )
            for reader, storage in consumer._reader_storages.items()
        },
    )
    for meter in list(provider._meters.values()):
        yield meter, "_instrument_registration_lock", threading.Lock()
        yield meter, "_instrument_ids_lock", threading.Lock()  # the API's
    for reader in consumer._reader_storages:
        yield from _existing(reader, "_export_lock", threading.Lock())
        yield from _existing(reader, "_shutdown_event", threading.Event())
        yield from _of_exporter(getattr(reader, "_exporter", None))


def _of_batches(provider: Any, multi: str, processors: str) -> Iterator[Replacement]:
    multi_processor = getattr(provider, multi, None)
    if multi_processor is None:
        return
    yield from _existing(multi_processor, "_lock", threading.Lock())
    for processor in getattr(multi_processor, processors, ()):
        batches = getattr(processor, "_batch_processor", None)
        yield from _of_exporter(getattr(batches, "_exporter", None))


def _of_exporter(exporter: Any) -> Iterator[Replacement]:
    """Give an OTLP/HTTP exporter connections of its own; the parent's stay open for the parent."""
    client = getattr(exporter, "_client", None)
    yield from _existing(client, "_shutdown_event", threading.Event())
    session = getattr(getattr(client, "_transport", None), "_session", None)
    adapters = getattr(session, "adapters", None)
    if session is None or adapters is None:
        return
    # Copies are made as for pickling: with new pools and locks, and no connections.
    yield session, "cookies", copy.copy(session.cookies)
    yield session, "adapters", type(adapters)((prefix, copy.copy(a)) for prefix, a in adapters.items())


def _existing(owner: Any, name: str, value: Any) -> Iterator[Replacement]:
    if hasattr(owner, name):
        yield owner, name, value


@functools.cache
def sdk_can_forget() -> bool:
    """Try out whether sums are gone, locks are free and counting goes on, once their owners are replaced.

    Returns:
        Whether they do. If not, there is one warning, and forked processes are as the SDK makes them.
    """
    try:
        fits = _forgets()
    except Exception:  # noqa: BLE001 # any failure means that this SDK is another one
        fits = False
    if not fits:
        _logger.warning(
            "opentelemetry-sdk %s is not built as expected: what is counted before a fork is counted in each "
            "forked process again",
            sdk_version,
        )
    return fits


def _forgets() -> bool:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    meter = provider.get_meter("tried")
    counter = meter.create_counter("tried")
    counter.add(1)
    consumer: Any = provider._measurement_consumer
    locks: Any = meter
    with consumer._lock, locks._instrument_registration_lock, locks._instrument_ids_lock:
        held = [storage._lock for storage in consumer._reader_storages.values()]
        for owner, name, value in _of_metrics(provider):
            if not hasattr(owner, name):
                return False
            setattr(owner, name, value)
    before: Any = reader.get_metrics_data()
    meter.create_counter("more")
    counter.add(2)
    after: Any = reader.get_metrics_data()
    provider.shutdown()
    (point,) = after.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    renewed = all(storage._lock not in held for storage in consumer._reader_storages.values())
    return before is None and point.value == 2 and renewed


def is_supported() -> bool:
    """Tell whether this system forks at all.

    Returns:
        Whether it does.
    """
    return hasattr(os, "register_at_fork")
