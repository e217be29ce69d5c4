"""The projects that a new database starts with."""

from collections.abc import Iterator

from fastapi_service.models import Integration, IntegrationKind, Pipeline, PipelineKind, Project

_PROJECTS = (
    ("web-shop", "Web shop", "ada"),
    ("payments", "Payments", "grace"),
    ("mobile-app", "Mobile app", "linus"),
    ("data-platform", "Data platform", "grace"),
)

_PIPELINES = (
    ("build-and-test", PipelineKind.BUILD, ["checkout", "build", "test", "publish"]),
    ("deploy", PipelineKind.DEPLOY, ["checkout", "build", "deploy"]),
    ("nightly", PipelineKind.TEST, ["checkout", "test", "report"]),
)


def seed_projects() -> Iterator[Project | Pipeline | Integration]:
    """Yield the first projects with their pipelines and integrations, in the order to insert them."""
    for slug, name, owner in _PROJECTS:
        project = Project(
            slug=slug,
            name=name,
            repository_url=f"https://git.example.com/ansflow/{slug}.git",
            default_branch="main",
            owner=owner,
        )
        yield project
        for pipeline, kind, stages in _PIPELINES:
            yield Pipeline(project=project, name=pipeline, kind=kind, stages=stages)
        yield Integration(project=project, name="registry", kind=IntegrationKind.REGISTRY, target=slug)
        yield Integration(
            project=project, name="team-chat", kind=IntegrationKind.NOTIFICATION, target=f"{slug}-builds"
        )
