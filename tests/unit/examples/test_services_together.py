"""All services as real processes, on real SQLite, calling each other, with traffic on them."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

Launch = Callable[[list[str], dict[str, str]], "subprocess.Popen[bytes]"]
Sink = tuple[str, list[list[dict[str, Any]]], deque[int]]
Eventually = Callable[[Callable[[], object]], object]
Urls = dict[str, str]


@pytest.fixture(scope="module")
def urls(
    launch: Launch,
    answers: Callable[[str], httpx.Response],
    free_port: Callable[[], int],
    data_dir: Path,
    sink: Sink,
) -> Urls:
    """Start the outside service, the Django service with two workers, and the FastAPI service."""
    ports = {name: free_port() for name in ("outside", "django", "fastapi")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    environment = {
        "DATA_DIR": str(data_dir),
        "DJANGO_SERVICE_URL": urls["django"],
        "FASTAPI_SERVICE_URL": urls["fastapi"],
        "OUTSIDE_SERVICE_URL": urls["outside"],
        "EVENT_SINK_URL": sink[0],
        "STAGE_TIME_FACTOR": "0.1",
        "STAGE_FAILURE_SHARE": "0",
    }
    for _ in range(2):  # the second finds everything done
        assert launch(["django_service", "migrate"], environment).wait(60) == 0
    launch(
        ["outside_service", "--port", str(ports["outside"]), "--error-share", "0", "--seed", "1"], environment
    )
    launch(
        [
            "gunicorn",
            "--config",
            "python:django_service.gunicorn_settings",
            "--bind",
            f"127.0.0.1:{ports['django']}",
        ],
        environment,
    )
    launch(
        ["uvicorn", "fastapi_service.main:app", "--host", "127.0.0.1", "--port", str(ports["fastapi"])],
        environment,
    )
    assert answers(f"{urls['outside']}/v1/status").status_code == 200
    for name in ("django", "fastapi"):
        assert answers(f"{urls[name]}/health/ready").status_code == 200
    return urls


@pytest.mark.parametrize(
    ("name", "peer"), [("django", "fastapi:responseTime"), ("fastapi", "django:responseTime")]
)
def test_services_find_each_other_well(urls: Urls, name: str, peer: str) -> None:
    """With everything there each service is well, its peer included, in the one format."""
    answer = httpx.get(f"{urls[name]}/health/", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/health+json"
    assert answer.headers["Cache-Control"] == "no-store"
    report = answer.json()
    assert report["status"] == "pass"
    assert report["serviceId"] == f"ansflow-{name}"
    assert {peer, "database:responseTime", "cache:responseTime", "uptime"} <= set(report["checks"])
    live = httpx.get(f"{urls[name]}/health/live", trust_env=False).json()
    assert set(live["checks"]) == {"uptime"}


def test_fastapi_asks_django(urls: Urls) -> None:
    """A project's owner comes from the management service, and only owners that it knows are taken."""
    with httpx.Client(base_url=urls["fastapi"], trust_env=False) as client:
        detail = client.get("/api/v1/projects/payments").json()
        assert detail["owner_details"] == {
            "username": "grace",
            "display_name": "Grace Hopper",
            "user_type": "developer",
        }
        body = {
            "slug": "new",
            "name": "New",
            "repository_url": "https://git.example.com/n",
            "owner": "nobody",
        }
        assert client.post("/api/v1/projects", json=body).status_code == 422
        assert client.post("/api/v1/projects", json=body | {"owner": "ada"}).status_code == 201
        assert client.post("/api/v1/projects", json=body | {"owner": "ada"}).status_code == 409


