"""The run directory: all that a running system writes."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansflow_stack.build.checkout import Checkout

_LONGEST_SOCKET_PATH = 100
"""Unix socket paths end at 108 bytes on Linux and 104 on macOS."""


@dataclass(frozen=True)
class RunDirectory:
    """Logs, data, and the generated configuration of one running system.

    Two systems with different run directories, and different ports, run side by side.
    """

    path: Path

    @classmethod
    def of(cls, checkout: Checkout, env: Mapping[str, str] | None = None) -> "RunDirectory":
        """Return the run directory: ``ANSFLOW_RUN_DIR``, else ``.run`` in the checkout."""
        env = os.environ if env is None else env
        return cls(Path(env.get("ANSFLOW_RUN_DIR") or checkout.root / ".run").absolute())

    @property
    def logs(self) -> Path:
        """A file a process, rotated."""
        return self.path / "logs"

    @property
    def data(self) -> Path:
        """Databases of the gateway and of the example services, and the Collector's trace and log files."""
        return self.path / "data"

    @property
    def prometheus(self) -> Path:
        """Prometheus' directory: links to the committed configuration, this run's targets, and its data."""
        return self.path / "prometheus"

    @property
    def supervisor_config(self) -> Path:
        """What supervisord reads."""
        return self.path / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        """What supervisord writes."""
        return self.path / "supervisord.pid"

    @property
    def supervisor_socket(self) -> Path:
        """Where supervisord is spoken to; elsewhere if the path would be too long for a socket."""
        here = self.path / "supervisor.sock"
        if len(os.fsencode(here)) <= _LONGEST_SOCKET_PATH:
            return here
        digest = hashlib.sha256(os.fsencode(here)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"ansflow-{digest}.sock"

    @property
    def ready_urls(self) -> Path:
        """The readiness URL of each process that was started, as JSON."""
        return self.path / "ready-urls.json"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    def create(self) -> None:
        """Make the folders, for this user's eyes only."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.logs, self.data, self.prometheus / "targets"):
            folder.mkdir(parents=True, exist_ok=True)
