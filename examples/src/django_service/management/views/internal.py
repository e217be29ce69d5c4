"""What the pipeline service asks for. Nothing here calls it back, or the two could wait for each other."""

from django.http import HttpRequest, JsonResponse
from django.views import View

from django_service.management import platform_settings
from django_service.management.views.projects import existing_project
from django_service.management.views.users import existing_user, user_json


class InternalUserView(View):
    def get(self, request: HttpRequest, username: str) -> JsonResponse:
        return JsonResponse(user_json(existing_user(username)))


class InternalProjectSettingsView(View):
    def get(self, request: HttpRequest, slug: str) -> JsonResponse:
        return JsonResponse(platform_settings.of_project(existing_project(slug)))
