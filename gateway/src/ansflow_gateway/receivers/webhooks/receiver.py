"""`POST /webhooks/github`, `/webhooks/gitlab`, `/webhooks/jenkins`.

CI systems don't send again what was answered 429 or 503, and GitLab switches a hook off after some 4xx. So
what can't be stored at once is spooled, and an event that isn't known is answered 200.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from ansflow_gateway.domain import strict_json
from ansflow_gateway.domain.events import Event
from ansflow_gateway.domain.fields import missing
from ansflow_gateway.domain.rejection import Reason, RejectedError, explain, reject
from ansflow_gateway.domain.store import EventStore, Verdict
from ansflow_gateway.domain.tally import EventTally
from ansflow_gateway.errors import OverloadedError, StoreUnavailableError
from ansflow_gateway.receivers.webhooks.hooks import FORM, HOOKS, Hook, Verify
from ansflow_gateway.receivers.webhooks.translation import Delivery, Unsupported
from ansflow_gateway.web import problem
from ansflow_gateway.web.body import read_body

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""Largest body taken, in bytes: a pipeline's end with a thousand jobs, or a job's last lines of log, fit."""

MAX_FORM_FIELDS: Final = 8

RETRY_AFTER_S: Final = 30
"""Told to a sender whose event could be neither stored nor spooled."""


class Spool(Protocol):
    """Keeps events for a store that can't take them now."""

    async def append(self, events: Sequence[Event]) -> None:
        """Keep events on the disk until the store has them.

        Args:
            events: Valid events; kept all or none.

        Raises:
            OverloadedError: The quota is used up.
            StoreUnavailableError: The disk refuses.
        """
        ...


class WebhookReceiver:
    """Verifies, translates and hands on what CI systems send.

    Args:
        store: Where events go.
        spool: Where they wait if the store can't take them.
        tally: Who counts.
        verifiers: Verifies the sender, by CI system; a system that isn't there isn't configured.
    """

    def __init__(
        self, store: EventStore, spool: Spool, tally: EventTally, verifiers: Mapping[str, Verify]
    ) -> None:
        self._store = store
        self._spool = spool
        self._tally = tally
        self._verifiers = verifiers

    async def take(self, hook: Hook, request: web.Request) -> web.Response:
        """Take one delivery in.

        Args:
            hook: The hook that it came to.
            request: The request.

        Returns:
            202 where something of it is new or was spooled, 200 where all was known or there is nothing to
            know; else a problem document.
        """
        verify = self._verifiers.get(hook.system)
        if verify is None:
            return problem.plain(
                HTTPStatus.NOT_FOUND, f"{hook.path} isn't configured; {hook.enabled_by} enables it"
            )
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            body = await read_body(request, MAX_BODY_BYTES)
            verify(headers, body)
            decoded = strict_json.decode(_json_of(hook, request, body))
            strict_json.inspect(decoded)
            outcome = hook.translate(Delivery(headers, decoded))
        except RejectedError as error:
            self._tally.rejected(error.rejection, hook.path)
            return problem.response(error.rejection)
        if isinstance(outcome, Unsupported):
            self._tally.unsupported(outcome.system, outcome.kind)
            return web.json_response({"verdict": "unsupported", "kind": outcome.kind})
        return await self._hand_on(outcome)

    async def _hand_on(self, events: Sequence[Event]) -> web.Response:
        try:
            verdicts = await self._store.apply(events) if events else []
        except (OverloadedError, StoreUnavailableError) as error:
            return await self._put_aside(events, error)
        for event, verdict in zip(events, verdicts, strict=True):
            self._tally.taken(event.type, verdict)
        new = Verdict.ACCEPTED in verdicts
        overall = Verdict.ACCEPTED if new or not events else Verdict.DUPLICATE
        items = [
            {"id": event.id, "verdict": verdict.value}
            for event, verdict in zip(events, verdicts, strict=True)
        ]
        return _answer(overall.value, items, HTTPStatus.ACCEPTED if new else HTTPStatus.OK)

    async def _put_aside(self, events: Sequence[Event], reason: Exception) -> web.Response:
        try:
            await self._spool.append(events)
        except (OverloadedError, StoreUnavailableError) as error:
            self._tally.shed(Reason.UNAVAILABLE, len(events))
            return problem.plain(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the event can be neither stored ({reason}) nor spooled ({error})",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        self._tally.spooled(len(events))
        items = [{"id": event.id, "verdict": "spooled"} for event in events]
        return _answer("spooled", items, HTTPStatus.ACCEPTED)


WEBHOOKS: Final = web.AppKey("webhooks", WebhookReceiver)
"""Who takes webhooks."""


def routes() -> Sequence[web.RouteDef]:
    """List the routes.

    Returns:
        One a hook; the application's `WEBHOOKS` answers.
    """
    return [web.post(hook.path, partial(_post, hook)) for hook in HOOKS]


async def _post(hook: Hook, request: web.Request) -> web.Response:
    return await request.app[WEBHOOKS].take(hook, request)


def _answer(verdict: str, items: Sequence[Mapping[str, str]], status: HTTPStatus) -> web.Response:
    return web.json_response({"verdict": verdict, "items": items}, status=status)


def _json_of(hook: Hook, request: web.Request, body: bytes) -> bytes:
    """Give the JSON that a verified body holds."""
    given = request.headers.get("Content-Type", "")
    charset = (request.charset or "utf-8").lower()
    if not given or request.content_type not in hook.content_types or charset not in {"utf-8", "utf8"}:
        expected = " or ".join(sorted(hook.content_types)) + " in UTF-8"
        raise reject(Reason.UNSUPPORTED_MEDIA_TYPE, "content-type", expected, given or None)
    if request.content_type != FORM:
        return body
    try:
        pairs = dict(parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=MAX_FORM_FIELDS))
    except ValueError as error:
        raise explain(Reason.NOT_JSON, "body", "a form with a member payload", "no form") from error
    if "payload" not in pairs:
        raise missing("payload", "a JSON document")
    return pairs["payload"].encode()
