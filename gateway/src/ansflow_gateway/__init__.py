"""The AnsFlow gateway: events, host readings and health probes in; OpenTelemetry metrics out."""

from importlib.metadata import version
from typing import Final

__version__: Final = version("ansflow-gateway")
