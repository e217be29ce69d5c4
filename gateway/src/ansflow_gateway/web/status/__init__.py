"""The status page: `GET /` for people, kept up to date by `GET /status/events`."""
