"""As Channels' documentation writes it."""

import os

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "matrix_django.settings")

django_application = get_asgi_application()


class Echo(AsyncWebsocketConsumer):  # type: ignore[misc] # Channels has no types
    """Returns each message until the client leaves."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Return a message."""
        await self.send(text_data, bytes_data)


application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter([path("rooms/<str:room>", Echo.as_asgi())]),
    }
)
