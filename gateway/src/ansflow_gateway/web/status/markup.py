"""HTML that is escaped by construction.

A `Markup` is made of templates that are written in this package, and of values, which are escaped unless they
are `Markup` themselves. Nothing else makes one.
"""

from collections.abc import Iterable
from html import escape
from typing import Final

from ansflow_gateway.domain.urls import is_http

_MAX_TEXT: Final = 300


class Markup(str):
    """HTML that is safe to send."""

    __slots__ = ()


EMPTY: Final = Markup("")


def fill(template: str, /, **values: object) -> Markup:
    """Fill a template.

    Args:
        template: HTML with `{name}` in texts and in quoted attributes; never anything from outside.
        values: What goes there; escaped, unless it is `Markup`.

    Returns:
        The HTML.
    """
    return Markup(template.format_map({name: _escaped(value) for name, value in values.items()}))


def join(parts: Iterable[Markup]) -> Markup:
    """Put pieces of HTML one after the other."""
    return Markup("".join(parts))


def foreign(text: str) -> Markup:
    """Show a text that somebody else chose: bounded, and its writing direction kept to itself.

    Args:
        text: Any text.

    Returns:
        The HTML.
    """
    shown = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
    return fill("<bdi>{text}</bdi>", text=shown)


def link(url: str | None, label: Markup, key: str) -> Markup:
    """Make a link, where the URL is one that a browser may safely follow.

    Args:
        url: Any text.
        label: What it reads.
        key: Stable name, unique on the page: the focus stays on it when the page is updated.

    Returns:
        The link; the label alone where the URL isn't an http or https one.
    """
    if url is None or not is_http(url):
        return label
    return fill(
        '<a href="{url}" rel="noreferrer" data-key="{key}">{label}</a>', url=url, key=key, label=label
    )


def _escaped(value: object) -> str:
    if isinstance(value, Markup):
        return value
    # Lone surrogates, which JSON can carry, have no form in UTF-8.
    return escape(str(value).encode("utf-8", "replace").decode())
