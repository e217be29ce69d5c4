"""What clients ask of the pipeline service."""

from collections.abc import Callable

from traffic.steps import Json, Service, Step
from traffic.world import PROJECT_OWNERS, SCRATCH_PROJECTS, World

_API = "/api/v1"


def _step(
    method: str, route: str, *, body: Json | None = None, user: str | None = None, **values: object
) -> Step:
    path = f"{_API}{route}".format_map(values)
    return Step(Service.FASTAPI, method, f"{_API}{route}", path, body, user)


def list_projects(world: World) -> Step:
    return _step("GET", "/projects")


def get_project(world: World) -> Step:
    return _step("GET", "/projects/{slug}", slug=world.project())


def project_stats(world: World) -> Step:
    return _step("GET", "/projects/{slug}/stats", slug=world.project())


def list_pipelines(world: World) -> Step:
    return _step("GET", "/projects/{slug}/pipelines", slug=world.project())


def list_integrations(world: World) -> Step:
    return _step("GET", "/projects/{slug}/integrations", slug=world.project())


def get_pipeline(world: World) -> Step:
    if not world.pipelines:
        return list_pipelines(world)
    return _step("GET", "/pipelines/{pipeline_id}", pipeline_id=world.chance.choice(world.pipelines))


def list_runs(world: World) -> Step:
    if not world.pipelines:
        return list_pipelines(world)
    return _step("GET", "/pipelines/{pipeline_id}/runs", pipeline_id=world.chance.choice(world.pipelines))


def start_run(world: World) -> Step:
    if not world.pipelines:
        return list_pipelines(world)
    branch = world.chance.choice(["main", "main", "main", "feature/search", "fix/rounding"])
    return _step(
        "POST",
        "/pipelines/{pipeline_id}/runs",
        pipeline_id=world.chance.choice(world.pipelines),
        body={"branch": branch},
        user=world.user(),
    )


def get_run(world: World) -> Step:
    if not world.runs:
        return list_runs(world)
    return _step("GET", "/runs/{run_id}", run_id=world.chance.choice(world.runs))


def cancel_run(world: World) -> Step:
    if not world.runs:
        return list_runs(world)
    return _step("POST", "/runs/{run_id}/cancel", run_id=world.runs[-1], user=world.user())


def check_integration(world: World) -> Step:
    if not world.integrations:
        return list_integrations(world)
    return _step(
        "POST",
        "/integrations/{integration_id}/check",
        integration_id=world.chance.choice(world.integrations),
        user=world.user(),
    )


def create_project(world: World) -> Step:
    slug = world.chance.choice(SCRATCH_PROJECTS)
    body: Json = {
        "slug": slug,
        "name": slug.replace("-", " ").capitalize(),
        "repository_url": f"https://git.example.com/sandbox/{slug}.git",
        "owner": world.chance.choice(PROJECT_OWNERS),
    }
    return _step("POST", "/projects", body=body, user=world.user())


def delete_project(world: World) -> Step:
    return _step("DELETE", "/projects/{slug}", slug=world.chance.choice(SCRATCH_PROJECTS), user=world.user())


def change_project(world: World) -> Step:
    name = f"Project of {world.chance.choice(['autumn', 'winter', 'spring', 'summer'])}"
    slug = world.chance.choice(SCRATCH_PROJECTS)
    return _step("PATCH", "/projects/{slug}", slug=slug, body={"name": name}, user=world.user())


def bad_project(world: World) -> Step:
    return _step("POST", "/projects", body={"slug": "Not A Slug", "owner": 7}, user=world.user())


def missing_project(world: World) -> Step:
    return _step("GET", "/projects/{slug}", slug=f"gone-{world.chance.randrange(1000)}")


def missing_address(world: World) -> Step:
    return Step(Service.FASTAPI, "GET", "", f"{_API}/nothing-{world.chance.randrange(1000)}")


WEIGHTS: dict[Callable[[World], Step], int] = {
    list_projects: 10,
    get_project: 12,
    project_stats: 6,
    list_pipelines: 10,
    list_integrations: 4,
    get_pipeline: 8,
    list_runs: 10,
    start_run: 6,
    get_run: 10,
    cancel_run: 1,
    check_integration: 3,
    create_project: 2,
    delete_project: 1,
    change_project: 1,
    bad_project: 1,
    missing_project: 2,
    missing_address: 1,
}
"""How often each is asked, relative to the others."""
