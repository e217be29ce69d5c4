"""`GET /openapi.json`: what the gateway's endpoints take and answer.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

from ansflow_gateway.web.openapi.document import DOCUMENT, PATH, PATHS, routes

__all__ = ["DOCUMENT", "PATH", "PATHS", "routes"]
