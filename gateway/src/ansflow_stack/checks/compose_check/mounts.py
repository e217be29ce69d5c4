"""Every mount leads somewhere: to a file of the repository, read-only, or to a declared volume."""

from collections.abc import Iterator
from dataclasses import dataclass

from ansflow_stack.checks.compose_check.project import Problem, Project, section


@dataclass(frozen=True)
class _Mount:
    where: str
    kind: str
    source: str
    read_only: bool


def problems(project: Project) -> Iterator[Problem]:
    """Yield mounts of what isn't there, isn't the repository's, or could be written to."""
    volumes = section(project.resolved, "volumes")
    for mount in _mounts(project):
        if mount.kind == "volume" and mount.source and mount.source not in volumes:
            yield Problem(mount.where, f"the volume {mount.source} is not declared in volumes")
        elif mount.kind == "bind":
            yield from _source(project, mount.where, mount.source)
            if not mount.read_only:
                yield Problem(mount.where, f"{mount.source} is mounted writable (add :ro)")
    for kind in ("secrets", "configs"):
        for name, entry in section(project.resolved, kind).items():
            if isinstance(entry, dict) and "file" in entry:
                yield from _source(project, f"{kind}.{name}", str(entry["file"]))
    used = {mount.source for mount in _mounts(project) if mount.kind == "volume"}
    for name in sorted(volumes.keys() - used):
        yield Problem(f"volumes.{name}", "no service mounts it")


def _source(project: Project, where: str, source: str) -> Iterator[Problem]:
    path = (project.directory / source).resolve()
    if not path.is_relative_to(project.root):
        yield Problem(where, f"{source} is outside the repository")
    elif not path.exists():
        yield Problem(where, f"{source} does not exist")
    elif path.is_dir() and not any(path.iterdir()):
        yield Problem(where, f"{source} is an empty directory")


def _mounts(project: Project) -> Iterator[_Mount]:
    for name, service in project.services():
        for index, volume in enumerate(service.get("volumes") or []):
            where = f"services.{name}.volumes[{index}]"
            if isinstance(volume, dict):
                yield _Mount(
                    where,
                    str(volume.get("type", "volume")),
                    str(volume.get("source", "")),
                    bool(volume.get("read_only", False)),
                )
            else:
                yield _short(where, str(volume))


def _short(where: str, text: str) -> _Mount:
    source, _, rest = text.partition(":")
    if not rest:
        # Only a target: an anonymous volume.
        return _Mount(where, "volume", "", read_only=False)
    options = rest.partition(":")[2].split(",")
    # A name is a volume's; anything that begins like a path is the host's.
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    return _Mount(where, kind, source, read_only="ro" in options)
