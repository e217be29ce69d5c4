"""The project over ASGI, with a WebSocket consumer by Channels."""

import os
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_kinds.settings")


class Echo(AsyncWebsocketConsumer):  # type: ignore[misc] # Channels is untyped
    """Returns every message."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Return one message."""
        await self.send(text_data=text_data, bytes_data=bytes_data)


rooms: Any = URLRouter([path("<slug:room>/", Echo.as_asgi())])

application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("rooms/", rooms)])}
)
