"""What the applications under test depend on: a database that is there, and what the environment names."""

import os
import sqlite3

from ansflow_instrumentation.health import Check, Observation, http_check

DEADLINE_S = float(os.environ.get("DEADLINE_S", "2"))


def read_from_database() -> None:
    """Read from SQLite."""
    with sqlite3.connect(":memory:") as connection:
        connection.execute("SELECT 1")


def be_refused() -> None:
    """Fail as a database does whose address has a password."""
    raise ConnectionRefusedError("postgresql://shop:hunter2@db/shop")


async def queue_length() -> Observation:
    """Say how much is waiting."""
    return Observation(3, "{job}")


def checks() -> list[Check]:
    """Return the checks."""
    return [
        Check("database", read_from_database, component_type="datastore"),
        Check("queue:length", queue_length, critical=False, ready=False),
        *([Check("refused", be_refused, critical=False)] if "NEEDED_URL" in os.environ else []),
        *(
            http_check(url, name=name, critical=name == "needed", ready=True, timeout_s=30)
            for name, variable in (("needed", "NEEDED_URL"), ("useful", "USEFUL_URL"))
            if (url := os.environ.get(variable))
        ),
    ]
