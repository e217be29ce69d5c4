"""Publishes what users do."""

import logging
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from platform_events import EventPublisher, UserActivity

from django_service.management.models import User

logger = logging.getLogger(__name__)


@cache
def publisher() -> EventPublisher:
    """Return this process's publisher; it delivers what waits when the process exits."""
    config = settings.CONFIG
    return EventPublisher.to_url(
        config.event_sink_url, source="/services/django", token=config.event_sink_token
    )


def record(action: str, user: User | None) -> None:
    """Publish and log that a user did something.

    Args:
        action: What; one of a small fixed set.
        user: Who; `None` where nobody is named.
    """
    user_type = user.user_type if user else "anonymous"
    logger.info("%s by a user of type %s", action, user_type)
    publisher().publish(
        UserActivity(
            action=action,
            user_type=user_type,
            user_id=user.username if user else None,
        )
    )


def record_request(action: str, request: HttpRequest) -> None:
    """Publish that the user behind a request did something.

    Args:
        action: What; one of a small fixed set.
        request: The request; the proxy in front has authenticated the user that `X-User` names.
    """
    username = request.headers.get("X-User", "")
    record(action, User.objects.filter(username=username, active=True).first() if username else None)
