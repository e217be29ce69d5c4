"""Django's commands: `python -m django_service migrate`."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line


def main() -> None:
    """Run a command of Django's, with this service's settings and its data directory made."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_service.settings")
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        Path(database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    execute_from_command_line(["python -m django_service", *sys.argv[1:]])


if __name__ == "__main__":
    main()