def test_django_asks_fastapi_and_events_arrive(urls: Urls, sink: Sink, eventually: Eventually) -> None:
    """A run started in one service shows in the other, and its end and its starter reach the event sink."""
    pipelines = httpx.get(f"{urls['fastapi']}/api/v1/projects/web-shop/pipelines", trust_env=False).json()
    build = next(item for item in pipelines if item["name"] == "build-and-test")
    started = httpx.post(
        f"{urls['fastapi']}/api/v1/pipelines/{build['id']}/runs",
        json={},
        headers={"X-User": "ada"},
        trust_env=False,
    )
    assert started.status_code == 201
    run_id = started.json()["id"]

    def finished() -> Any:
        runs = httpx.get(f"{urls['django']}/api/projects/web-shop/runs/", trust_env=False).json()["runs"]
        return next((run for run in runs if run["id"] == run_id and run["state"] == "finished"), None)

    run: Any = eventually(finished)
    assert (run["result"], run["triggered_by"]) == ("success", "ada")

    def event(of_type: str, **data: object) -> Any:
        events = [event for batch in sink[1] for event in batch]
        return next(
            (event for event in events if event["type"] == of_type and data.items() <= event["data"].items()),
            None,
        )

    ended: Any = eventually(lambda: event("dev.ansflow.pipeline.run.finished.v1", run_id=run_id))
    assert ended["source"] == "/services/fastapi"
    assert ended["data"] == {
        "run_id": run_id,
        "pipeline": "build-and-test",
        "project": "web-shop",
        "pipeline_type": "build",
        "result": "success",
        "duration_s": run["duration_s"],
    }
    who: Any = eventually(lambda: event("dev.ansflow.user.activity.v1", action="run_started", user_id="ada"))
    assert who["data"]["user_type"] == "admin"
    httpx.post(f"{urls['django']}/api/sessions/", json={"username": "ci-bot"}, trust_env=False)
    login: Any = eventually(lambda: event("dev.ansflow.user.activity.v1", action="login", user_id="ci-bot"))
    assert (login["source"], login["data"]["user_type"]) == ("/services/django", "service")


def test_settings_of_one_service_hold_in_the_other(urls: Urls) -> None:
    """A project that is paused in the management service takes no runs until it goes on."""
    settings = f"{urls['django']}/api/projects/mobile-app/settings/"
    pipelines = httpx.get(f"{urls['fastapi']}/api/v1/projects/mobile-app/pipelines", trust_env=False).json()
    runs = f"{urls['fastapi']}/api/v1/pipelines/{pipelines[0]['id']}/runs"
    assert httpx.put(settings, json={"paused": True}, trust_env=False).status_code == 200
    refused = httpx.post(runs, json={}, trust_env=False)
    assert (refused.status_code, refused.json()["detail"]) == (409, "project 'mobile-app' is paused")
    httpx.put(settings, json={"paused": False, "run_timeout_s": 30}, trust_env=False)
    assert httpx.post(runs, json={}, trust_env=False).status_code == 201


async def test_monitor_sends_snapshots(urls: Urls) -> None:
    """The monitor sends a snapshot at once, and more at its interval, to each who watches."""
    address = urls["fastapi"].replace("http", "ws") + "/ws/monitor?interval_s=0.1"
    async with connect(address, proxy=None) as one, connect(address, proxy=None) as other:
        await other.recv()
        snapshots = [json.loads(await one.recv()) for _ in range(5)]
    assert set(snapshots[0]["runs_by_state"]) == {"created", "queued", "running", "finished"}
    assert snapshots[-1]["monitors"] == 2
    assert snapshots[0]["time"] < snapshots[-1]["time"]


async def test_pipeline_progress_is_sent(urls: Urls) -> None:
    """Who watches a pipeline sees its runs through all stages up to the end."""
    async with httpx.AsyncClient(base_url=urls["fastapi"], trust_env=False) as client:
        pipelines = (await client.get("/api/v1/projects/data-platform/pipelines")).json()
        deploy = next(item for item in pipelines if item["name"] == "deploy")
        address = urls["fastapi"].replace("http", "ws") + f"/ws/pipelines/{deploy['id']}"
        async with connect(address, proxy=None) as socket:
            # The answer to a ping comes after the listening has begun.
            await (await socket.ping())
            run_id = (await client.post(f"/api/v1/pipelines/{deploy['id']}/runs", json={})).json()["id"]
            seen = []
            async with asyncio.timeout(30):
                async for message in socket:
                    run = json.loads(message)
                    if run["id"] == run_id:
                        seen.append((run["state"], run["stage"], run["result"]))
                    if run["state"] == "finished":
                        break
    assert seen == [
        ("running", None, None),
        ("running", "checkout", None),
        ("running", "build", None),
        ("running", "deploy", None),
        ("finished", None, "success"),
    ]


