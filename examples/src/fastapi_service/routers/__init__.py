"""The HTTP and WebSocket interface, one module a resource."""
