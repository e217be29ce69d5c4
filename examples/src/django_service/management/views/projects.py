"""Projects."""

from http import HTTPStatus

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import View

from django_service.errors import ApiError, body_of
from django_service.management import pipelines
from django_service.management.activity import record_request
from django_service.management.models import Project, User
from django_service.management.views.forms import ProjectChangeForm, ProjectForm, changes, cleaned
from django_service.management.views.paging import page_of

_LATEST_RUNS = 5


class ProjectListView(View):
    def get(self, request: HttpRequest) -> JsonResponse:
        projects = Project.objects.select_related("owner")[page_of(request).slice]
        return JsonResponse({"projects": [_json(project) for project in projects]})

    def post(self, request: HttpRequest) -> JsonResponse:
        values = cleaned(ProjectForm, body_of(request))
        owner = _owner(values.pop("owner"))
        try:
            with transaction.atomic():
                project = Project.objects.create(owner=owner, **values)
        except IntegrityError as error:
            raise ApiError(HTTPStatus.CONFLICT, f"project {values['slug']!r} exists") from error
        record_request("project_created", request)
        return JsonResponse(
            _json(project), status=HTTPStatus.CREATED, headers={"Location": f"/api/projects/{project.slug}/"}
        )


class ProjectView(View):
    def get(self, request: HttpRequest, slug: str) -> JsonResponse:
        return JsonResponse(_json(existing_project(slug)))

    def patch(self, request: HttpRequest, slug: str) -> JsonResponse:
        project = existing_project(slug)
        values = changes(ProjectChangeForm, body_of(request))
        if "owner" in values:
            project.owner = _owner(values.pop("owner"))
        for name, value in values.items():
            setattr(project, name, value)
        project.save()
        record_request("project_changed", request)
        return JsonResponse(_json(project))

    def delete(self, request: HttpRequest, slug: str) -> HttpResponse:
        existing_project(slug).delete()
        record_request("project_deleted", request)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class ProjectRunsView(View):
    def get(self, request: HttpRequest, slug: str) -> JsonResponse:
        project = existing_project(slug)
        try:
            runs = pipelines.latest_runs(project.slug, limit=_LATEST_RUNS)
        except pipelines.PipelinesUnavailableError as error:
            raise ApiError(HTTPStatus.BAD_GATEWAY, f"runs are not to be had now: {error}") from error
        return JsonResponse({"project": project.slug, "runs": runs})


def existing_project(slug: str) -> Project:
    """Return a project with its owner.

    Raises:
        ApiError: 404, there is no such project.
    """
    project = Project.objects.select_related("owner").filter(slug=slug).first()
    if project is None:
        raise ApiError(HTTPStatus.NOT_FOUND, f"no project {slug!r}")
    return project


def _owner(username: str) -> User:
    user = User.objects.filter(username=username, active=True).first()
    if user is None:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, {"owner": [f"no user {username!r}"]})
    return user


def _json(project: Project) -> dict[str, object]:
    return {
        "slug": project.slug,
        "name": project.name,
        "description": project.description,
        "owner": project.owner.username,
        "created_at": project.created_at.isoformat(),
    }
