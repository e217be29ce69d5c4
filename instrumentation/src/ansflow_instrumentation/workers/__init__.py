"""Processes: how they end, who they are, and what becomes of telemetry when they fork.

- `leaving`, `signals`, `reloader`: whatever the end, what is buffered is sent, within a bound.
- `identity`, `slots`: a worker is a slot, which its successor takes over.
- `totals`, `carrying`: the successor's sums go on where the predecessor's ended.
- `farewell`: what belongs to a process alone leaves with it.
- `forks`: a child starts with nothing of its parent's: no sums, no locks, no connections.
"""

from ansflow_instrumentation.workers.processes import care_for_processes, telemetry_is_set_up

__all__ = ["care_for_processes", "telemetry_is_set_up"]
