"""What users do."""

from ansflow_instrumentation.business.instruments import instruments
from ansflow_instrumentation.business.labels import label, warn_once

__all__ = ["user_activity"]


def user_activity(action: str, *, user_type: str = "unknown") -> None:
    """Count that a user did something, in `ansflow.user.activity`.

    Args:
        action: What was done; one of a small fixed set. A value that cannot be recorded is one warning, and
            `_OTHER`; more label sets than `ANSFLOW_BUSINESS_SERIES_LIMIT` are `__overflow__`.
        user_type: The kind of user. Who it was is never an attribute.

    Example:
        >>> user_activity("project.created", user_type="developer")
    """
    found = instruments()
    if found is None:
        return
    try:
        key = (label(action, "action"), label(user_type, "user_type"))
        found.activity.add(found.admit_activity.admit(key))
    except Exception as error:  # noqa: BLE001 # telemetry must not stop the application
        warn_once("activity", "A user's activity could not be recorded: %r", error, error=error)
