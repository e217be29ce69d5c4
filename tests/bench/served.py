"""The application for a real server: `app`, of the set-up and with the routes that the environment names.

Ours is the bare application, started under `opentelemetry-instrument`; peers are set up in the module that
makes the application, as their documentation says.
"""

import os

from . import django_application, fastapi_application
from .environment import ROUTES_VARIABLE, SETUP_VARIABLE
from .setups import SETUPS, Framework

__all__ = ["app"]

(_setup,) = [setup for setup in SETUPS if setup.name == os.environ[SETUP_VARIABLE]]
_instrumentation = "none" if _setup.zero_code else _setup.instrumentation
_start = {Framework.FASTAPI: fastapi_application.start, Framework.DJANGO: django_application.start}

app, _ = _start[_setup.framework](_instrumentation, int(os.environ[ROUTES_VARIABLE]))
