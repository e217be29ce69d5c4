"""What the API takes, and how it says what is wrong with it."""

from collections.abc import Mapping
from http import HTTPStatus

from django import forms

from django_service.errors import ApiError
from django_service.management.models import UserType


class UserForm(forms.Form):
    """A user."""

    username = forms.SlugField(max_length=60)
    display_name = forms.CharField(max_length=120)
    email = forms.EmailField(max_length=200)
    user_type = forms.ChoiceField(choices=UserType.choices)


class UserChangeForm(forms.Form):
    """What can be changed about a user."""

    display_name = forms.CharField(max_length=120)
    email = forms.EmailField(max_length=200)
    user_type = forms.ChoiceField(choices=UserType.choices)


class ProjectForm(forms.Form):
    """A project."""

    slug = forms.SlugField(max_length=60)
    name = forms.CharField(max_length=120)
    description = forms.CharField(max_length=2000, required=False)
    owner = forms.SlugField(max_length=60)


class ProjectChangeForm(forms.Form):
    """What can be changed about a project."""

    name = forms.CharField(max_length=120)
    description = forms.CharField(max_length=2000, required=False)
    owner = forms.SlugField(max_length=60)


class SessionForm(forms.Form):
    """Who signs in."""

    username = forms.SlugField(max_length=60)


def cleaned(form: type[forms.Form], data: Mapping[str, object]) -> dict[str, str]:
    """Return the values of a form that are given and right.

    Args:
        form: The form; every field of it is text.
        data: Values by field.

    Returns:
        Cleaned values, those that are given.

    Raises:
        ApiError: 422, with what is wrong with each field.
    """
    return _cleaned(form(dict(data)), data)


def changes(form: type[forms.Form], data: Mapping[str, object]) -> dict[str, str]:
    """Return the values of a form of which any part may be given, and that part must be right.

    Args:
        form: The form; every field of it is text.
        data: Values by field.

    Returns:
        Cleaned values, those that are given.

    Raises:
        ApiError: 422, with what is wrong with each field.
    """
    bound = form(dict(data))
    for name in form.base_fields.keys() - data.keys():
        del bound.fields[name]
    return _cleaned(bound, data)


def _cleaned(bound: forms.Form, data: Mapping[str, object]) -> dict[str, str]:
    wrong: dict[str, object] = {
        key: ["expected a string" if key in bound.fields else "no such field"]
        for key, value in data.items()
        if key not in bound.fields or not isinstance(value, str)
    }
    if not bound.is_valid():
        wrong = {key: list(messages) for key, messages in bound.errors.items()} | wrong
    if wrong:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, wrong)
    return {key: str(value) for key, value in bound.cleaned_data.items() if key in data}
