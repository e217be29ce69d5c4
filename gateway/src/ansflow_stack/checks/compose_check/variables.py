"""Every variable is documented, and what is documented is read, with the default that is shown."""

from collections.abc import Iterator

from ansflow_stack.checks.compose_check.interpolation import Reference, references
from ansflow_stack.checks.compose_check.project import Problem, Project, texts

_EXAMPLE = ".env.example"


def problems(project: Project) -> Iterator[Problem]:
    """Yield undocumented variables, documented ones that nothing reads, and defaults that differ."""
    used: dict[str, list[tuple[str, Reference]]] = {}
    for where, text in texts(project.raw):
        for reference in references(text):
            used.setdefault(reference.name, []).append((where, reference))
    documented = project.required.keys() | project.optional.keys()
    for name, places in used.items():
        if name not in documented:
            where, reference = places[0]
            advice = "" if reference.has_default else " and has no default"
            yield Problem(where, f"the variable {name} is not in {_EXAMPLE}{advice}")
        if name in project.optional:
            yield from _defaults(name, project.optional[name], places)
    for name in sorted(documented - used.keys()):
        yield Problem(_EXAMPLE, f"nothing reads {name}")


def _defaults(name: str, shown: str, places: list[tuple[str, Reference]]) -> Iterator[Problem]:
    for where, reference in places:
        if not reference.has_default:
            yield Problem(where, f"{name} is commented out in {_EXAMPLE}, but has no default here")
        elif reference.operand != shown:
            yield Problem(where, f"{name} defaults to {reference.operand!r}, but {_EXAMPLE} shows {shown!r}")
