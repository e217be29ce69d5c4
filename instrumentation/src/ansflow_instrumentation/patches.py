"""Replaces functions of a library, and puts them back."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]

Function = Callable[..., Any]


class Patches:
    """Replacements made by one instrumentation.

    They are made where the function is defined, so that subclasses have them too, and each once.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Any, str], tuple[Function, Function]] = {}

    def replace(self, owner: Any, name: str, make: Callable[[Function], Function]) -> None:
        """Replace a function, unless it is replaced already, or the owner does not define it.

        Args:
            owner: Class (or module) that defines it.
            name: Its name.
            make: Makes the replacement from the original.
        """
        original = vars(owner).get(name)
        if not inspect.isfunction(original) or (owner, name) in self._made:
            return
        replacement = functools.wraps(original)(make(original))
        self._made[owner, name] = (original, replacement)
        setattr(owner, name, replacement)

    def restore(self) -> None:
        """Put the originals back, where nobody has replaced our replacement."""
        for (owner, name), (original, replacement) in self._made.items():
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)
        self._made.clear()
