"""Every kind of request that Django and Channels serve, over WSGI and ASGI."""
