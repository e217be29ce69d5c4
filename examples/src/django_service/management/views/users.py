"""Users, and their signing in."""

from http import HTTPStatus

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views import View

from django_service.errors import ApiError, body_of
from django_service.management.activity import record, record_request
from django_service.management.models import User
from django_service.management.views.forms import SessionForm, UserChangeForm, UserForm, changes, cleaned
from django_service.management.views.paging import page_of


class UserListView(View):
    def get(self, request: HttpRequest) -> JsonResponse:
        users = User.objects.all()[page_of(request).slice]
        return JsonResponse({"users": [user_json(user) for user in users]})

    def post(self, request: HttpRequest) -> JsonResponse:
        values = cleaned(UserForm, body_of(request))
        try:
            with transaction.atomic():
                user = User.objects.create(**values)
        except IntegrityError as error:
            raise ApiError(HTTPStatus.CONFLICT, f"user {values['username']!r} exists") from error
        record_request("user_created", request)
        return JsonResponse(
            user_json(user), status=HTTPStatus.CREATED, headers={"Location": f"/api/users/{user.username}/"}
        )


class UserView(View):
    def get(self, request: HttpRequest, username: str) -> JsonResponse:
        return JsonResponse(user_json(existing_user(username)))

    def patch(self, request: HttpRequest, username: str) -> JsonResponse:
        user = existing_user(username)
        values = changes(UserChangeForm, body_of(request))
        for name, value in values.items():
            setattr(user, name, value)
        user.save(update_fields=list(values))
        record_request("user_changed", request)
        return JsonResponse(user_json(user))

    def delete(self, request: HttpRequest, username: str) -> HttpResponse:
        user = existing_user(username)
        try:
            user.delete()
        except ProtectedError as error:
            raise ApiError(HTTPStatus.CONFLICT, f"user {username!r} owns projects") from error
        record_request("user_deleted", request)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class SessionView(View):
    def post(self, request: HttpRequest) -> JsonResponse:
        username = cleaned(SessionForm, body_of(request))["username"]
        user = User.objects.filter(username=username, active=True).first()
        if user is None:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "no such user")
        user.last_seen_at = timezone.now()
        user.save(update_fields=["last_seen_at"])
        record("login", user)
        return JsonResponse(user_json(user), status=HTTPStatus.CREATED)


def existing_user(username: str) -> User:
    """Return a user.

    Raises:
        ApiError: 404, there is no such user.
    """
    user = User.objects.filter(username=username).first()
    if user is None:
        raise ApiError(HTTPStatus.NOT_FOUND, f"no user {username!r}")
    return user


def user_json(user: User) -> dict[str, object]:
    """Return a user as the API gives it."""
    return {
        "username": user.username,
        "display_name": user.display_name,
        "email": user.email,
        "user_type": user.user_type,
        "active": user.active,
        "created_at": user.created_at.isoformat(),
        "last_seen_at": user.last_seen_at.isoformat() if user.last_seen_at else None,
    }
