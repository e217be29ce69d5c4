"""`OTEL_CONFIG_FILE`: the same settings from a file, and what this distro adds to it.

Upstream, a file says everything: without `propagator:` every request fails, an excluded attribute or a
cardinality limit is ignored with a warning, `enabled: false` keeps no instrumentation off, and the workers of
a service have no identity of their own. Here the file is completed before the SDK is set up from it, and its
section `distribution: ansflow:` holds the variables of this distro: `metrics_buckets` is
ANSFLOW_METRICS_BUCKETS.

Source: https://opentelemetry.io/docs/specs/otel/configuration/data-model/
"""

import copy
import difflib
import functools
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, unquote

from opentelemetry.metrics import get_meter_provider
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource

from ansflow_instrumentation.configuration.streams import LIMIT_OF_VIEW, AttributeNames
from ansflow_instrumentation.configuration.variables import VARIABLES
from ansflow_instrumentation.survive import survive

__all__ = [
    "CONFIG_FILE_VARIABLE",
    "apply_settings_of_file",
    "configure_from",
    "instrumentation_options",
    "limits_by_kind",
    "read_config_file",
    "resource_attributes",
]

CONFIG_FILE_VARIABLE = "OTEL_CONFIG_FILE"
"""https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#declarative-configuration"""

_logger = logging.getLogger(__name__)

EXPORT_INTERVAL_MS = 10_000
MAX_QUEUE_SIZE = 8192
"""Spans or log records. As the distro's defaults for the environment."""


def load_config_file(path: str) -> Any:
    """Read a configuration file.

    Args:
        path: To a YAML or JSON file.

    Returns:
        The SDK's model of it, an `OpenTelemetryConfiguration`.

    Raises:
        RuntimeError: If the package that reads it is not installed.
        ConfigurationError: If the file cannot be read or does not fit the schema.
    """
    try:
        from opentelemetry import configuration
    except ImportError as error:
        raise RuntimeError(
            f'{CONFIG_FILE_VARIABLE} needs the extra: pip install "ansflow-instrumentation[config-file]"'
        ) from error
    return configuration.load_config_file(path)


@functools.cache
def read_config_file(path: str) -> Any | None:
    """Read a configuration file, once a process.

    Args:
        path: To a YAML or JSON file; an empty one is none.

    Returns:
        The SDK's model of it; None if there is none, or, with one warning, if it cannot be read.
    """
    if not path:
        return None
    with survive(f"Reading {CONFIG_FILE_VARIABLE}={path!r}"):
        return load_config_file(path)
    return None


def apply_settings_of_file(env: MutableMapping[str, str]) -> None:
    """Set this distro's variables that the file has, where the environment has not; and the instance's id.

    Args:
        env: The process's environment, changed in place.
    """
    config = read_config_file(env.get(CONFIG_FILE_VARIABLE, ""))
    if config is None:
        return
    for key, value in ((config.distribution or {}).get("ansflow") or {}).items():
        variable = f"ANSFLOW_{key.upper()}"
        if variable not in VARIABLES:
            _logger.warning(
                "%s: distribution.ansflow.%s is ignored; expected the end of a variable's name, as %s",
                CONFIG_FILE_VARIABLE,
                key,
                _likest(variable).removeprefix("ANSFLOW_").lower(),
            )
            continue
        env.setdefault(variable, _as_variable(value))
    instance = _attributes_of(config.resource).get(SERVICE_INSTANCE_ID)
    if instance:
        # From here on it is the user's id like any other: the workers' ids are derived from it.
        others = [
            item
            for item in env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
            if item.strip() and item.partition("=")[0].strip() != SERVICE_INSTANCE_ID
        ]
        env["OTEL_RESOURCE_ATTRIBUTES"] = ",".join([*others, f"{SERVICE_INSTANCE_ID}={quote(instance)}"])


def resource_attributes(env: Mapping[str, str]) -> Mapping[str, str]:
    """Give the resource attributes that the file states.

    Args:
        env: The process's environment.

    Returns:
        Values by name.
    """
    config = read_config_file(env.get(CONFIG_FILE_VARIABLE, ""))
    return _attributes_of(config.resource) if config is not None else {}


def _likest(variable: str) -> str:
    return difflib.get_close_matches(variable, VARIABLES, n=1, cutoff=0)[0]


