"""The Python environments of the matrix: this project's, and one for each older or newer framework.

An environment is made by uv under `.cache/matrix/`, from a file of exact versions in `requirements/`, when it
is first asked for, and again when that file or the instrumentation's own `pyproject.toml` has changed. After
a change to an `.in` file, make the `.txt` beside it by the command that the `.txt` has in its head.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENTS", "Environment", "NoPythonError", "UnavailableError", "prepare"]

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("ANSFLOW_CACHE_DIR") or ROOT / ".cache")
REQUIREMENTS = Path(__file__).parent / "requirements"
DISTRO = ROOT / "instrumentation" / "pyproject.toml"


class UnavailableError(Exception):
    """An environment cannot be had on this machine; says why."""


class NoPythonError(UnavailableError):
    """The machine has no Python that the framework runs on."""


@dataclass(frozen=True)
class Environment:
    """A Python environment with a framework's version.

    Attributes:
        name: `<framework>-<version>`.
        own: Whether it is the one that this process runs in.
        python: The versions of Python that the framework runs on, as uv writes them.
    """

    name: str
    own: bool = False
    python: str = ">=3.11"

    @property
    def requirements(self) -> Path:
        """The file of exact versions."""
        return REQUIREMENTS / f"{self.name}.txt"


ENVIRONMENTS = (
    Environment("fastapi-0.115"),
    Environment("fastapi-0.128"),
    Environment("fastapi-newest", own=True),
    Environment("django-4.2"),
    Environment("django-5.2", own=True),
    Environment("django-6", python=">=3.12"),
)
"""All environments; what is `newest` and `own` is pinned in `uv.lock`."""


def prepare(environment: Environment) -> Path:
    """Make an environment, or find it as it was made before.

    Args:
        environment: Which one.

    Returns:
        The folder of its scripts.

    Raises:
        UnavailableError: If there is no uv, or no Python that the framework runs on.
    """
    if environment.own:
        return Path(sys.executable).parent
    cache = CACHE / "matrix"
    folder = cache / environment.name
    python, stamp = folder / "bin" / "python", folder / ".made-from"
    made_from = _digest(environment)
    with _locked(cache / f"{environment.name}.lock"):
        if python.exists() and stamp.exists() and stamp.read_text() == made_from:
            return python.parent
        uv = _uv()
        _run(
            uv,
            "venv",
            "--quiet",
            "--no-project",
            "--clear",
            "--python",
            _interpreter(uv, environment),
            folder,
        )
        # Exact: what an earlier version of the file had is gone.
        installing = ("pip", "install", "--quiet", "--exact", "--requirements", environment.requirements)
        _run(uv, *installing, "--python", python)
        stamp.write_text(made_from)
    return python.parent


def _digest(environment: Environment) -> str:
    digest = hashlib.sha256()
    for file in (environment.requirements, DISTRO):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time make the environment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _uv() -> str:
    found = os.environ.get("UV") or shutil.which("uv")
    if not found:
        # Where `make` puts its own copy.
        copies = sorted(CACHE.glob("uv-*/bin/uv"))
        found = str(copies[-1]) if copies else None
    if not found:
        raise UnavailableError("uv is needed for an environment of another framework version (`make sync`)")
    return found


def _interpreter(uv: str, environment: Environment) -> str:
    """Find a Python: as uv does, and among pyenv's, whose shims offer only those that were chosen."""
    asked = subprocess.run(
        [uv, "python", "find", "--no-project", "--no-python-downloads", environment.python],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode == 0:
        return asked.stdout.strip()
    lowest = tuple(int(part) for part in environment.python.removeprefix(">=").split("."))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for python in sorted(pyenv.glob("versions/3.*/bin/python3")):
        version = tuple(int(part) for part in python.parts[-3].split(".")[:2])
        if version >= lowest:
            return str(python)
    raise NoPythonError(f"{environment.name} needs Python {environment.python}, and none was found")


def _run(*command: str | Path) -> None:
    environment = {
        **os.environ,
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(CACHE / "uv"),
    }
    # The distro's folder is written in the requirements as seen from the root.
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{finished.stderr}")
