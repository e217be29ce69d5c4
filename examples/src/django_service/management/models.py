"""The database's tables."""

# Django's fields are generic for type checkers alone: their annotations must not be evaluated.
from __future__ import annotations

from datetime import datetime

from django.db import models


class UserType(models.TextChoices):
    """What a user is to the platform."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    SERVICE = "service"


class User(models.Model):
    """Somebody, or something, that uses the platform; passwords are the identity provider's business."""

    username: models.SlugField[str, str] = models.SlugField(max_length=60, unique=True)
    display_name: models.CharField[str, str] = models.CharField(max_length=120)
    email: models.EmailField[str, str] = models.EmailField(max_length=200)
    user_type: models.CharField[str, str] = models.CharField(
        max_length=20, choices=UserType.choices, default=UserType.DEVELOPER
    )
    active: models.BooleanField[bool, bool] = models.BooleanField(default=True)
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)
    last_seen_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)

    class Meta:
        ordering = ("username",)

    def __str__(self) -> str:
        return self.username


class Project(models.Model):
    """A project as management sees it: who owns it, who may see it."""

    slug: models.SlugField[str, str] = models.SlugField(max_length=60, unique=True)
    name: models.CharField[str, str] = models.CharField(max_length=120)
    description: models.TextField[str, str] = models.TextField(blank=True, default="")
    owner: models.ForeignKey[User, User] = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="projects"
    )
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Setting(models.Model):
    """The value of a setting: of one project, or of the whole platform where there is no project."""

    project: models.ForeignKey[Project | None, Project | None] = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, related_name="settings"
    )
    key: models.CharField[str, str] = models.CharField(max_length=60)
    value: models.JSONField[object, object] = models.JSONField()
    changed_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("key",)
        constraints = (
            models.UniqueConstraint(
                fields=["project", "key"],
                condition=models.Q(project__isnull=False),
                name="setting_of_project",
            ),
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(project__isnull=True), name="setting_of_platform"
            ),
        )

    def __str__(self) -> str:
        return self.key
