"""What lives as long as the application: begun in order at its start, ended in reverse at its end."""

from ansflow_gateway.lifetimes.keys import (
    BOOK,
    GATEWAY_METERS,
    INSTRUMENTS,
    PROBER,
    PUSHING,
    REJECTIONS,
    RESOURCE,
    SAMPLER,
    SCOPE,
    SPANS,
    SPOOL,
    STORE,
    TALLY,
    Lifetime,
)
from ansflow_gateway.lifetimes.recording import recording, tracing
from ansflow_gateway.lifetimes.serving import receiving, showing
from ansflow_gateway.lifetimes.watching import known_services, probing, sampling

__all__ = [
    "BOOK",
    "GATEWAY_METERS",
    "INSTRUMENTS",
    "PROBER",
    "PUSHING",
    "REJECTIONS",
    "RESOURCE",
    "SAMPLER",
    "SCOPE",
    "SPANS",
    "SPOOL",
    "STORE",
    "TALLY",
    "Lifetime",
    "known_services",
    "probing",
    "receiving",
    "recording",
    "sampling",
    "showing",
    "tracing",
]