def _as_variable(value: Any) -> str:
    """Write a value of the file as the variable's text: lists and entries by instrument as well."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}={_as_variable(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ",".join(map(_as_variable, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def instrumentation_options(env: Mapping[str, str]) -> Mapping[str, Mapping[str, Any]]:
    """Give the options of instrumentations that the file has.

    Args:
        env: The process's environment.

    Returns:
        Options by entry-point name; `enabled` is one of them.
    """
    config = read_config_file(env.get(CONFIG_FILE_VARIABLE, ""))
    section = getattr(config, "instrumentation_development", None)
    options: Mapping[str, Mapping[str, Any]] = getattr(section, "python", None) or {}
    return options


def limits_by_kind(config: Any) -> dict[str, int]:
    """Give the cardinality limits of the file's metric readers; of several readers, the greatest.

    Args:
        config: From `read_config_file`.

    Returns:
        Limits by kind of instrument, or `default`.
    """
    limits: dict[str, int] = {}
    for reader in _metric_readers(config):
        for kind, limit in vars(reader.cardinality_limits).items() if reader.cardinality_limits else ():
            if limit is not None:
                limits[kind] = max(limit, limits.get(kind, 0))
    return limits


def configure_from(config: Any, identity: Mapping[str, str]) -> None:
    """Set the SDK up from a file.

    Args:
        config: From `read_config_file`.
        identity: Resource attributes that are added where the file has not got them.
    """
    from opentelemetry.configuration import configure_sdk

    config = copy.deepcopy(config)
    # The distro loads the instrumentations, with these options: it knows which need care.
    config.instrumentation_development = None
    config.resource = _with_identity(config.resource, identity)
    _complete_buffers(config)
    streams = _take_streams(config)
    of_the_environment = get_global_textmap()
    configure_sdk(config)
    if config.propagator is None:
        set_global_textmap(of_the_environment)
    views = getattr(getattr(get_meter_provider(), "_sdk_config", None), "views", ())
    for view, (names, limit) in zip(views, streams, strict=False):
        if names is not None:
            view._attribute_keys = names
        setattr(view, LIMIT_OF_VIEW, limit)


def _with_identity(resource: Any, identity: Mapping[str, str]) -> Any:
    """Add what tells one process from another, and this distro, where the file does not say it."""
    from opentelemetry.configuration.models import AttributeNameValue
    from opentelemetry.configuration.models import Resource as ResourceConfig

    resource = resource or ResourceConfig()
    stated = _attributes_of(resource)
    of_process = Resource.create().attributes
    added = {**identity, SERVICE_NAME: of_process[SERVICE_NAME]}
    attributes = [
        attribute for attribute in resource.attributes or [] if attribute.name != SERVICE_INSTANCE_ID
    ]
    attributes += [
        AttributeNameValue(name=name, value=str(value)) for name, value in added.items() if name not in stated
    ]
    # Derived from the file's own, if it has one; it differs from worker to worker.
    if instance := of_process.get(SERVICE_INSTANCE_ID):
        attributes.append(AttributeNameValue(name=SERVICE_INSTANCE_ID, value=str(instance)))
    resource.attributes = attributes
    return resource


def _attributes_of(resource: Any) -> dict[str, str]:
    if resource is None:
        return {}
    pairs = (item.partition("=") for item in (resource.attributes_list or "").split(",") if "=" in item)
    return {
        **{name.strip(): unquote(value.strip()) for name, _, value in pairs},
        **{a.name: str(a.value) for a in resource.attributes or [] if a.value is not None},
    }


def _complete_buffers(config: Any) -> None:
    for reader in _metric_readers(config):
        if getattr(reader, "interval", EXPORT_INTERVAL_MS) is None:
            reader.interval = EXPORT_INTERVAL_MS
    for provider in filter(None, (config.tracer_provider, config.logger_provider)):
        for processor in provider.processors:
            if processor.batch and processor.batch.max_queue_size is None:
                processor.batch.max_queue_size = MAX_QUEUE_SIZE


def _take_streams(config: Any) -> list[tuple[AttributeNames | None, int | None]]:
    """Take out of the file's views what upstream's reader of it does not know."""
    for reader in _metric_readers(config):
        reader.cardinality_limits = None
    streams: list[tuple[AttributeNames | None, int | None]] = []
    for view in (config.meter_provider.views if config.meter_provider else None) or []:
        keys = view.stream.attribute_keys
        names = None
        if keys is not None and (keys.included is not None or keys.excluded):
            included = None if keys.included is None else frozenset(keys.included)
            names = AttributeNames(included, frozenset(keys.excluded or ()))
            keys.excluded = None
        streams.append((names, view.stream.aggregation_cardinality_limit))
    return streams


def _metric_readers(config: Any) -> list[Any]:
    readers = config.meter_provider.readers if config.meter_provider else []
    return [reader.periodic or reader.pull for reader in readers if reader.periodic or reader.pull]
