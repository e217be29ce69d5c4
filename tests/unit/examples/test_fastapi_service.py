"""The FastAPI application in this process: real SQLite, a real outside service, no management service."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi_service.app import build_app
from fastapi_service.config import Config
from outside_service.app import Conditions
from outside_service.app import build_app as build_outside
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

Json = dict[str, object]


@pytest.fixture(scope="module")
def outside(free_port: Callable[[], int]) -> Iterator[tuple[str, Conditions]]:
    """Run the outside service; what it is like can be changed while it runs."""
    chance = random.Random(1)  # noqa: S311 - simulated weather is no secret
    conditions = Conditions(error_share=0, median_latency_s=0, chance=chance)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(build_outside(conditions), host="127.0.0.1", port=port, log_config=None)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{port}", conditions
    server.should_exit = True
    thread.join()


@pytest.fixture
def config(tmp_path: Path, free_port: Callable[[], int], outside: tuple[str, Conditions]) -> Config:
    """A configuration whose runs take no time and never fail."""
    outside[1].error_share = 0
    return Config.from_environment(
        {
            "DATA_DIR": str(tmp_path / "data"),
            "DJANGO_SERVICE_URL": f"http://127.0.0.1:{free_port()}",
            "OUTSIDE_SERVICE_URL": outside[0],
            "STAGE_TIME_FACTOR": "0.001",
            "STAGE_FAILURE_SHARE": "0",
        }
    )


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application and give a client of it."""
    app = build_app(config)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield client


async def finished(client: httpx.AsyncClient, run_id: object) -> Json:
    """Wait until a run is finished, and return it."""

    async def poll() -> Json:
        while True:
            run: Json = (await client.get(f"/api/v1/runs/{run_id}")).json()
            if run["state"] == "finished":
                return run
            await asyncio.sleep(0.02)

    return await asyncio.wait_for(poll(), 30)


async def test_run_goes_from_queued_to_finished(config: Config) -> None:
    """A created run is queued, works through its stages, and ends with times and a result."""
    async with running(config) as client:
        created = await client.post("/api/v1/pipelines/1/runs", json={"branch": "feature/x"})
        assert created.status_code == 201
        assert created.json()["state"] == "queued"
        assert created.headers["Location"] == f"/api/v1/runs/{created.json()['id']}"
        run = await finished(client, created.json()["id"])
        assert (run["result"], run["error_type"], run["branch"]) == ("success", None, "feature/x")
        assert isinstance(run["duration_s"], float)
        assert str(run["created_at"]) <= str(run["started_at"]) <= str(run["finished_at"])
        listed = (await client.get("/api/v1/pipelines/1/runs", params={"state": "finished"})).json()
        assert [item["id"] for item in listed] == [run["id"]]
        stats = (await client.get("/api/v1/projects/web-shop/stats")).json()
        assert stats["success_share"] == 1


async def test_run_is_started_once(config: Config) -> None:
    """A run that was only created waits for its start; a second start is a conflict."""
    async with running(config) as client:
        created = (await client.post("/api/v1/pipelines/2/runs", json={"start": False})).json()
        assert created["state"] == "created"
        path = f"/api/v1/runs/{created['id']}/start"
        statuses = sorted(
            [answer.status_code for answer in await asyncio.gather(client.post(path), client.post(path))]
        )
        assert statuses == [202, 409]
        assert (await finished(client, created["id"]))["result"] == "success"


async def test_failing_stage_fails_the_run(config: Config) -> None:
    """A stage that fails ends the run as a failure with that stage's kind of error."""
    async with running(replace(config, stage_failure_share=1.0)) as client:
        created = (await client.post("/api/v1/pipelines/1/runs", json={})).json()
        run = await finished(client, created["id"])
        assert (run["result"], run["error_type"]) == ("failure", "checkout_failed")


async def test_registry_that_fails_makes_the_run_an_error(
    config: Config, outside: tuple[str, Conditions]
) -> None:
    """Where the outside registry keeps failing, a run that publishes is an error, and a check a 502."""
    outside[1].error_share = 1.0
    async with running(config) as client:
        created = (await client.post("/api/v1/pipelines/1/runs", json={})).json()
        run = await finished(client, created["id"])
        assert (run["result"], run["error_type"]) == ("error", "registry_unavailable")
        assert (await client.post("/api/v1/integrations/1/check")).status_code == 502
        outside[1].error_share = 0
        assert (await client.post("/api/v1/integrations/1/check")).status_code == 200
        assert (await client.get("/api/v1/integrations/1")).json()["last_status"] == "working"


