"""Spans that cost a fraction of the SDK's: of requests (`server`) and of calls (`client`)."""
