"""Publishes the platform's domain events as CloudEvents, in the background and without ever blocking."""

from platform_events.events import Event, PipelineRunFinished, UserActivity
from platform_events.publisher import EventPublisher

__all__ = ["Event", "EventPublisher", "PipelineRunFinished", "UserActivity"]