async def test_cancelled_run(config: Config) -> None:
    """A running run can be cancelled, once."""
    async with running(replace(config, stage_time_factor=100)) as client:
        created = (await client.post("/api/v1/pipelines/1/runs", json={})).json()
        path = f"/api/v1/runs/{created['id']}/cancel"
        assert (await client.post(path)).status_code == 202
        assert (await finished(client, created["id"]))["result"] == "cancellation"
        assert (await client.post(path)).status_code == 409


async def test_shutdown_ends_active_runs(config: Config) -> None:
    """Runs that are active when the service stops are cancelled in the database, and found so afterwards."""
    async with running(replace(config, stage_time_factor=100)) as client:
        created = (await client.post("/api/v1/pipelines/1/runs", json={})).json()
    async with running(config) as client:
        run = (await client.get(f"/api/v1/runs/{created['id']}")).json()
        assert (run["state"], run["result"]) == ("finished", "cancellation")


async def test_run_limit_and_disabled_pipelines_are_conflicts(config: Config) -> None:
    """A project takes as many runs at a time as its settings say, and a disabled pipeline none."""
    async with running(replace(config, stage_time_factor=100)) as client:
        statuses = [(await client.post("/api/v1/pipelines/1/runs", json={})).status_code for _ in range(5)]
        assert statuses == [201, 201, 201, 201, 409]
        await client.patch("/api/v1/pipelines/4", json={"enabled": False})
        refused = await client.post("/api/v1/pipelines/4/runs", json={})
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "pipeline 'build-and-test' is disabled",
        )


async def test_resources_are_created_changed_and_deleted(config: Config) -> None:
    """Pipelines and integrations have their life cycle; names are taken once a project."""
    async with running(config) as client:
        body = {"name": "lint", "kind": "test", "stages": ["checkout", "lint"]}
        path = "/api/v1/projects/payments/pipelines"
        created = await client.post(path, json=body)
        assert (created.status_code, created.json()["project"]) == (201, "payments")
        assert (await client.post(path, json=body)).status_code == 409
        where = created.headers["Location"]
        assert (await client.patch(where, json={"stages": ["lint"]})).json()["stages"] == ["lint"]
        assert (await client.delete(where)).status_code == 204
        assert (await client.get(where)).status_code == 404
        integration = {"name": "pager", "kind": "notification", "target": "on-call"}
        path = "/api/v1/projects/payments/integrations"
        assert (await client.post(path, json=integration)).status_code == 201
        assert (await client.post(path, json=integration)).status_code == 409
        assert len((await client.get(path)).json()) == 3
        assert (await client.delete("/api/v1/projects/payments")).status_code == 204
        assert (await client.get("/api/v1/projects/payments")).status_code == 404
        assert (await client.get("/api/v1/integrations/3")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/projects/nope", None, 404),
        ("GET", "/api/v1/pipelines/999", None, 404),
        ("GET", "/api/v1/runs/nope", None, 404),
        ("POST", "/api/v1/pipelines/999/runs", {}, 404),
        ("POST", "/api/v1/integrations/999/check", None, 404),
        ("GET", "/api/v1/pipelines/x", None, 422),
        ("GET", f"/api/v1/pipelines/{2**63}", None, 422),
        ("GET", f"/api/v1/integrations/{2**63}", None, 422),
        ("POST", f"/api/v1/integrations/{2**63}/check", None, 422),
        ("GET", f"/api/v1/projects?offset={2**63}", None, 422),
        ("GET", "/api/v1/projects?limit=0", None, 422),
        ("POST", "/api/v1/pipelines/1/runs", {"branch": "no spaces"}, 422),
        ("POST", "/api/v1/projects", {"slug": "Not A Slug"}, 422),
        ("POST", "/api/v1/projects/web-shop/pipelines", {"name": "x", "stages": []}, 422),
        ("DELETE", "/api/v1/projects", None, 405),
    ],
)
async def test_requests_that_cannot_be_served(
    config: Config, method: str, path: str, body: Json | None, status: int
) -> None:
    """What is not there is a 404, what makes no sense a 422."""
    async with running(config) as client:
        assert (await client.request(method, path, json=body)).status_code == status


