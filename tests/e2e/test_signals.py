"""Every service's metrics, traces and logs arrive, and belong together."""

import time

import pytest
from support.load import Load
from support.polling import poll_until
from support.running_system import RunningSystem

SERVICES = ("ansflow-fastapi", "ansflow-django")


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_arrive(system: RunningSystem, load: Load, service: str) -> None:
    """The service's resource is known as ``target_info``, under its job."""
    assert load.requests("fastapi")

    def known() -> None:
        assert system.prometheus.query(
            f'target_info{{job="ansflow/{service}",deployment_environment_name="local"}}'
        )

    poll_until(known)


@pytest.mark.parametrize("service", SERVICES)
def test_traces_arrive(system: RunningSystem, load: Load, service: str) -> None:
    """The service's spans reach what the Collector exports traces to."""
    assert load.requests("fastapi")

    def arrived() -> None:
        assert any(span.service == service for span in system.spans())

    poll_until(arrived)


@pytest.mark.parametrize("service", SERVICES)
def test_logs_arrive_with_their_trace(system: RunningSystem, load: Load, service: str) -> None:
    """What the service logs during a request has the trace id of a span of the same service."""
    assert load.requests("fastapi")

    def correlated() -> None:
        traces = {span.trace_id for span in system.spans() if span.service == service}
        logged = {record.trace_id for record in system.log_records() if record.service == service}
        assert traces & (logged - {""})

    poll_until(correlated)


@pytest.mark.parametrize(("caller", "callee"), [SERVICES, tuple(reversed(SERVICES))])
def test_a_trace_crosses_both_services(system: RunningSystem, load: Load, caller: str, callee: str) -> None:
    """A service's SERVER span is the child of the other's CLIENT span, in both directions."""
    assert load.requests("fastapi")

    def crossed() -> None:
        spans = system.spans()
        clients = {
            (span.trace_id, span.span_id) for span in spans if span.service == caller and span.is_client
        }
        served = {
            (span.trace_id, span.parent_id) for span in spans if span.service == callee and span.is_server
        }
        assert clients & served

    poll_until(crossed)


def test_an_exemplar_leads_to_a_trace(system: RunningSystem, load: Load) -> None:
    """The duration histogram's exemplars, as Prometheus keeps them, name traces that were exported."""
    assert load.requests("fastapi")

    def found() -> None:
        now = time.time()
        series = system.prometheus.exemplars("http_server_request_duration_seconds_bucket", now - 600, now)
        named = {exemplar["labels"]["trace_id"] for each in series for exemplar in each["exemplars"]}
        assert named & {span.trace_id for span in system.spans()}

    poll_until(found)


def test_spans_are_metrics_too(system: RunningSystem, load: Load) -> None:
    """The Collector makes rate, errors and duration from all spans of both services."""
    assert load.requests("fastapi")

    def both() -> None:
        samples = system.prometheus.query("sum by (service_name) (traces_span_metrics_calls_total)")
        assert {sample.labels.get("service_name") for sample in samples} >= set(SERVICES)

    poll_until(both)
