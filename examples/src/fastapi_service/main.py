"""The application as servers load it: `uvicorn fastapi_service.main:app`."""

import logging
import os
import sys

from fastapi_service.app import build_app
from fastapi_service.config import Config

_config = Config.from_environment(os.environ)

logging.basicConfig(
    level=_config.log_level, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s %(message)s"
)
# A line per outgoing request says nothing that the caller's own line does not.
logging.getLogger("httpx").setLevel(logging.WARNING)

app = build_app(_config)
