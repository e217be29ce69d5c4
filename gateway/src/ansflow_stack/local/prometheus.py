"""Prepares Prometheus' directory of a run: the committed configuration, with this run's targets."""

import json
import os
from collections.abc import Mapping

from ansflow_stack.build.checkout import Checkout
from ansflow_stack.local import ports
from ansflow_stack.local.ports import HOST
from ansflow_stack.local.rundir import RunDirectory

_TARGETS = {
    "collector": ports.COLLECTOR_METRICS,
    "collector-telemetry": ports.COLLECTOR_TELEMETRY,
    "prometheus": ports.PROMETHEUS,
}
"""The target file of each scrape job, and the port it scrapes."""


def write_configuration(checkout: Checkout, run: RunDirectory, env: Mapping[str, str] | None = None) -> None:
    """Link the committed configuration into the run directory and write the targets beside it.

    Prometheus resolves its file discovery against the folder that its configuration is opened in, so a
    link is all that one file needs to serve this run and the containers alike.
    """
    env = os.environ if env is None else env
    committed = checkout.root / "docker" / "prometheus"
    for name in ("prometheus.yml", "rules"):
        link = run.prometheus / name
        link.unlink(missing_ok=True)
        link.symlink_to(committed / name)
    for name, port in _TARGETS.items():
        targets = [{"targets": [f"{HOST}:{port.number(env)}"]}]
        # JSON is YAML too, and Prometheus tells the two apart by the file's ending.
        (run.prometheus / "targets" / f"{name}.yml").write_text(json.dumps(targets) + "\n")
