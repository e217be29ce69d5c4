"""One application in each ASGI framework."""

from ansflow_instrumentation.health.fastapi import health_router
from ansflow_instrumentation.health.starlette import health_routes
from fastapi import FastAPI
from starlette.applications import Starlette

from . import dependencies

starlette = Starlette(
    routes=health_routes(
        dependencies.checks(), service_id="shop", version="1.4", deadline_s=dependencies.DEADLINE_S
    )
)

fastapi = FastAPI()
fastapi.include_router(
    health_router(
        lambda _: dependencies.checks(),
        service_id="shop",
        version="1.4",
        deadline_s=dependencies.DEADLINE_S,
    )
)
