"""Ten thousand projects, and room for a hundred."""

from collections import Counter, defaultdict

import httpx
from support.gateway import BATCH, run_finished
from support.gateway_process import MakeGateway, samples

LIMIT = 100
PROJECTS = 10_000
BATCH_EVENTS = 2_000
OVERFLOW = "__overflow__"

PROJECT = "ansflow_project_name"
RUNS = "cicd_pipeline_run_duration_seconds_count"


async def test_ten_thousand_projects_have_room_for_a_hundred(make_gateway: MakeGateway) -> None:
    """No instrument has more than `--series-limit` + 1 series, totals are exact, and the overflow is seen.

    All of it holds after a restart too: those who had a series keep it, and nobody else gets one.
    """
    gateway = make_gateway("--series-limit", str(LIMIT))
    shown: set[str] = set()
    for turn in (1, 2):
        url = await gateway.start()
        await send(url)
        found = await samples(url)
        series: defaultdict[str, set[frozenset[tuple[str, str]]]] = defaultdict(set)
        for name, labels in found:
            series[name].add(frozenset(pair for pair in labels if pair[0] != "le"))
        crowded = {name: len(each) for name, each in series.items() if len(each) > LIMIT + 1}
        assert not crowded
        counts: Counter[str] = Counter()
        for (name, labels), value in found.items():
            if name == RUNS:
                counts[dict(labels)[PROJECT]] += int(value)
        assert counts.total() == turn * PROJECTS
        assert len(counts) <= LIMIT + 1
        assert set(counts.values()) == {turn, counts[OVERFLOW]}
        assert not shown or shown == set(counts)
        shown = set(counts)
        overflowed = sum(
            value
            for (name, labels), value in found.items()
            if name == "ansflow_gateway_series_overflowed_total"
            and dict(labels)["instrument"] == "cicd.pipeline.run.duration"
        )
        assert overflowed == counts[OVERFLOW]
        assert await gateway.stop() == 0


async def send(url: str) -> None:
    """Have a run of each project end."""
    events = [run_finished(project=f"project-{number}") for number in range(PROJECTS)]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for start in range(0, PROJECTS, BATCH_EVENTS):
            answer = await client.post(
                f"{url}/v1/events",
                json=events[start : start + BATCH_EVENTS],
                headers={"Content-Type": BATCH, "Prefer": "return=minimal"},
            )
            assert (answer.status_code, answer.json()["accepted"]) == (200, BATCH_EVENTS)
