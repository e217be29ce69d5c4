"""DORA figures by brute force: every definition as its words have it, each fact held against each other.

It keeps everything for ever, sorts out nothing beforehand, and shares no code with the gateway's folding.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from ansflow_gateway.domain.events import ArtifactMade, ChangeMerged, Deployed, DeploymentKind, IncidentUpdate

DAY = 86400.0

Fact = ChangeMerged | ArtifactMade | Deployed | IncidentUpdate
FactT = TypeVar("FactT", ChangeMerged, Deployed, IncidentUpdate)
Told = tuple[Fact, float]
"""A fact, and when it was received."""

Key = tuple[str, str, int]
"""Project, environment, days of the window."""


class Row(NamedTuple):
    """Figures of one project, environment and window."""

    deployments: int
    deployments_per_day: float
    lead_time_s: float | None
    change_failure_rate: float | None
    time_to_restore_s: float | None


Place = tuple[str, str]
"""Project and environment."""


def _own(project: str, environment: str) -> Place:
    return project, environment


def oracle(told: Iterable[Told], now: float, shown: Callable[[str, str], Place] = _own) -> dict[Key, Row]:
    """Work the figures out.

    Args:
        told: The facts, in any order, some of them more than once.
        now: Where the windows end.
        shown: Under which names the figures of a project and an environment are.

    Returns:
        The figures of each window of a project and environment in which something happened within 90 days.
    """
    facts = [fact for fact, received in told if _at(fact) <= received + DAY]
    deployments = _distinct(
        [fact for fact in facts if isinstance(fact, Deployed)],
        lambda fact: (fact.project, fact.environment, fact.kind, fact.deployment_id),
    )
    successes = [fact for fact in deployments if fact.kind is DeploymentKind.DEPLOYED]
    changes = _distinct(
        [fact for fact in facts if isinstance(fact, ChangeMerged)],
        lambda fact: (fact.project, fact.revision),
    )
    artifacts = [fact for fact in facts if isinstance(fact, ArtifactMade)]
    updates = [fact for fact in facts if isinstance(fact, IncidentUpdate)]
    detections = _distinct(
        [fact for fact in updates if not fact.resolved], lambda fact: (fact.project, fact.incident_id)
    )
    resolutions = _distinct(
        [fact for fact in updates if fact.resolved], lambda fact: (fact.project, fact.incident_id)
    )

    turns, failed = _replay(deployments)
    restored: list[tuple[str, str, float, float]] = []
    for detection in detections:
        ends = [each for each in resolutions if _incident(each) == _incident(detection)]
        environment = detection.environment or next((each.environment for each in ends), None)
        revision = detection.revision or next((each.revision for each in ends), None)
        suspects = [
            each if revision else live
            for each, live in turns
            if each.project == detection.project
            and each.at <= detection.at
            and (not environment or each.environment == environment)
            and (not revision or (each in successes and _same(each.revision, revision)))
        ]
        blamed = [each for each in suspects[-1:] if each and detection.at - each.at <= 90 * DAY]
        failed.extend(blamed)
        restored.extend(
            (
                detection.project,
                environment or next((each.environment for each in blamed), "unknown"),
                end.at,
                max(0.0, end.at - detection.at),
            )
            for end in ends
            if end.at - detection.at <= 180 * DAY
        )
    leads: list[tuple[Deployed, float]] = []
    for change in changes:
        for place in {_place(each) for each in successes}:
            holders = [
                each
                for each in successes
                if _place(each) == place and change in _held(each, changes, artifacts)
            ]
            for first in sorted(holders, key=_order)[:1]:
                begun = change.merged_at if change.created_at is None else change.created_at
                leads.append((first, max(0.0, first.at - begun)))

    found: dict[Key, Row] = {}
    places = {shown(each.project, each.environment) for each in successes}
    places |= {shown(project, environment) for project, environment, _, _ in restored}
    for project, environment in places:
        for days in (90, 30, 7):
            since = now - days * DAY
            inside = [
                each
                for each in successes
                if shown(each.project, each.environment) == (project, environment) and since < each.at <= now
            ]
            durations = [
                duration
                for name, where, at, duration in restored
                if shown(name, where) == (project, environment) and since < at <= now
            ]
            if days == 90 and not inside and not durations:
                break
            found[project, environment, days] = Row(
                len(inside),
                len(inside) / days,
                _middle([lead for first, lead in leads if first in inside]),
                len([each for each in inside if each in failed]) / len(inside) if inside else None,
                _middle(durations),
            )
    return found


def _replay(deployments: Sequence[Deployed]) -> tuple[list[tuple[Deployed, Deployed | None]], list[Deployed]]:
    """Go through deployments and roll-backs by time.

    Returns:
        Each with what is live in its environment from then on, and the deployments rolled back.
    """
    turns: list[tuple[Deployed, Deployed | None]] = []
    failed: list[Deployed] = []
    for each in sorted(deployments, key=_order):
        if each.kind is DeploymentKind.FAILED:
            continue
        before = [turn for turn in turns if _place(turn[0]) == _place(each)]
        live: Deployed | None = each
        if each.kind is DeploymentKind.ROLLED_BACK:
            last, live = before[-1] if before else (None, None)
            named: Deployed | None = None
            for turn, _ in before:
                recent = each.at - turn.at <= 180 * DAY
                if turn.kind is DeploymentKind.DEPLOYED and recent and _same(turn.revision, each.revision):
                    named = turn
            if last and last.kind is DeploymentKind.ROLLED_BACK and each.revision:
                told_again = _same(last.revision, each.revision) or (named and named == live)
            else:
                told_again = False
            if not told_again:
                if live:
                    failed.append(live)
                if named and named != live:
                    live = named
                elif live:
                    since = [turn for turn, _ in before].index(live)
                    live = before[since - 1][1] if since else None
        turns.append((each, live))
    return turns, failed


def _held(
    deployment: Deployed, changes: Sequence[ChangeMerged], artifacts: Sequence[ArtifactMade]
) -> list[ChangeMerged]:
    """Find the changes in a deployment."""
    near = [each for each in changes if -30 * DAY <= deployment.at - each.merged_at <= 180 * DAY]
    held = _whose(deployment, [each for each in near if _same(each.revision, deployment.revision)])
    for artifact in artifacts:
        if _same(artifact.artifact, deployment.revision):
            inside = [
                each
                for each in near
                if _same(each.revision, artifact.change)
                or (each.change_id == artifact.change and each.project == deployment.project)
            ]
            # Of an artifact that was packaged and published, the later time counts.
            made = max(
                each.made_at
                for each in artifacts
                if (each.artifact, each.change) == (artifact.artifact, artifact.change)
            )
            held += _whose(deployment, [each for each in inside if made >= each.merged_at - 30 * DAY])
    return held


def _whose(deployment: Deployed, changes: Sequence[ChangeMerged]) -> list[ChangeMerged]:
    """Take the project's own changes, else those of the only other project that has any."""
    own = [each for each in changes if each.project == deployment.project]
    others = {each.project for each in changes}
    return own or ([*changes] if len(others) == 1 else [])


