"""A sender as producers are: it sends each request again until it is answered 2xx."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from random import Random

import aiohttp

from support.event_load import Request, Telling
from support.polling import poll_until_async

PATIENCE_S = 120.0
"""How long an answer is awaited: a bound on a hang."""

PAUSE_S = 0.05
"""Time before a refused request is sent again: less than `Retry-After` asks for, so that tests are short."""

TAKEN = {200, 202}
UNAVAILABLE = {429, 503}
"""Statuses that say that all was taken, or nothing."""


class RetryingSender:
    """Sends requests over keep-alive connections, one at a time on each, and notes what was acknowledged.

    Where the server is gone, or cuts the connection, it can't know whether the request was taken. Nor can it
    where it hung up itself before the answer, which it does on purpose, now and then.

    Args:
        where: Gives the server's URL; None while there is none.
        dice: Decides which answers aren't awaited.
        impatience: Share of the requests that are given up within milliseconds, once.
    """

    def __init__(self, where: Callable[[], str | None], dice: Random, impatience: float = 0.0) -> None:
        self._where = where
        self._dice = dice
        self._impatience = impatience
        self.acknowledged: set[Telling] = set()
        """What was answered 2xx."""
        self.answered = 0
        """Events in requests that were answered 2xx."""
        self.verdicts: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        """Requests that had to be sent again, by the reason: a status, or the name of an error."""
        self.shed = 0
        """Events in requests that were answered 429 or 503."""
        self._progress = asyncio.Event()

    async def send(self, requests: Iterable[Request], connections: int = 8) -> None:
        """Send requests until each is answered 2xx.

        Raises:
            ExceptionGroup: Of assertions: an answer was another than it may be.
        """
        queue = deque(requests)
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._work(queue))

    async def reached(self, events: int) -> None:
        """Wait until so many events are answered."""
        while self.answered < events:
            self._progress.clear()
            await self._progress.wait()

    async def try_once(self, session: aiohttp.ClientSession, request: Request) -> int | None:
        """Send a request; give the status if there is an answer, and note what it says."""
        url = await self._url()
        patience = PATIENCE_S
        if self._dice.random() < self._impatience:
            patience = self._dice.uniform(0, 0.02)
        try:
            async with (
                asyncio.timeout(patience),
                session.post(url + request.path, data=request.body, headers=request.headers) as answer,
            ):
                status, headers = answer.status, answer.headers
                if status in TAKEN:  # that alone is the promise, even if the rest doesn't come any more
                    self.acknowledged.update(request.tellings)
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and patience == PATIENCE_S:
                raise
            self.retries[type(error).__name__] += 1
            return None
        if status in UNAVAILABLE:
            assert int(headers["Retry-After"]) > 0
            self.retries[str(status)] += 1
            self.shed += len(request.tellings)
            return status
        assert status in TAKEN, f"{status}: {body}"
        verdicts = [item["verdict"] for item in body.get("items", [body])]
        assert len(verdicts) == len(request.tellings), body
        assert set(verdicts) <= {"accepted", "duplicate", "spooled"}, body
        self.verdicts.update(verdicts)
        self.answered += len(verdicts)
        self._progress.set()
        return status

    async def _work(self, queue: deque[Request]) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            while queue:
                request = queue.popleft()
                while True:
                    if await self.try_once(session, request) in TAKEN:
                        break
                    await asyncio.sleep(self._dice.uniform(0, 2 * PAUSE_S))

    async def _url(self) -> str:
        async def there() -> str:
            url = self._where()
            assert url is not None, "no gateway listens"
            return url

        return await poll_until_async(there, interval_s=0.01)
