"""The cells of the matrix: which environment, over which server."""

from collections.abc import Mapping
from dataclasses import dataclass

from .environments import ENVIRONMENTS, Environment

__all__ = ["DIAGONAL", "DJANGO_CELLS", "FASTAPI_CELLS", "Cell", "Server"]


@dataclass(frozen=True)
class Server:
    """How an application is served.

    Attributes:
        command: A console script and its arguments; `{port}` stands for a free port.
        websockets: Whether it serves WebSockets.
    """

    command: tuple[str, ...]
    websockets: bool = True


@dataclass(frozen=True)
class Cell:
    """A framework's version over a server.

    Attributes:
        environment: Where the framework is installed.
        server_name: As in the test's name.
        server: How it is served.
    """

    environment: Environment
    server_name: str
    server: Server

    @property
    def name(self) -> str:
        """Name in the test's id."""
        return f"{self.environment.name}-{self.server_name}"


def _asgi_servers(application: str) -> Mapping[str, Server]:
    uvicorn = ("uvicorn", application, "--port", "{port}")
    # By default uvicorn kills a worker that takes 5 s to import: a busy machine may take longer.
    patient = ("--timeout-worker-healthcheck", "60")
    gunicorn = ("gunicorn", application, "--bind", "127.0.0.1:{port}", "--workers", "2")
    return {
        "uvicorn": Server(uvicorn),
        "uvicorn-reload": Server((*uvicorn, "--reload")),
        "uvicorn-workers": Server((*uvicorn, "--workers", "2", *patient)),
        "gunicorn-uvicorn": Server((*gunicorn, "--worker-class", "uvicorn.workers.UvicornWorker")),
        "daphne": Server(("daphne", "--bind", "127.0.0.1", "--port", "{port}", application)),
    }


def _wsgi_servers(application: str) -> Mapping[str, Server]:
    gunicorn = ("gunicorn", application, "--bind", "127.0.0.1:{port}", "--workers", "2")
    runserver = ("python", "-m", "django", "runserver", "127.0.0.1:{port}")
    return {
        "gunicorn-sync": Server(gunicorn, websockets=False),
        "gunicorn-gthread": Server(
            (*gunicorn, "--worker-class", "gthread", "--threads", "4"), websockets=False
        ),
        "runserver": Server((*runserver, "--noreload"), websockets=False),
        "runserver-reload": Server(runserver, websockets=False),
    }


def _cells(framework: str, servers: Mapping[str, Server]) -> list[Cell]:
    return [
        Cell(environment, name, server)
        for environment in ENVIRONMENTS
        if environment.name.startswith(framework)
        for name, server in servers.items()
    ]


FASTAPI_CELLS = _cells("fastapi", _asgi_servers("matrix_fastapi:app"))

DJANGO_CELLS = _cells(
    "django",
    {**_wsgi_servers("matrix_django.wsgi:application"), **_asgi_servers("matrix_django.asgi:application")},
)

DIAGONAL = {
    "fastapi-0.115-uvicorn-workers",
    "fastapi-0.128-gunicorn-uvicorn",
    "fastapi-newest-daphne",
    "django-4.2-gunicorn-gthread",
    "django-5.2-uvicorn",
    "django-6-runserver",
}
"""The cells that `make test` runs: each version, and each server but what other tests have."""
