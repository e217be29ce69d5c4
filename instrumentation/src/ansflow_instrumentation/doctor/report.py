"""The diagnosis for people, in a terminal of any width and character set."""

from collections.abc import Iterator

from ansflow_instrumentation.doctor.diagnosis import Diagnosis
from ansflow_instrumentation.doctor.settings import hidden

__all__ = ["report"]

_ORDER = ("on", "failed", "conflict", "off", "missing", "absent")

_MARKS = {"failed": "FAILED", "conflict": "CONFLICT"}


def report(diagnosis: Diagnosis, *, everything: bool = False) -> Iterator[str]:
    """Write a diagnosis.

    Args:
        diagnosis: What was found.
        everything: Whether instrumentations without their library are listed as well.

    Yields:
        Its lines.
    """
    yield ", ".join(f"{name} {version}" for name, version in diagnosis.versions.items())
    yield f"distro: {diagnosis.distro}, configurator: {diagnosis.configurator}"
    yield ""
    yield "Instrumentations"
    listed = [one for one in diagnosis.instrumentations if everything or one["status"] != "absent"]
    listed.sort(key=lambda one: (_ORDER.index(one["status"]), one["name"]))
    width = max((len(one["name"]) for one in listed), default=0)
    for one in listed:
        mark = _MARKS.get(one["status"], one["status"])
        by = f"by {one['owner']}" if one["status"] == "on" else one["reason"]
        libraries = f"  [{one['libraries']}]" if one["libraries"] else ""
        yield f"  {mark:<8} {one['name']:<{width}}  {by}{libraries}"
    absent = len(diagnosis.instrumentations) - len(listed)
    if absent:
        yield f"  and {absent} whose library is not installed (--all shows them)"
    if diagnosis.endpoints:
        yield ""
        yield "Endpoints"
    for answer in diagnosis.endpoints:
        latency = f" in {answer.latency_ms:g} ms" if answer.latency_ms is not None else ""
        where = (
            f"{hidden('', answer.endpoint.url)} ({answer.endpoint.protocol}): " if answer.endpoint.url else ""
        )
        mark = "ok" if answer.ok else "FAILED"
        yield f"  {mark:<8} {answer.endpoint.signal:<8} {where}{answer.text}{latency}"
    for title, sentences in (("Notes", diagnosis.notes), ("Problems", diagnosis.problems)):
        if sentences:
            yield ""
            yield title
        for sentence in sentences:
            yield f"  - {sentence}"
    yield ""
    count = len(diagnosis.problems)
    yield "No problems." if not count else f"{count} problem{'s' if count > 1 else ''}."
