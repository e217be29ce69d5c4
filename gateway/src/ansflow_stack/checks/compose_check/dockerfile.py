"""The Dockerfiles of a compose file: what they copy is there, and what they make doesn't run as root.

Source: https://docs.docker.com/reference/dockerfile/
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansflow_stack.checks.compose_check import dockerignore
from ansflow_stack.checks.compose_check.project import Problem, Project

_VARIABLE = re.compile(r"\$\{?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}?")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its upper-case name, its line number, flags (`--from=x`) and the rest."""

    name: str
    line: int
    flags: Mapping[str, str]
    rest: str

    def words(self) -> list[str]:
        """Return the arguments, of the shell form or of the JSON form."""
        if self.rest.startswith("["):
            return [str(word) for word in json.loads(self.rest)]
        return self.rest.split()


@dataclass(frozen=True)
class Stage:
    """One `FROM` and what follows it."""

    base: str
    name: str
    line: int
    instructions: list[Instruction] = field(default_factory=list)


def problems(project: Project) -> Iterator[Problem]:
    """Yield what is wrong with the Dockerfile of each service that is built, once a Dockerfile."""
    seen: set[tuple[Path, str]] = set()
    for name, service in project.services():
        build = service.get("build")
        if build is None:
            continue
        build = {"context": build} if isinstance(build, str) else build
        context = (project.directory / build.get("context", ".")).resolve()
        file = context / build.get("dockerfile", "Dockerfile")
        if not context.is_dir():
            yield Problem(f"services.{name}.build.context", f"{build['context']} is not a directory")
        elif not file.is_file():
            yield Problem(f"services.{name}.build.dockerfile", f"{build['dockerfile']} does not exist")
        elif (file, key := json.dumps(build.get("args"), sort_keys=True)) not in seen:
            seen.add((file, key))
            yield from check(file, context, _arguments(build.get("args")))


def check(file: Path, context: Path, arguments: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is wrong with one Dockerfile.

    Args:
        file: The Dockerfile.
        context: The build context.
        arguments: The build arguments that compose gives.
    """
    head, stages = parse(file.read_text(encoding="utf-8"))
    if not stages:
        yield Problem(file.name, "has no FROM")
        return
    yield from _arguments_without_value(file, head, stages, arguments)
    ignore = dockerignore.read(context)
    for position, stage in enumerate(stages):
        for instruction in stage.instructions:
            if instruction.name in {"COPY", "ADD"}:
                earlier = {each.name for each in stages[:position]} | {str(n) for n in range(position)}
                yield from _copy(file, instruction, context, ignore, earlier)
    yield from _user(file, stages)


def parse(text: str) -> tuple[list[Instruction], list[Stage]]:
    """Split a Dockerfile into what stands before the first FROM, and its stages."""
    head: list[Instruction] = []
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            words = instruction.words()
            name = words[2] if len(words) == 3 and words[1].upper() == "AS" else ""
            stages.append(Stage(words[0], name, instruction.line))
        elif stages:
            stages[-1].instructions.append(instruction)
        else:
            head.append(instruction)
    return head, stages


def _instructions(text: str) -> Iterator[Instruction]:
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        logical = line.strip()
        if not logical or logical.startswith("#"):
            continue
        while logical.endswith("\\"):
            _, following = next(lines, (0, ""))
            # Comments between continued lines are left out by the builder.
            if not following.strip().startswith("#"):
                logical = f"{logical[:-1].rstrip()} {following.strip()}"
        name, _, rest = logical.partition(" ")
        flags: dict[str, str] = {}
        while match := re.match(r"--([a-z]+)(?:=(\S*))?\s+", rest):
            flags[match[1]] = match[2] or ""
            rest = rest[match.end() :]
        yield Instruction(name.upper(), number, flags, rest.strip())


def _arguments_without_value(
    file: Path, head: Sequence[Instruction], stages: Sequence[Stage], given: Mapping[str, str]
) -> Iterator[Problem]:
    declared = [*head, *(each for stage in stages for each in stage.instructions)]
    for instruction in (each for each in declared if each.name == "ARG"):
        name, has_default, _ = instruction.rest.partition("=")
        if not has_default and name not in given:
            yield Problem(f"{file.name}:{instruction.line}", f"compose.yaml gives no build argument {name}")
    known = {each.rest.partition("=")[0] for each in head if each.name == "ARG"}
    for stage in stages:
        for match in _VARIABLE.finditer(stage.base):
            if match["name"] not in known and not match["default"]:
                yield Problem(f"{file.name}:{stage.line}", f"no ARG {match['name']} before the first FROM")


def _copy(
    file: Path, instruction: Instruction, context: Path, ignore: dockerignore.Ignore, earlier: set[str]
) -> Iterator[Problem]:
    where = f"{file.name}:{instruction.line}"
    if "from" in instruction.flags:
        source = instruction.flags["from"]
        # A name without a tag or a registry can only be a stage's.
        if source not in earlier and not re.search(r"[:/@$]", source):
            yield Problem(where, f"copies from {source}, which is no earlier stage")
        return
    for source in instruction.words()[:-1]:
        if re.match(r"https?://", source):
            yield Problem(where, f"downloads {source} without a checksum")
            continue
        relative = source.removeprefix("./").strip("/")
        matches = [path for path in context.glob(relative) if path.exists()] if relative != "." else [context]
        if not matches:
            yield Problem(where, f"copies {source}, which does not exist")
        elif all(_all_hidden(path, context, ignore) for path in matches):
            yield Problem(where, f"copies {source}, which .dockerignore hides")


def _all_hidden(path: Path, context: Path, ignore: dockerignore.Ignore) -> bool:
    files = (each for each in path.rglob("*") if each.is_file()) if path.is_dir() else iter([path])
    return all(ignore.hides(each.relative_to(context).as_posix()) for each in files)


def _user(file: Path, stages: Sequence[Stage]) -> Iterator[Problem]:
    by_name = {stage.name: stage for stage in stages if stage.name}
    stage: Stage | None = stages[-1]
    while stage is not None:
        users = [each for each in stage.instructions if each.name == "USER"]
        if users:
            user = users[-1].rest.partition(":")[0]
            if user in {"root", "0"}:
                yield Problem(f"{file.name}:{users[-1].line}", f"the final stage runs as {user}")
            return
        stage = by_name.get(stage.base)
    yield Problem(file.name, "the final stage has no USER, so it runs as root")


def _arguments(value: Any) -> dict[str, str]:
    if isinstance(value, list):
        return dict(entry.partition("=")[::2] for entry in value)
    return {str(key): str(each) for key, each in (value or {}).items()}