def _same(one: str | None, other: str | None) -> bool:
    def plain(revision: str) -> str:
        return revision.split("#")[0].split("?")[0] if revision.startswith("pkg:") else revision

    return one is not None and other is not None and plain(one) == plain(other)


def _middle(values: list[float]) -> float | None:
    """Take the median."""
    ordered = sorted(values)
    if not ordered:
        return None
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _order(deployment: Deployed) -> tuple[float, str, str, str]:
    return deployment.at, deployment.environment, deployment.kind, deployment.deployment_id


def _place(deployment: Deployed) -> tuple[str, str]:
    return deployment.project, deployment.environment


def _incident(update: IncidentUpdate) -> tuple[str, str]:
    return update.project, update.incident_id


def _at(fact: Fact) -> float:
    if isinstance(fact, ChangeMerged):
        return fact.merged_at
    return fact.made_at if isinstance(fact, ArtifactMade) else fact.at


def _distinct(facts: Sequence[FactT], key: Callable[[FactT], object]) -> list[FactT]:
    """Take each fact once; where it was told in two ways, as it was told with the earlier time."""
    found: list[FactT] = []
    for fact in facts:
        same = [each for each in facts if key(each) == key(fact)]
        first = min(same, key=lambda each: (_at(each), msgspec.msgpack.encode(each)))
        if first not in found:
            found.append(first)
    return found
