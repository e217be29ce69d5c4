"""Who the metrics come from."""

from collections.abc import Mapping

from opentelemetry.sdk.resources import (
    HOST_NAME,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    Resource,
)


def build_resource(
    given: Mapping[str, str], service_name: str, version: str, hostname: str, port: int
) -> Resource:
    """Build the gateway's resource; what the user gave wins.

    `service.instance.id` is host and port: one listener a host and port, so it is unique, and it stays the
    same over restarts, which the SDK's random default doesn't. So a restart continues the series.

    Args:
        given: Attributes from `OTEL_RESOURCE_ATTRIBUTES`.
        service_name: The service's name.
        version: The gateway's version.
        hostname: The host's name.
        port: The port listened on.

    Returns:
        The resource.
    """
    host = given.get(HOST_NAME, hostname)
    return Resource.create(
        {
            HOST_NAME: host,
            SERVICE_INSTANCE_ID: f"{host}:{port}",
            SERVICE_VERSION: version,
            **given,
            SERVICE_NAME: service_name,
        }
    )


def build_shared_resource(own: Resource, instance: str) -> Resource:
    """Build the resource of what one of several gateways tells for all: it goes on whoever tells it.

    Under the own resource of each, the series of a gateway that ended would stay for minutes beside those of
    the next, and every sum over both be twice what it should.

    Args:
        own: The gateway's own resource.
        instance: The `service.instance.id`, the same for all gateways, whatever the user gave each.

    Returns:
        The resource; it has no host.
    """
    attributes = {name: value for name, value in own.attributes.items() if not name.startswith("host.")}
    return Resource({**attributes, SERVICE_INSTANCE_ID: instance}, own.schema_url)
