"""The Django service under a real Gunicorn, on real SQLite, without the FastAPI service."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from django_service.config import Config, ConfigError, cache, database

Launch = Callable[[list[str], dict[str, str]], "subprocess.Popen[bytes]"]
Json = dict[str, object]


@pytest.fixture(scope="module")
def serve(
    launch: Launch, answers: Callable[[str], httpx.Response], free_port: Callable[[], int]
) -> Callable[[dict[str, str]], str]:
    """Return a function that starts the service with an environment, and returns its address."""

    def start(environment: dict[str, str]) -> str:
        port = free_port()
        settings = ["--config", "python:django_service.gunicorn_settings"]
        launch(
            ["gunicorn", *settings, "--bind", f"127.0.0.1:{port}"],
            {"FASTAPI_SERVICE_URL": f"http://127.0.0.1:{free_port()}"} | environment,
        )
        url = f"http://127.0.0.1:{port}"
        assert answers(f"{url}/health/live").status_code == 200
        return url

    return start


@pytest.fixture(scope="module")
def client(serve: Callable[[dict[str, str]], str], launch: Launch, data_dir: Path) -> Iterator[httpx.Client]:
    """Return a client of a service with a migrated database."""
    environment = {"DATA_DIR": str(data_dir / "new" / "directory")}
    assert launch(["django_service", "migrate"], environment).wait(60) == 0
    with httpx.Client(base_url=serve(environment), trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/users/nobody/", None, 404),
        ("GET", "/api/projects/nope/", None, 404),
        ("GET", "/api/projects/nope/runs/", None, 404),
        ("GET", "/nothing/", None, 404),
        ("DELETE", "/api/settings/", None, 405),
        ("GET", "/api/users/?limit=0", None, 422),
        ("GET", "/api/users/?offset=-1", None, 422),
        ("POST", "/api/users/", {"username": "no spaces"}, 422),
        ("POST", "/api/projects/", {"slug": "x", "name": "X", "owner": "nobody"}, 422),
        ("POST", "/api/projects/", {"slug": "web-shop", "name": "X", "owner": "ada"}, 409),
        ("PATCH", "/api/users/ada/", {"shoe_size": "7"}, 422),
        ("PATCH", "/api/users/ada/", {"user_type": ""}, 422),
        ("PATCH", "/api/users/ada/", {"display_name": ""}, 422),
        ("PATCH", "/api/users/ada/", {"email": None}, 422),
        ("PATCH", "/api/projects/web-shop/", {"name": ""}, 422),
        ("DELETE", "/api/users/ada/", None, 409),
        ("POST", "/api/sessions/", {"username": "nobody"}, 401),
        ("PUT", "/api/settings/", {"max_concurrent_runs": 0}, 422),
        ("PUT", "/api/settings/", {"max_concurrent_runs": True}, 422),
        ("PUT", "/api/settings/", {"run_timeout_s": 10**400}, 422),
        ("PUT", "/api/settings/", {"paused": "yes"}, 422),
        ("PUT", "/api/settings/", {"colour": "blue"}, 422),
        ("PUT", "/api/settings/", [], 422),
    ],
)
def test_requests_that_cannot_be_served(
    client: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    """What is not there, not allowed, in conflict, or senseless has its own status, and a reason in JSON."""
    answer = client.request(method, path, json=body)
    assert answer.status_code == status
    if status != 405:
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{nope", 400),
        (b"\xff", 400),
        (b'{"username": "\\ud800"}', 400),
        (b"[" * 50_000, 400),
        (b'{"run_timeout_s": NaN}', 422),
        (b" " * 70_000, 413),
    ],
    ids=["broken", "no UTF-8", "half a surrogate pair", "deep", "not a number", "large"],
)
def test_body_that_is_not_json(client: httpx.Client, body: bytes, status: int) -> None:
    """A body that is not JSON, or too large, is refused with a reason."""
    answer = client.put("/api/settings/", content=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_user_life_cycle(client: httpx.Client) -> None:
    """A user is created once, changed in part, and deleted."""
    body = {"username": "mary", "display_name": "Mary", "email": "mary@example.com", "user_type": "viewer"}
    created = client.post("/api/users/", json=body)
    assert (created.status_code, created.headers["Location"]) == (201, "/api/users/mary/")
    assert client.post("/api/users/", json=body).status_code == 409
    changed = client.patch("/api/users/mary/", json={"user_type": "admin"}).json()
    assert (changed["user_type"], changed["display_name"]) == ("admin", "Mary")
    assert client.post("/api/sessions/", json={"username": "mary"}).status_code == 201
    assert client.get("/api/users/mary/").json()["last_seen_at"] is not None
    assert client.delete("/api/users/mary/").status_code == 204
    assert client.get("/api/users/mary/").status_code == 404


def test_project_settings_override_the_platforms(client: httpx.Client) -> None:
    """What holds for a project is its own settings, then the platform's, then defaults; in every worker."""
    project = {"slug": "tools", "name": "Tools", "owner": "grace"}
    assert client.post("/api/projects/", json=project).status_code == 201
    assert client.put("/api/settings/", json={"run_timeout_s": 60, "notify_on": "never"}).status_code == 200
    own = client.put("/api/projects/tools/settings/", json={"notify_on": "always"}).json()["settings"]
    assert own == {"paused": False, "max_concurrent_runs": 4, "run_timeout_s": 60, "notify_on": "always"}
    for _ in range(4):
        assert client.get("/internal/projects/tools/settings/").json() == own
    assert client.delete("/api/projects/tools/").status_code == 204


