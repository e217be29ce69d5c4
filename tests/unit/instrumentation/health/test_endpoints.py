"""The health endpoints of real servers, with dependencies that answer, fail and hang."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from ansflow_gateway.domain.health import ServiceHealth, read_document

from .conftest import Silence, StartServer

UVICORN = ("uvicorn", "--port", "{port}", "--log-level", "warning")
SERVERS = {
    "starlette": ((*UVICORN, "health_shop.asgi:starlette"), ""),
    "fastapi": ((*UVICORN, "health_shop.asgi:fastapi"), ""),
    "django, asgi": ((*UVICORN, "health_shop.django_project:asgi"), "/async"),
    "django, wsgi": (
        (
            "gunicorn",
            "--bind",
            "127.0.0.1:{port}",
            "--threads",
            "8",
            "--no-control-socket",
            "health_shop.django_project:wsgi",
        ),
        "",
    ),
}
"""The commands, and where the health endpoints are."""

SHOWN = {"uptime", "database:responseTime", "queue:length"}
DJANGO = {"orm:responseTime", "cache:responseTime"}

Serve = Callable[..., str]


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest, start_server: StartServer) -> Serve:
    """Return a function that starts a server, and returns the address below which `/health` is."""
    command, below = SERVERS[request.param]
    return lambda **environment: start_server(*command, **environment) + below


def get(url: str, method: str = "GET") -> httpx.Response:
    """Ask once, on a new connection."""
    return httpx.request(method, url, trust_env=False, timeout=30)


def test_a_well_service(serve: Serve) -> None:
    """Each endpoint answers, with and without a slash, GET and HEAD alone, and as the gateway reads it."""
    url = serve()
    django = DJANGO if b"orm" in get(f"{url}/health").content else set()
    for path, shown in {
        "/health": SHOWN | django,
        "/health/live": {"uptime"},
        "/health/ready": {"database:responseTime"} | django,
    }.items():
        for slash in ("", "/"):
            answer = get(url + path + slash)
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/health+json")
            assert answer.headers["Cache-Control"] == "no-store"
            document = answer.json()
            assert (document["status"], document["serviceId"], document["version"]) == ("pass", "shop", "1.4")
            assert set(document["checks"]) == shown
            assert read_document(document, answer.status_code) == ServiceHealth(
                up=True, checks=dict.fromkeys(shown, True)
            )
            head = get(url + path + slash, "HEAD")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["Content-Type"] == "application/health+json"
            assert get(url + path + slash, "POST").status_code == 405
    queue = get(f"{url}/health/").json()["checks"]["queue:length"][0]
    assert (queue["observedValue"], queue["observedUnit"], queue["status"]) == (3, "{job}", "pass")


def test_what_hangs_and_what_fails(serve: Serve, silence: Silence, answering: str) -> None:
    """A needed dependency that hangs is a 503 at the deadline, one that is only useful a warning.

    However many ask at the same time, and again, the hanging dependency is asked once. What an error says,
    addresses and passwords, is nobody's business.
    """
    url = serve(DEADLINE_S="1.5", NEEDED_URL=silence.url, USEFUL_URL=f"{answering}/503")
    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(get, [f"{url}/health/", f"{url}/health/ready"] * 8))
    answers.append(get(f"{url}/health/"))

    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["status"] == "fail"
        checks = {name: entries[0] for name, entries in answer.json()["checks"].items()}
        needed, useful, refused = (checks[f"{name}:responseTime"] for name in ("needed", "useful", "refused"))
        assert (needed["status"], needed["output"]) == ("fail", "no answer within 1.5 s")
        assert (useful["status"], useful["output"]) == ("warn", "HTTP 503")
        assert (refused["status"], refused["output"]) == ("warn", "ConnectionRefusedError")
        assert checks["database:responseTime"]["status"] == "pass"
        assert "hunter2" not in answer.text
    assert len(silence.connections) == 1
    assert get(f"{url}/health/live").status_code == 200


def test_an_included_urlconf(start_server: StartServer) -> None:
    """`path("…/", include(health_urls(…)))` serves the same; its root without a slash is redirected."""
    url = start_server(*SERVERS["django, wsgi"][0])
    for path in ("/included/", "/included/live", "/included/live/", "/included/ready", "/included/ready/"):
        assert get(url + path).json()["status"] == "pass"
    assert get(f"{url}/included").status_code == 301


def test_a_process_is_as_old_as_it_is() -> None:
    """Django imports the health endpoints with the first request: the process is older than that."""
    program = (
        "import time\n"
        "time.sleep(0.5)\n"
        "from ansflow_instrumentation.health.service import _uptime\n"
        "print(_uptime().value)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert float(done.stdout) >= 0.5
