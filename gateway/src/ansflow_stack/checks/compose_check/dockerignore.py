"""Which files of a build context the builder sees, by `.dockerignore`.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Ignore:
    """The patterns of one `.dockerignore`, in order; of those that match a path, the last one decides."""

    patterns: Sequence[tuple[bool, re.Pattern[str]]]

    def hides(self, path: str) -> bool:
        """Return whether the builder doesn't see the path, which is relative to the context.

        A pattern that matches a directory matches all below it, unless a later `!` pattern brings some back.
        """
        hidden = False
        candidates = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
        for excludes, pattern in self.patterns:
            if any(pattern.fullmatch(candidate) for candidate in candidates):
                hidden = excludes
        return hidden


def read(context: Path) -> Ignore:
    """Read the context's `.dockerignore`; without one nothing is hidden."""
    file = context / ".dockerignore"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    patterns = []
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            excludes = not text.startswith("!")
            patterns.append((excludes, _regex(text.removeprefix("!").strip().strip("/"))))
    return Ignore(patterns)


def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    translated = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(translated.get(part, re.escape(part)) for part in parts))
