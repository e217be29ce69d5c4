"""States that are told by a sign and a word; their colour only helps."""

from types import MappingProxyType
from typing import Final

from ansflow_gateway.web.status.markup import Markup, fill

GOOD: Final = "good"
BAD: Final = "bad"
UNSURE: Final = "unsure"

SIGNS: Final = MappingProxyType({GOOD: "✓", BAD: "✕", UNSURE: "○"})
"""The sign of each kind."""


def sign(kind: str, text: str) -> Markup:
    """Show a state.

    Args:
        kind: `GOOD`, `BAD` or `UNSURE`.
        text: The state's word.

    Returns:
        The HTML.
    """
    return fill(
        '<span class="state {kind}"><span aria-hidden="true">{sign}</span> {text}</span>',
        kind=kind,
        sign=SIGNS[kind],
        text=text,
    )


def note(text: str) -> Markup:
    """Say that there is nothing to show."""
    return fill('<p class="note">{text}</p>', text=text)
