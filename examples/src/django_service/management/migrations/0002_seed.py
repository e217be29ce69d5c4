"""The users and projects that a new database starts with."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

USERS = (
    ("ada", "Ada Lovelace", "admin"),
    ("grace", "Grace Hopper", "developer"),
    ("linus", "Linus Torvalds", "developer"),
    ("margaret", "Margaret Hamilton", "viewer"),
    ("ci-bot", "CI robot", "service"),
)

PROJECTS = (
    ("web-shop", "Web shop", "ada"),
    ("payments", "Payments", "grace"),
    ("mobile-app", "Mobile app", "linus"),
    ("data-platform", "Data platform", "grace"),
)


def seed(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Insert them where they are absent."""
    user_model = apps.get_model("management", "User")
    project_model = apps.get_model("management", "Project")
    for username, display_name, user_type in USERS:
        user_model.objects.get_or_create(
            username=username,
            defaults={
                "display_name": display_name,
                "email": f"{username}@example.com",
                "user_type": user_type,
            },
        )
    for slug, name, owner in PROJECTS:
        project_model.objects.get_or_create(
            slug=slug, defaults={"name": name, "owner": user_model.objects.get(username=owner)}
        )


class Migration(migrations.Migration):
    """Insert them; taking the migration back leaves them."""

    dependencies = (("management", "0001_initial"),)

    operations = (migrations.RunPython(seed, migrations.RunPython.noop),)
