"""Requests and WebSockets of FastAPI, Starlette and Django: one SERVER span and exact meters, cheaply.

instruments     the meters, and the series of each kind of request
spans           SERVER spans that cost a fraction of the SDK's, and are the SDK's in all that can be seen
incoming        what is read of a request before it is served: parent, addresses, exclusion, headers to
capture asgi            one HTTP request or WebSocket over ASGI starlette       where FastAPI and
Starlette hand their requests over, and which route took them django          the same for Django, over
WSGI and ASGI
"""
