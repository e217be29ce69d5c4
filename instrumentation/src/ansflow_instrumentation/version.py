"""The distro's version, as installed."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["DISTRO_NAME", "__version__"]

DISTRO_NAME = "ansflow-instrumentation"
"""Value of the resource attribute `telemetry.distro.name`, and the distribution's name."""

try:
    __version__ = version(DISTRO_NAME)
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
