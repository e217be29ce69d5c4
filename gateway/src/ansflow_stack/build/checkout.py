"""Where things are in a checkout."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkout:
    """The folders of a checkout that the stack reads from and writes to."""

    root: Path
    """The folder that holds ``collector-config/`` and ``docker/``."""

    @classmethod
    def find(cls, start: Path | None = None) -> "Checkout":
        """Return the checkout around ``start``, the working directory, or this file, whichever comes first.

        Raises:
            FileNotFoundError: no folder above either holds ``collector-config/builder.yaml``.
        """
        places = [start] if start else [Path.cwd(), Path(__file__)]
        for place in places:
            for folder in (place.resolve(), *place.resolve().parents):
                if (folder / "collector-config" / "builder.yaml").is_file():
                    return cls(folder)
        raise FileNotFoundError(
            "this is not a checkout of AnsFlow: no folder above holds collector-config/builder.yaml"
        )

    @property
    def cache(self) -> Path:
        """What can be made again: binaries, Go's caches. ``ANSFLOW_CACHE_DIR`` moves it."""
        return Path(os.environ.get("ANSFLOW_CACHE_DIR") or self.root / ".cache")

    @property
    def binaries(self) -> Path:
        """Links to the current build of each binary."""
        return self.cache / "bin"

    @property
    def manifest(self) -> Path:
        """The Collector's manifest."""
        return self.root / "collector-config" / "builder.yaml"
