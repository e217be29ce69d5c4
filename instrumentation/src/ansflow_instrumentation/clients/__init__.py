"""Outgoing HTTP calls: httpx, aiohttp's client and requests."""
