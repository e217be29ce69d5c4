"""The dashboard `ansflow-fastapi`: the FastAPI service by route, status and worker, and its WebSockets."""

from . import service, thresholds
from .layout import Page, Section
from .panels import graph
from .queries import FASTAPI, Query, rate_by, select, share_by

_ENDED = "ansflow_websocket_disconnections_total"

ABNORMAL = 'code=~"1006|1011|1013|1014"'
"""Close codes that nobody chose; see docker/prometheus/rules/recording.yml."""


def _websockets() -> Section:
    active = select("ansflow_websocket_connections_active")
    return Section(
        "WebSockets",
        [
            graph(
                "Open connections",
                "WebSocket connections that are open now, over all workers. One that only rises is a leak of "
                "the clients, or a proxy that keeps dead connections.",
                "short",
                [Query(f"sum by (endpoint) ({active})", "{{endpoint}}")],
            ),
            graph(
                "Connections opened and ended",
                "Connections a minute; those that ended by their close code: 1000 and 1001 are good-byes, "
                "1006 is a client that vanished, 1011 an error of the server, 1012 a restart.",
                "cpm",
                [
                    Query(
                        f"60 * {rate_by('ansflow_websocket_connections_total', 'endpoint')}",
                        "{{endpoint}} opened",
                    ),
                    Query(f"60 * {rate_by(_ENDED, 'endpoint', 'code')}", "{{endpoint}} ended {{code}}"),
                ],
            ),
            graph(
                "Messages",
                "Messages a second by direction, as the service sees it.",
                "cps",
                [
                    Query(
                        rate_by("ansflow_websocket_messages_total", "endpoint", "direction"),
                        "{{endpoint}} {{direction}}",
                    )
                ],
            ),
            graph(
                "Abnormal ends",
                "Share of the ended connections that broke. The line is where AnsFlowWebSocketsBreak fires.",
                "percentunit",
                [Query(share_by(_ENDED, "endpoint", of=ABNORMAL), "{{endpoint}}")],
                limit=thresholds.WEBSOCKET_ABNORMAL_RATIO,
            ),
        ],
    )


FASTAPI_PAGE = Page(
    uid="ansflow-fastapi",
    title="AnsFlow FastAPI",
    description="The FastAPI service: requests, errors and latency by route, status and worker; WebSockets.",
    jobs_of=FASTAPI.requests,
    sections=(*service.sections(FASTAPI, "uvicorn's --workers is what to expect"), _websockets()),
)
