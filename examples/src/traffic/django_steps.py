"""What clients ask of the management service."""

from collections.abc import Callable

from traffic.steps import Json, Service, Step
from traffic.world import PROJECT_OWNERS, SCRATCH_PROJECTS, SCRATCH_USERS, World


def _step(method: str, route: str, path: str, *, body: Json | None = None, user: str | None = None) -> Step:
    return Step(Service.DJANGO, method, route, path, body, user)


_USERS = "/api/users/"
_USER = "/api/users/<slug:username>/"
_PROJECTS = "/api/projects/"
_PROJECT = "/api/projects/<slug:slug>/"


def list_users(world: World) -> Step:
    return _step("GET", _USERS, "/api/users/")


def get_user(world: World) -> Step:
    return _step("GET", _USER, f"/api/users/{world.user()}/")


def create_user(world: World) -> Step:
    username = world.chance.choice(SCRATCH_USERS)
    body: Json = {
        "username": username,
        "display_name": username.replace("-", " ").capitalize(),
        "email": f"{username}@example.com",
        "user_type": world.chance.choice(["developer", "viewer"]),
    }
    return _step("POST", _USERS, "/api/users/", body=body, user="ada")


def change_user(world: World) -> Step:
    user_type = world.chance.choice(["developer", "viewer"])
    path = f"/api/users/{world.chance.choice(SCRATCH_USERS)}/"
    return _step("PATCH", _USER, path, body={"user_type": user_type}, user="ada")


def delete_user(world: World) -> Step:
    return _step("DELETE", _USER, f"/api/users/{world.chance.choice(SCRATCH_USERS)}/", user="ada")


def sign_in(world: World) -> Step:
    return _step("POST", "/api/sessions/", "/api/sessions/", body={"username": world.user()})


def sign_in_as_nobody(world: World) -> Step:
    return _step("POST", "/api/sessions/", "/api/sessions/", body={"username": "nobody"})


def list_projects(world: World) -> Step:
    return _step("GET", _PROJECTS, "/api/projects/")


def get_project(world: World) -> Step:
    return _step("GET", _PROJECT, f"/api/projects/{world.project()}/")


def project_runs(world: World) -> Step:
    return _step("GET", "/api/projects/<slug:slug>/runs/", f"/api/projects/{world.project()}/runs/")


def create_project(world: World) -> Step:
    slug = world.chance.choice(SCRATCH_PROJECTS)
    body: Json = {"slug": slug, "name": slug.capitalize(), "owner": world.chance.choice(PROJECT_OWNERS)}
    return _step("POST", _PROJECTS, "/api/projects/", body=body, user=world.user())


def change_project(world: World) -> Step:
    description = f"Looked at {world.chance.randrange(1, 100)} times"
    path = f"/api/projects/{world.project()}/"
    return _step("PATCH", _PROJECT, path, body={"description": description}, user=world.user())


def delete_project(world: World) -> Step:
    path = f"/api/projects/{world.chance.choice(SCRATCH_PROJECTS)}/"
    return _step("DELETE", _PROJECT, path, user=world.user())


def platform_settings(world: World) -> Step:
    return _step("GET", "/api/settings/", "/api/settings/")


def project_settings(world: World) -> Step:
    return _step("GET", "/api/projects/<slug:slug>/settings/", f"/api/projects/{world.project()}/settings/")


def change_settings(world: World) -> Step:
    body: Json = {"run_timeout_s": world.chance.choice([20, 30, 45]), "max_concurrent_runs": 6}
    path = f"/api/projects/{world.project()}/settings/"
    return _step("PUT", "/api/projects/<slug:slug>/settings/", path, body=body, user=world.user())


def bad_settings(world: World) -> Step:
    path = f"/api/projects/{world.project()}/settings/"
    return _step("PUT", "/api/projects/<slug:slug>/settings/", path, body={"paused": "maybe"}, user="ada")


def missing_project(world: World) -> Step:
    return _step("GET", _PROJECT, f"/api/projects/gone-{world.chance.randrange(1000)}/")


def missing_address(world: World) -> Step:
    return _step("GET", "", f"/nothing-{world.chance.randrange(1000)}/")


WEIGHTS: dict[Callable[[World], Step], int] = {
    list_users: 10,
    get_user: 12,
    create_user: 2,
    change_user: 1,
    delete_user: 1,
    sign_in: 8,
    sign_in_as_nobody: 1,
    list_projects: 10,
    get_project: 12,
    project_runs: 12,
    create_project: 2,
    change_project: 2,
    delete_project: 1,
    platform_settings: 12,
    project_settings: 8,
    change_settings: 2,
    bad_settings: 1,
    missing_project: 2,
    missing_address: 1,
}
"""How often each is asked, relative to the others."""
