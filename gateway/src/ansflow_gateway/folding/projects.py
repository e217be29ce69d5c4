"""Which projects had a finished run within the window, also after a restart."""

import msgspec

from ansflow_gateway.domain.active_projects import ActiveProjects
from ansflow_gateway.folding.state import StateMap


class _Seen(msgspec.Struct):
    at: float


class Projects:
    """Remembers when each project was active last.

    One owner calls it.

    Args:
        active: Does the counting.
    """

    def __init__(self, active: ActiveProjects) -> None:
        self._active = active
        self._map = StateMap("project", _Seen)
        self.maps = (self._map,)

    def loaded(self) -> None:
        """Go on with what was loaded into the map."""
        for project, seen in self._map.items():
            self._active.seen(project, seen.at)

    def seen(self, project: str, at: float) -> None:
        """Note a finished run; see `ActiveProjects.seen`."""
        self._active.seen(project, at)
        before = self._map.get(project)
        if before is None or before.at < at:
            self._map.put(project, _Seen(at))

    def count(self) -> int:
        """Forget what has left the window, and count the rest."""
        for project in self._active.expire():
            self._map.remove(project)
        return self._active.count
