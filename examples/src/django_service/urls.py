"""The addresses."""

from django.urls import path

from django_service import health
from django_service.management.views.configuration import PlatformSettingsView, ProjectSettingsView
from django_service.management.views.internal import InternalProjectSettingsView, InternalUserView
from django_service.management.views.projects import ProjectListView, ProjectRunsView, ProjectView
from django_service.management.views.users import SessionView, UserListView, UserView

urlpatterns = [
    *health.urlpatterns,
    path("api/users/", UserListView.as_view()),
    path("api/users/<slug:username>/", UserView.as_view()),
    path("api/sessions/", SessionView.as_view()),
    path("api/projects/", ProjectListView.as_view()),
    path("api/projects/<slug:slug>/", ProjectView.as_view()),
    path("api/projects/<slug:slug>/runs/", ProjectRunsView.as_view()),
    path("api/projects/<slug:slug>/settings/", ProjectSettingsView.as_view()),
    path("api/settings/", PlatformSettingsView.as_view()),
    path("internal/users/<slug:username>/", InternalUserView.as_view()),
    path("internal/projects/<slug:slug>/settings/", InternalProjectSettingsView.as_view()),
]

handler404 = "django_service.errors.not_found"
handler500 = "django_service.errors.server_error"
