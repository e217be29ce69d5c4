"""One request, before it is sent: what it is, and what route it will be counted under."""

from dataclasses import dataclass
from enum import StrEnum

Json = dict[str, object]


class Service(StrEnum):
    """Whom a request is for."""

    FASTAPI = "fastapi"
    DJANGO = "django"


@dataclass(frozen=True, slots=True)
class Step:
    """One request.

    Args:
        service: Whom it is for.
        method: The HTTP method.
        route: The route's template as the service's framework spells it; empty where no route matches.
        path: The path, with its query.
        body: The JSON body; `None` for none.
        user: Who sends it; `None` for nobody in particular.
    """

    service: Service
    method: str
    route: str
    path: str
    body: Json | None = None
    user: str | None = None