async def test_management_service_that_is_away(config: Config) -> None:
    """Without the management service projects are readable and runs start; new owners cannot be verified."""
    async with running(config) as client:
        detail = await client.get("/api/v1/projects/web-shop")
        assert (detail.status_code, detail.json()["owner_details"]) == (200, None)
        body = {"slug": "new", "name": "New", "repository_url": "https://git.example.com/n", "owner": "ada"}
        refused = await client.post("/api/v1/projects", json=body)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "5"


async def test_health_of_a_service_whose_peer_is_away(config: Config) -> None:
    """A peer that is away is a warning: the service is ready, alive, and answers 200 everywhere."""
    async with running(config) as client:
        health = await client.get("/health/")
        assert health.status_code == 200
        assert health.headers["Content-Type"] == "application/health+json"
        assert health.headers["Cache-Control"] == "no-store"
        report = health.json()
        assert report["status"] == "warn"
        statuses = {name: checks[0]["status"] for name, checks in report["checks"].items()}
        assert statuses == {
            "uptime": "pass",
            "database:responseTime": "pass",
            "cache:responseTime": "pass",
            "django:responseTime": "warn",
            "registry:responseTime": "pass",
            "runs:active": "pass",
        }
        assert report["checks"]["database:responseTime"][0]["observedUnit"] == "ms"
        ready = (await client.get("/health/ready")).json()
        assert (ready["status"], set(ready["checks"])) == (
            "pass",
            {"database:responseTime", "cache:responseTime"},
        )
        live = (await client.get("/health/live")).json()
        assert (live["status"], set(live["checks"])) == ("pass", {"uptime"})


@pytest.fixture
def after_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the service try again soon, and not wait long, where its database is away."""
    monkeypatch.setattr("fastapi_service.database._RETRY_S", 0.05)
    monkeypatch.setattr("fastapi_service.app._START_WAIT_S", 0.1)


@pytest.mark.usefixtures("after_start")
async def test_unusable_database_is_a_503_until_it_is_usable(config: Config, tmp_path: Path) -> None:
    """A service starts without its database, says 503, and serves as soon as the database is there."""
    blocked = tmp_path / "blocked.sqlite3"
    blocked.mkdir()
    async with running(replace(config, database_url=f"sqlite+aiosqlite:///{blocked}")) as client:
        for path in ("/health/", "/health/ready"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.json()["status"] == "fail"
            assert answer.json()["checks"]["database:responseTime"][0]["output"] == "OperationalError"
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/api/v1/projects")).status_code == 503
        blocked.rmdir()
        async with asyncio.timeout(30):
            while (await client.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 - it can only be asked
                await asyncio.sleep(0.05)
        assert len((await client.get("/api/v1/projects")).json()) == 4


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DBAPIError("SELECT 1", None, Exception("the database system is shutting down")), 503),
        (PoolTimeoutError("no connection is free"), 503),
        (ConnectionRefusedError(111, "refused"), 503),
        (IntegrityError("INSERT", None, Exception("duplicate key")), 500),
        (ProgrammingError("SELEKT", None, Exception("syntax error")), 500),
    ],
)
async def test_only_a_database_that_is_away_is_a_503(config: Config, error: Exception, status: int) -> None:
    """Errors of a database that is away are 503; those of our own statements are not passed off as such."""
    app = build_app(config)

    @app.get("/fails")
    async def fails() -> None:
        raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/fails")).status_code == status


@pytest.mark.usefixtures("after_start")
async def test_unreachable_postgresql_is_a_503(config: Config, free_port: Callable[[], int]) -> None:
    """A PostgreSQL that nobody runs makes the service not ready, and its requests 503."""
    url = f"postgresql+asyncpg://ci:ci@127.0.0.1:{free_port()}/ci"
    async with running(replace(config, database_url=url)) as client:
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/api/v1/projects")).status_code == 503


async def test_cache_that_is_away_is_a_warning(config: Config, unused_redis_url: str) -> None:
    """Without its Redis the service is slower and says so, and serves."""
    async with running(replace(config, redis_url=unused_redis_url)) as client:
        report = await client.get("/health/ready")
        assert report.status_code == 200
        assert report.json()["checks"]["cache:responseTime"][0]["status"] == "warn"
        assert (await client.get("/api/v1/projects/web-shop/stats")).status_code == 200


async def test_services_that_start_together_make_one_schema(config: Config) -> None:
    """Several processes may make the schema at the same time: it is made, and filled, once."""
    async with running(config) as one, running(config) as other:
        for client in (one, other):
            assert len((await client.get("/api/v1/projects")).json()) == 4
