"""Events that were sent to the gateway, as Prometheus has counted them."""

import time

import httpx
import pytest
from ansflow_stack.local import ports
from support.events import DURATION_SUM, PROJECT, RUNS, USER_TYPE, run_finished
from support.polling import poll_until
from support.running_system import RunningSystem

pytestmark = pytest.mark.usefixtures("business")


def test_each_run_is_counted_once(system: RunningSystem) -> None:
    """Counts by status and the duration's sum are exact, though half of the events were sent twice."""

    def counted() -> None:
        samples = system.prometheus.query(f'sum by (status) (ansflow_pipelines_total{{project="{PROJECT}"}})')
        assert {sample.labels["status"]: sample.value for sample in samples} == RUNS
        durations = f'ansflow_pipeline_duration_seconds{{project="{PROJECT}"}}'
        assert system.prometheus.value(f"sum({durations.replace('{', '_count{')})") == sum(RUNS.values())
        total = system.prometheus.value(f"sum({durations.replace('{', '_sum{')})")
        assert total == pytest.approx(DURATION_SUM)

    poll_until(counted)
    time.sleep(7)
    counted()


def test_user_activity_is_counted_once(system: RunningSystem) -> None:
    """Counts by action and kind of user are exact."""

    def counted() -> None:
        samples = system.prometheus.query(
            f'sum by (action) (ansflow_user_activity_total{{user_type="{USER_TYPE}"}})'
        )
        assert {sample.labels["action"]: sample.value for sample in samples} == {"deploy": 3, "review": 4}

    poll_until(counted)


def test_the_project_is_active(system: RunningSystem) -> None:
    """A project with a finished run is among the active ones."""

    def active() -> None:
        assert system.prometheus.value("ansflow_active_projects_total") >= 1

    poll_until(active)


def test_both_services_are_healthy(system: RunningSystem) -> None:
    """The gateway's prober sees each service and its database pass."""

    def healthy() -> None:
        samples = system.prometheus.query("ansflow_health_check_status")
        status = {(sample.labels["service"], sample.labels["check"]): sample.value for sample in samples}
        for service in ("fastapi", "django"):
            assert status[service, "overall"] == 1
            assert status[service, "database:responseTime"] == 1

    poll_until(healthy)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "field"),
    [
        (b"{", "application/cloudevents+json", 400, "body"),
        (b"[1]", "application/cloudevents+json", 422, "body"),
        (b'"' + b"x" * 2_000_000 + b'"', "application/cloudevents+json", 413, "body"),
        (run_finished(type="dev.ansflow.unheard.of.v1"), "application/cloudevents+json", 422, "type"),
        (run_finished(duration_s=-1), "application/cloudevents+json", 422, "data.duration_s"),
        (run_finished(duration_s=float("nan")), "application/cloudevents+json", 400, "data.duration_s"),
        (run_finished(project=7), "application/cloudevents+json", 422, "data.project"),
        (run_finished(), "text/plain", 415, "content-type"),
    ],
    ids=["not JSON", "no event", "2 MB", "unknown type", "negative", "NaN", "wrong type", "media type"],
)
def test_bad_input_is_refused_and_counted_and_changes_nothing(
    system: RunningSystem, body: bytes, content_type: str, status: int, field: str
) -> None:
    """The answer names the field; one refusal is counted, and no other number of the gateway's moves."""

    def business() -> dict[str, float]:
        page = httpx.get(system.url(ports.GATEWAY, "/metrics"), trust_env=False).text
        return {
            line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in page.splitlines()
            if line.startswith(("cicd_", "ansflow_user_", "ansflow_active_", "ansflow_gateway_events_"))
            and "_created" not in line
        }

    before = business()
    answer = httpx.post(
        system.url(ports.GATEWAY, "/v1/events"),
        content=body,
        headers={"Content-Type": content_type},
        trust_env=False,
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["field"] == field, answer.text
    after = business()
    changed = {
        name: after[name] - before.get(name, 0.0) for name in after if after[name] != before.get(name, 0.0)
    }
    assert list(changed.values()) == [1.0], changed
    assert next(iter(changed)).startswith("ansflow_gateway_events_rejected_total")
