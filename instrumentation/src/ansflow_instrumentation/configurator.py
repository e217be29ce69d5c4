"""Sets the OpenTelemetry SDK up from the environment that the distro completed, or from a file."""

import dataclasses
import logging
import os
from typing import Any

from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.sdk.environment_variables import OTEL_CONFIG_FILE, OTEL_SDK_DISABLED

from ansflow_instrumentation.configuration.file import configure_from, limits_by_kind, read_config_file
from ansflow_instrumentation.configuration.propagation import keep_requests_whole
from ansflow_instrumentation.configuration.sampling import apply_sampler_rules, read_sampler_rules
from ansflow_instrumentation.configuration.streams import read_stream_settings
from ansflow_instrumentation.survive import survive
from ansflow_instrumentation.version import DISTRO_NAME, __version__
from ansflow_instrumentation.workers import telemetry_is_set_up

__all__ = ["AnsFlowConfigurator"]

_logger = logging.getLogger(__name__)

DISTRO_ATTRIBUTES = {"telemetry.distro.name": DISTRO_NAME, "telemetry.distro.version": __version__}
"""https://opentelemetry.io/docs/specs/semconv/resource/#telemetry-sdk-experimental"""


class AnsFlowConfigurator(_OTelSDKConfigurator):
    """The SDK's own configurator, which adds the distro's identity and never stops the application.

    No Views are needed but the user's: every instrumentation that may own a request advises the bucket
    boundaries that the semantic conventions ask for
    (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration).
    """

    def _configure(self, **kwargs: Any) -> None:
        file = os.environ.get(OTEL_CONFIG_FILE, "")
        with survive("Setting up the OpenTelemetry SDK"):
            config = read_config_file(file)
            if file and config is None:
                return  # there was a warning; without telemetry rather than with some that was not asked for
            self._set_streams(config)
            if config is not None:
                configure_from(config, DISTRO_ATTRIBUTES)
            else:
                identity = {**DISTRO_ATTRIBUTES, **kwargs.pop("resource_attributes", {})}
                super()._configure(resource_attributes=identity, **kwargs)  # type: ignore[no-untyped-call] # untyped in the SDK
        with survive("Applying the rules of sampling"):
            rules, problems = read_sampler_rules(os.environ)
            for problem in problems:
                _logger.warning(problem)
            apply_sampler_rules(rules)
        with survive("Checking the propagators"):
            keep_requests_whole()
        with survive("Preparing the end of the process"):
            if not _is_disabled():
                telemetry_is_set_up()

    @staticmethod
    def _set_streams(config: Any | None) -> None:
        if _is_disabled():
            return
        with survive("Applying the settings of metrics"):
            # Not before it is needed, and guarded: it reaches into the SDK.
            from ansflow_instrumentation.configuration.sdk_streams import apply_stream_settings

            settings, problems = read_stream_settings(os.environ)
            for problem in problems:
                _logger.warning(problem)
            if config is not None:
                settings = dataclasses.replace(settings, limits_by_kind=limits_by_kind(config))
            apply_stream_settings(settings)


def _is_disabled() -> bool:
    """Tell whether the providers are the API's: trying out what the SDK's do would find nothing."""
    return os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"
