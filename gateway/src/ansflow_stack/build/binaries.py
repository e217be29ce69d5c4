"""The binaries of the stack, each pinned here and nowhere else (the Collector: in its manifest)."""

import hashlib
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path

from ansflow_stack.build.errors import BuildError

_PROMETHEUS = "github.com/prometheus/prometheus"
_PROMETHEUS_VERSION = "v0.316.0"
"""Prometheus' Go module numbers release 3.x as v0.3xx."""

_PROMETHEUS_TAGS = "remove_all_sd,enable_dns_sd"
"""Discovery in clouds would triple the build; files, which are always in, and DNS are what the stack uses."""

_ALERTMANAGER = "github.com/prometheus/alertmanager"
_ALERTMANAGER_VERSION = "v0.31.1"
"""Not newer: from v0.32 on the module lacks the UI's assets, and the server does not build from it."""

_PUSHGATEWAY = "github.com/prometheus/pushgateway"
_PUSHGATEWAY_VERSION = "v1.11.1"

_STATSD_EXPORTER = "github.com/prometheus/statsd_exporter"
_STATSD_EXPORTER_VERSION = "v0.31.0"


@dataclass(frozen=True)
class GoBinary:
    """A program of a public Go module."""

    name: str
    package: str
    version: str
    tags: str = ""
    module: str = ""
    """The module, where it is built as what an empty module requires. Else ``go install`` builds it, which
    asks for the list of all its versions, to see what is retracted or deprecated; a proxy may lack that."""
    fitting: re.Pattern[str] | None = field(default=None, compare=False)
    """What ``NAME --version`` of a binary on PATH prints if it can stand in for a build of ours."""

    @property
    def key(self) -> str:
        """A digest of all that decides what the binary is, 16 hexadecimal digits."""
        return _digest(self.package, self.version, self.tags)

    @property
    def summary(self) -> str:
        """What is built, for people."""
        return f"{self.package}@{self.version}"


@dataclass(frozen=True)
class CollectorBinary:
    """The OpenTelemetry Collector, composed by OCB from a manifest."""

    manifest: Path
    name: str = "ansflow-otelcol"

    @property
    def version(self) -> str:
        """``dist.version`` of the manifest; the builder of the same version composes it.

        Raises:
            BuildError: the manifest names no version.
        """
        # The manifest is YAML, and this package has the standard library only: one line is all it needs.
        found = re.search(r"^  version: *\"?(\d+\.\d+\.\d+)\"?", self.manifest.read_text(), re.MULTILINE)
        if not found:
            raise BuildError(f"{self.manifest}: dist.version is missing; expected three numbers, as 0.161.0")
        return found[1]

    @property
    def key(self) -> str:
        """A digest of the manifest, 16 hexadecimal digits."""
        return _digest(self.manifest.read_text())

    @property
    def summary(self) -> str:
        """What is built, for people."""
        return f"OpenTelemetry Collector {self.version} from {self.manifest.name}"


Binary = GoBinary | CollectorBinary


def catalogue(manifest: Path) -> dict[str, Binary]:
    """Return the binaries that can be built, by the name they are asked for."""
    return {
        "collector": CollectorBinary(manifest),
        "prometheus": GoBinary(
            name="prometheus",
            package=f"{_PROMETHEUS}/cmd/prometheus",
            version=_PROMETHEUS_VERSION,
            tags=_PROMETHEUS_TAGS,
            fitting=re.compile(r"prometheus, version 3\."),
        ),
        "promtool": GoBinary(
            name="promtool",
            package=f"{_PROMETHEUS}/cmd/promtool",
            version=_PROMETHEUS_VERSION,
            tags=_PROMETHEUS_TAGS,
            fitting=re.compile(r"promtool, version 3\."),
        ),
        "amtool": GoBinary(
            name="amtool",
            package=f"{_ALERTMANAGER}/cmd/amtool",
            version=_ALERTMANAGER_VERSION,
            fitting=re.compile(r"amtool, version 0\.(2[7-9]|[3-9]\d)\."),
        ),
        # Peers that the gateway is measured beside: these versions, whatever PATH has.
        "pushgateway": GoBinary("pushgateway", _PUSHGATEWAY, _PUSHGATEWAY_VERSION, module=_PUSHGATEWAY),
        "statsd_exporter": GoBinary("statsd_exporter", _STATSD_EXPORTER, _STATSD_EXPORTER_VERSION),
    }


def _digest(*parts: str) -> str:
    machine = f"{platform.system()}/{platform.machine()}"
    return hashlib.sha256("\0".join((machine, *parts)).encode()).hexdigest()[:16]
