"""Makes one binary ready: a fitting one from PATH, the cached build, or a new build."""

import collections
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansflow_stack.build import toolchain
from ansflow_stack.build.binaries import Binary, CollectorBinary, GoBinary
from ansflow_stack.build.errors import CompilationError
from ansflow_stack.build.progress import Progress

_LAST_LINES = 25
"""How much of a failed step's output goes into the error."""

_LDFLAGS = "-s -w"
"""No symbol tables: a third of the size, and nobody runs a debugger on these."""


def ensure(binary: Binary, cache: Path, progress: Progress | None = None, *, rebuild: bool = False) -> Path:
    """Return the path of a ready binary, building it if the cache does not hold this very one.

    The path is a link in the cache's ``bin``, also to a binary that PATH had: there is one place to look.
    Safe to call from several processes at once: one builds, the others wait for it.

    Args:
        binary: what is wanted.
        cache: the folder for builds and Go's caches.
        progress: where to report; by default on standard error.
        rebuild: build also where the cache holds it.

    Raises:
        ToolchainError: there is no Go and none can be had.
        CompilationError: the build failed.
    """
    progress = progress or Progress(binary.name)
    link = cache / "bin" / binary.name
    if isinstance(binary, GoBinary) and not rebuild and (found := _on_path(binary, exclude=link.parent)):
        progress.step(f"taking {found} from PATH")
        _link(link, found)
        return link
    built = cache / "builds" / f"{binary.name}-{binary.key}" / binary.name
    with _lock(cache / "builds" / f"{binary.name}.lock"):
        if rebuild or not built.is_file():
            _build(binary, built, cache, progress)
        _link(link, built)
    return link


def _build(binary: Binary, built: Path, cache: Path, progress: Progress) -> None:
    progress.step(f"building {binary.summary}")
    go = toolchain.find(cache)
    env = toolchain.environment(go, cache)
    with tempfile.TemporaryDirectory(dir=built.parent.parent, prefix=f"{binary.name}-") as name:
        work = Path(name)
        match binary:
            case GoBinary(module=module) if module:
                _go_build(binary, work, env, progress)
            case GoBinary():
                _go_install(binary, work, env, progress)
            case CollectorBinary():
                _compose_collector(binary, work, env, progress)
        built.parent.mkdir(exist_ok=True)
        # A rename within one file system: nobody ever sees half a binary.
        (work / binary.name).replace(built)
    progress.step(f"ready, {built.stat().st_size / 1e6:.0f} MB")


def _go_install(binary: GoBinary, work: Path, env: dict[str, str], progress: Progress) -> None:
    command = ["go", "install", "-v", "-trimpath", f"-ldflags={_LDFLAGS}"]
    if binary.tags:
        command.append(f"-tags={binary.tags}")
    _run([*command, f"{binary.package}@{binary.version}"], work, env | {"GOBIN": str(work)}, progress)


def _go_build(binary: GoBinary, work: Path, env: dict[str, str], progress: Progress) -> None:
    _run(["go", "mod", "init", "peer"], work, env, progress)
    _run(["go", "mod", "edit", f"-require={binary.module}@{binary.version}"], work, env, progress)
    # -mod=mod: the empty module takes over the versions, and the sums, of what it requires.
    command = ["go", "build", "-mod=mod", "-v", "-trimpath", f"-ldflags={_LDFLAGS}", "-o", binary.name]
    if binary.tags:
        command.append(f"-tags={binary.tags}")
    _run([*command, binary.package], work, env, progress)


def _compose_collector(binary: CollectorBinary, work: Path, env: dict[str, str], progress: Progress) -> None:
    ocb = GoBinary("builder", "go.opentelemetry.io/collector/cmd/builder", f"v{binary.version}")
    _go_install(ocb, work, env, progress)
    sources = work / "sources"
    manifest = work / "builder.yaml"
    manifest.write_text(_with_output_path(binary.manifest.read_text(), sources))
    # OCB writes the sources and picks the modules; compiling them here instead lets us show how far it is.
    _run([str(work / "builder"), "--config", str(manifest), "--skip-compilation"], work, env, progress)
    _run(
        ["go", "build", "-v", "-trimpath", f"-ldflags={_LDFLAGS}", "-o", str(work / binary.name), "."],
        sources,
        env,
        progress,
    )


def _with_output_path(manifest: str, output: Path) -> str:
    return re.sub(r"^dist:\n", f"dist:\n  output_path: {output}\n", manifest, count=1, flags=re.MULTILINE)


def _run(command: list[str], cwd: Path, env: dict[str, str], progress: Progress) -> None:
    last: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
    compiled = 0
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            if line.startswith("go: downloading"):
                progress.tick(f"downloading {line.split()[2]}")
            elif re.fullmatch(r"[\w.\-/~]+\n", line):
                compiled += 1
                progress.tick(f"{compiled} packages compiled, now {line.strip()}")
    if process.returncode != 0:
        raise CompilationError(
            f"`{' '.join(command[:2])}` ended with {process.returncode}; its last lines:\n" + "\n".join(last)
        )


def _on_path(binary: GoBinary, exclude: Path) -> Path | None:
    found = shutil.which(binary.name)
    if not found or binary.fitting is None or Path(found).parent == exclude:
        return None
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    return Path(found) if binary.fitting.search(answer.stdout + answer.stderr) else None


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    partial = link.with_name(f"{link.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    # Relative inside the cache, which may be moved; a binary from PATH stays where it is.
    inside = target.is_relative_to(link.parents[1])
    partial.symlink_to(os.path.relpath(target, link.parent) if inside else target)
    partial.replace(link)