def test_lists_are_paged(client: httpx.Client) -> None:
    """A list gives the page that is asked for, in a stable order."""
    usernames = [user["username"] for user in client.get("/api/users/").json()["users"]]
    assert usernames == sorted(usernames)
    page = client.get("/api/users/", params={"limit": 2, "offset": 1}).json()["users"]
    assert [user["username"] for user in page] == usernames[1:3]


def test_peer_that_is_away(client: httpx.Client) -> None:
    """Without the pipeline service health is a warning, and only what needs it fails."""
    health = client.get("/health/")
    assert (health.status_code, health.json()["status"]) == (200, "warn")
    assert health.json()["checks"]["fastapi:responseTime"][0]["output"] == "ConnectError"
    assert client.get("/health/ready").json()["status"] == "pass"
    assert client.get("/api/projects/web-shop/runs/").status_code == 502


def test_unusable_database_is_a_503_until_it_is_usable(
    serve: Callable[[dict[str, str]], str], launch: Launch, tmp_path: Path
) -> None:
    """A service whose database cannot be opened is alive and not ready; it serves once that is mended."""
    blocked = tmp_path / "blocked.sqlite3"
    blocked.mkdir()
    environment = {"DATABASE_URL": f"sqlite:///{blocked}"}
    url = serve(environment)
    for path in ("/health/", "/health/ready"):
        answer = httpx.get(url + path, trust_env=False)
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/health+json"
        assert answer.json()["checks"]["database:responseTime"][0]["status"] == "fail"
    assert httpx.get(f"{url}/api/users/", trust_env=False).status_code == 503
    blocked.rmdir()
    assert launch(["django_service", "migrate"], environment).wait(60) == 0
    assert httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    assert httpx.get(f"{url}/api/users/", trust_env=False).status_code == 200


def test_cache_that_is_away_is_a_warning(
    serve: Callable[[dict[str, str]], str], launch: Launch, data_dir: Path, unused_redis_url: str
) -> None:
    """Without its Redis the service says so, and serves."""
    environment = {"DATA_DIR": str(data_dir), "REDIS_URL": unused_redis_url}
    assert launch(["django_service", "migrate"], environment).wait(60) == 0
    url = serve(environment)
    report = httpx.get(f"{url}/health/ready", trust_env=False)
    assert report.status_code == 200
    assert report.json()["checks"]["cache:responseTime"][0]["status"] == "warn"
    assert httpx.get(f"{url}/api/settings/", trust_env=False).status_code == 200
    assert httpx.put(f"{url}/api/settings/", json={}, trust_env=False).status_code == 200


def test_migrations_are_complete(tmp_path: Path) -> None:
    """The committed migrations are what the models are."""
    done = subprocess.run(
        [sys.executable, "-m", "django_service", "makemigrations", "--check", "--dry-run"],
        env=dict(os.environ) | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_database_addresses(tmp_path: Path) -> None:
    """Addresses become Django's settings: escapes decoded, options kept; without one, a SQLite file."""
    postgres = database("postgresql://ci:p%40ss@db:5433/plat?sslmode=require", data_dir=tmp_path)
    assert postgres["ENGINE"] == "django.db.backends.postgresql"
    assert (postgres["USER"], postgres["PASSWORD"], postgres["HOST"]) == ("ci", "p@ss", "db")
    assert (postgres["PORT"], postgres["NAME"]) == ("5433", "plat")
    assert postgres["OPTIONS"] == {"connect_timeout": 3, "sslmode": "require"}
    assert database("sqlite:////var/x.db", data_dir=tmp_path)["NAME"] == "/var/x.db"
    assert database("", data_dir=tmp_path)["NAME"] == str(tmp_path / "django.sqlite3")
    assert cache("redis://cache:6379/1")["LOCATION"] == "redis://cache:6379/1"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "mysql://root:hunter2@db/x", "got the scheme 'mysql'"),
        ("DATABASE_URL", "postgresql://u:hunter2/3@db/x", "expected a port"),
        ("FASTAPI_SERVICE_URL", "http://127.0.0.1:http", "got 'http://127.0.0.1:http'"),
        ("EVENT_SINK_URL", "http://127.0.0.1:99999", "got 'http://127.0.0.1:99999'"),
        ("REDIS_URL", "memcached://x", "got the scheme 'memcached'"),
        ("FASTAPI_SERVICE_URL", "localhost:8001", "got 'localhost:8001'"),
        ("EVENT_SINK_URL", "x", "got 'x'"),
        ("LOG_LEVEL", "loud", "got 'LOUD'"),
    ],
)
def test_config_names_the_bad_variable(name: str, value: str, message: str) -> None:
    """A value that cannot be used stops the start with the variable's name; passwords are not repeated."""
    with pytest.raises(ConfigError) as caught:
        Config.from_environment({name: value})
    assert str(caught.value).startswith(f"{name}: expected")
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
