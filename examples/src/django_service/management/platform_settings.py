"""The settings there are, what they may be, and what holds for a project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from django_service.errors import ApiError
from django_service.management.models import Project, Setting


@dataclass(frozen=True, slots=True)
class Kind:
    """A setting there is.

    Args:
        default: Its value where nobody has set one.
        expected: What it may be, in words.
        accepts: Whether a value is that.
    """

    default: object
    expected: str
    accepts: Callable[[object], bool]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_range(low: float, high: float, *, whole: bool) -> Callable[[object], bool]:
    def accepts(value: object) -> bool:
        return (
            _is_number(value) and isinstance(value, int if whole else (int, float)) and low <= value <= high
        )

    return accepts


KINDS: Mapping[str, Kind] = {
    "paused": Kind(False, "true or false", lambda value: isinstance(value, bool)),
    "max_concurrent_runs": Kind(4, "a whole number from 1 to 50", _in_range(1, 50, whole=True)),
    "run_timeout_s": Kind(30.0, "a number from 0.1 to 3600", _in_range(0.1, 3600, whole=False)),
    "notify_on": Kind(
        "failure", "always, failure or never", lambda value: value in ("always", "failure", "never")
    ),
}
"""Every setting, by its key."""


def validated(values: Mapping[str, object]) -> dict[str, object]:
    """Return values that may be set.

    Args:
        values: Values by key.

    Returns:
        The same.

    Raises:
        ApiError: 422, with what is wrong with each key.
    """
    wrong = {}
    for key, value in values.items():
        kind = KINDS.get(key)
        if kind is None:
            wrong[key] = f"no such setting; there are {', '.join(KINDS)}"
        elif not kind.accepts(value):
            wrong[key] = f"expected {kind.expected}"
    if wrong:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, wrong)
    return dict(values)


def of_platform() -> dict[str, object]:
    """Return what holds where a project says nothing: the defaults, overridden by what is set."""
    return _defaults() | _values(None)


def of_project(project: Project) -> dict[str, object]:
    """Return what holds for a project: the platform's settings, overridden by its own.

    Args:
        project: The project.
    """
    return of_platform() | _values(project)


def change(project: Project | None, values: Mapping[str, object]) -> None:
    """Set values of a project, or of the platform.

    Args:
        project: The project; `None` for the platform.
        values: Validated values by key.
    """
    for key, value in values.items():
        Setting.objects.update_or_create(project=project, key=key, defaults={"value": value})


def _defaults() -> dict[str, object]:
    return {key: kind.default for key, kind in KINDS.items()}


def _values(project: Project | None) -> dict[str, object]:
    return {setting.key: setting.value for setting in Setting.objects.filter(project=project)}
