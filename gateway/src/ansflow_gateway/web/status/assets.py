"""The page's own files, read once; their addresses hold their content's hash, so that they keep forever."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Final

_TYPES: Final = MappingProxyType({"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A file.

    Args:
        body: Its content.
        content_type: Its type.
    """

    body: bytes
    content_type: str


class Assets:
    """Some files, to be served under `/static/`.

    Args:
        files: Their contents, by name.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._paths = {name: _path(name, body) for name, body in files.items()}
        self.served: Mapping[str, Asset] = MappingProxyType(
            {path: Asset(files[name], _TYPES[name.rpartition(".")[2]]) for name, path in self._paths.items()}
        )
        """The files by their paths."""
        self.build: Final = _digest(b"".join(sorted(files.values())))
        """Stands for all of them: a page of another build is to be loaded again."""

    def path(self, name: str) -> str:
        """Return the path of a file.

        Args:
            name: Its name.

        Returns:
            The absolute path, with the content's hash in it.
        """
        return self._paths[name]


def _path(name: str, body: bytes) -> str:
    stem, _, ending = name.rpartition(".")
    return f"/static/{stem}-{_digest(body)}.{ending}"


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:9]).decode()


def _load() -> Assets:
    folder = resources.files(__package__) / "static"
    return Assets({name: (folder / name).read_bytes() for name in ("status.css", "status.js", "icon.svg")})


ASSETS: Final = _load()
"""The files that are shipped."""
