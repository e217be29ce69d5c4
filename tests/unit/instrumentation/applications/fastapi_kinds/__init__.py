"""Every way in which FastAPI and Starlette route a request."""
