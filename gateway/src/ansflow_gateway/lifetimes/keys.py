"""By what the parts of a gateway find each other in its application."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from ansflow_gateway import __version__
from ansflow_gateway.exporters.otlp import SteadyExporter
from ansflow_gateway.exporters.spans import RunSpanExporter
from ansflow_gateway.folding.book import Book
from ansflow_gateway.meters.events import EventMeters
from ansflow_gateway.meters.gateway import GatewayMeters
from ansflow_gateway.meters.instruments import Instruments
from ansflow_gateway.prober.prober import HealthProber
from ansflow_gateway.sampling.sampler import Sampler
from ansflow_gateway.storage.opening import LeadingEventStore
from ansflow_gateway.storage.spool import Spool
from ansflow_gateway.web.status.rejections import RecentRejections

SCOPE: Final = InstrumentationScope("ansflow_gateway", __version__)
"""The instrumentation scope of all that the gateway tells."""

BOOK: Final = web.AppKey("book", Book)
STORE: Final = web.AppKey("leading_store", LeadingEventStore)
SPOOL: Final = web.AppKey("spool", Spool)
INSTRUMENTS: Final = web.AppKey("instruments", Instruments)
SAMPLER: Final = web.AppKey("sampler", Sampler)
PROBER: Final = web.AppKey("prober", HealthProber)
PUSHING: Final = web.AppKey("pushing", SteadyExporter)
SPANS: Final = web.AppKey("spans", RunSpanExporter)
GATEWAY_METERS: Final = web.AppKey("gateway_meters", GatewayMeters)
REJECTIONS: Final = web.AppKey("rejections", RecentRejections)
TALLY: Final = web.AppKey("tally", EventMeters)
RESOURCE: Final = web.AppKey("resource", Resource)

Lifetime = Callable[[web.Application], AsyncIterator[None]]
