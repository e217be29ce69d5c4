"""Sets the OpenTelemetry SDK up from the environment that the distro completed."""

import os
from typing import Any

from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.sdk.environment_variables import OTEL_CONFIG_FILE

from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.version import DISTRO_NAME, __version__

__all__ = ["AnsFlowConfigurator"]

DISTRO_ATTRIBUTES = {"telemetry.distro.name": DISTRO_NAME, "telemetry.distro.version": __version__}
"""https://opentelemetry.io/docs/specs/semconv/resource/#telemetry-sdk-experimental"""


class AnsFlowConfigurator(_OTelSDKConfigurator):
    """The SDK's own configurator, which adds the distro's identity and never stops the application.

    No Views are needed: every instrumentation that may own a request advises the bucket boundaries that the
    semantic conventions ask for
    (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration).
    """

    def _configure(self, **kwargs: Any) -> None:
        with survive("Setting up the OpenTelemetry SDK"):
            super()._configure(**self._identified(kwargs))  # type: ignore[no-untyped-call] # untyped in the SDK

    @staticmethod
    def _identified(kwargs: dict[str, Any]) -> dict[str, Any]:
        if os.environ.get(OTEL_CONFIG_FILE):
            return {}  # the file says all; the SDK warns of anything else
        return {
            **kwargs,
            "resource_attributes": {**DISTRO_ATTRIBUTES, **kwargs.get("resource_attributes", {})},
        }
