"""Requests and WebSockets of FastAPI, Starlette and Django: one SERVER span and exact meters, cheaply.

- `instruments`: the meters, and the series of each kind of request.
- `settings`, `choice`: what the user set.
- `incoming`: what is read of a request before it is served.
- `request`: a request being served; `asgi`, `wsgi`, `websocket` (with `close_codes`): what brings it.
- `starlette`, `django`: where the frameworks hand their requests over, and which route took them.
"""
