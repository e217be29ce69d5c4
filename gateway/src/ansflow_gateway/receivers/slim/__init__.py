"""The slim path: plain `POST /v1/events`, answered before aiohttp sees it.

Nine tenths of what a small request costs in aiohttp is the making of objects that nobody looks at. A
connection therefore begins here. As long as each request's head is one that is known wholly (`heads`), it is
answered here, by the same `EventReceiver`; the first that isn't hands the connection to aiohttp, with all
bytes that weren't answered, for the rest of its life. What can be seen of a gateway is the same on both.
"""
