"""docker/check.py, the command that checks all of docker/."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def check_module(root: Path) -> ModuleType:
    """Return docker/check.py as a module; it is a script, in no package."""
    spec = importlib.util.spec_from_file_location("docker_check", root / "docker" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _tool(folder: Path, script: str) -> Path:
    path = folder / "promtool"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_every_rule_and_rule_test_is_checked(check_module: ModuleType, root: Path) -> None:
    """No file of rules or of their tests is left out of the command lines."""
    arguments = {argument for check in check_module.checks() for argument in check.command}
    files = [
        *(root / "docker" / "prometheus" / "rules").glob("*"),
        *(root / "docker" / "prometheus" / "tests").glob("*"),
    ]
    assert len(files) > 6
    assert {str(file.relative_to(root)) for file in files} <= arguments


def test_a_tool_is_taken_from_its_variable_else_from_the_cache(
    check_module: ModuleType, tmp_path: Path
) -> None:
    """ANSFLOW_PROMTOOL wins over the cache, wherever it is; a path that isn't there is no tool."""
    cached = tmp_path / ".cache" / "bin" / "promtool"
    cached.parent.mkdir(parents=True)
    assert check_module.find_tool("promtool", {}, tmp_path) is None
    cached.touch()
    own = _tool(tmp_path, "true")
    assert check_module.find_tool("promtool", {}, tmp_path) == cached
    moved = {"ANSFLOW_CACHE_DIR": str(tmp_path / ".cache")}
    assert check_module.find_tool("promtool", moved, Path("/nowhere")) == cached
    assert check_module.find_tool("promtool", {"ANSFLOW_PROMTOOL": str(own)}, tmp_path) == own
    assert check_module.find_tool("promtool", {"ANSFLOW_PROMTOOL": "/nowhere"}, tmp_path) is None


@pytest.mark.parametrize(("environment", "passes"), [({}, True), ({"CI": "true"}, False)])
def test_a_missing_tool_skips_but_fails_in_ci(
    check_module: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    passes: bool,
) -> None:
    """A laptop without promtool can check the rest; CI can't pass for want of a tool."""
    check = check_module.Check(["promtool", "check", "rules", "x.yml"], tool="promtool")
    assert check_module.run(check, environment, tmp_path) is passes
    outcome = "skipped" if passes else "a failure in CI"
    assert capsys.readouterr().out == f"$ promtool check rules x.yml\n  promtool is not there: {outcome}\n"


@pytest.mark.parametrize("status", [0, 3])
def test_a_check_passes_by_its_exit_status(
    check_module: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    """The command runs from the root with its arguments, its output is shown, and its status decides."""
    tool = _tool(tmp_path, f'echo "$PWD $@"; exit {status}')
    check = check_module.Check(["promtool", "check", "x.yml"], tool="promtool")
    assert check_module.run(check, {"ANSFLOW_PROMTOOL": str(tool)}, tmp_path) is (status == 0)
    assert f"{tmp_path} check x.yml" in capfd.readouterr().out


def test_python_checks_find_a_package_that_is_not_installed(check_module: ModuleType, root: Path) -> None:
    """The dashboards' check runs from its folder, without anything on the caller's path."""
    check = next(each for each in check_module.checks() if "ansflow_dashboards" in each.command)
    assert check_module.run(check, {}, root) is True