async def test_progress_of_a_missing_pipeline(urls: Urls) -> None:
    """A WebSocket for a pipeline that is not there is closed with a code that says so."""
    async with connect(urls["fastapi"].replace("http", "ws") + "/ws/pipelines/9999", proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4404


async def test_websocket_of_a_service_without_its_database(
    launch: Launch, answers: Callable[[str], httpx.Response], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Where the database is away, a WebSocket is closed with the code for `try again later`."""
    port = free_port()
    arguments = ["fastapi_service.main:app", "--host", "127.0.0.1", "--port", str(port)]
    launch(["uvicorn", *arguments], {"DATABASE_URL": f"sqlite:///{tmp_path}"})
    assert answers(f"http://127.0.0.1:{port}/health/ready").status_code == 503
    async with connect(f"ws://127.0.0.1:{port}/ws/monitor", proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1013


def test_traffic_sends_exactly_what_it_is_told(urls: Urls, tmp_path: Path) -> None:
    """`--requests N` sends N requests to each service; the summary adds up, by route and status."""
    summary = tmp_path / "summary.json"
    # Enough of them that chance starts a run, though it has to find the pipelines first.
    requests = 400
    arguments = [
        "--requests",
        str(requests),
        "--rate",
        "0",
        "--websocket-sessions",
        "2",
        "--summary",
        str(summary),
    ]
    traffic = subprocess.run(
        [
            sys.executable,
            "-m",
            "traffic",
            "--fastapi-url",
            urls["fastapi"],
            "--django-url",
            urls["django"],
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert traffic.returncode == 0, traffic.stdout + traffic.stderr
    sent = json.loads(summary.read_text())
    for name in ("fastapi", "django"):
        service = sent["services"][name]
        assert (service["requests"], service["errors"]) == (requests, 0)
        assert sum(route["count"] for route in service["by_route"]) == requests
        statuses = {route["status"] for route in service["by_route"]}
        assert {200, 404} <= statuses
        assert not {status for status in statuses if status >= 500}
    assert sum(route["sessions"] for route in sent["websockets"]) == 2
    assert sum(route["errors"] for route in sent["websockets"]) == 0
    assert sent["runs_started"] > 0
    report = httpx.get(f"{urls['fastapi']}/health/", trust_env=False).json()
    assert report["checks"]["runs:active"][0]["observedValue"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_traffic_stops_when_told(urls: Urls, tmp_path: Path, number: signal.Signals) -> None:
    """Traffic without an end reports its progress, and ends well at SIGINT and SIGTERM."""
    summary = tmp_path / "summary.json"
    with subprocess.Popen(
        [
            *[
                sys.executable,
                "-m",
                "traffic",
                "--rate",
                "50",
                "--progress",
                "0.5",
                "--summary",
                str(summary),
            ],
            *["--fastapi-url", urls["fastapi"], "--django-url", urls["django"]],
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as traffic:
        assert traffic.stdout is not None
        line = traffic.stdout.readline()
        assert "requests (fastapi" in line
        traffic.send_signal(number)
        rest = traffic.stdout.read()
        assert traffic.wait(30) == 0
    assert "done in" in rest
    assert json.loads(summary.read_text())["services"]["django"]["requests"] > 0


def test_traffic_says_who_is_not_ready(free_port: Callable[[], int], urls: Urls) -> None:
    """Traffic for a service that does not get ready ends with an error that names it."""
    traffic = subprocess.run(
        [
            *[sys.executable, "-m", "traffic", "--wait", "0.5", "--fastapi-url", urls["fastapi"]],
            *["--django-url", f"http://127.0.0.1:{free_port()}"],
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert traffic.returncode == 1
    assert "django at http://127.0.0.1:" in traffic.stderr
    assert "is not ready: ConnectError" in traffic.stderr
