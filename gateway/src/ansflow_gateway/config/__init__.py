"""The gateway's settings: flags win over the environment, which wins over a TOML file, then defaults."""

from ansflow_gateway.config.options import OPTIONS, PREFIX, Kind, Option
from ansflow_gateway.config.settings import Settings, load
from ansflow_gateway.config.values import is_loopback

__all__ = ["OPTIONS", "PREFIX", "Kind", "Option", "Settings", "is_loopback", "load"]
