"""Webhooks of CI systems: verified over the raw body, then translated into the gateway's own events."""
