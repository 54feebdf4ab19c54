"""`/v1/webhooks`: where an account is told what happens to its messages (http-api section 6).

Reading needs `messages:read` or `webhooks:manage`, every change `webhooks:manage`. What is decided, is decided by
`gateway.ingress.webhook_desk`; this is its way to HTTP.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import FastAPI, Query, Request, Response

from gateway.domain.ids import parse_id
from gateway.domain.notices import ANY_TYPE, TEST_TYPE, TYPES
from gateway.ingress.auth import READ, WEBHOOKS, Gate
from gateway.ingress.cursors import Cursors
from gateway.ingress.plain import (
    admit,
    epoch_ms,
    invalid_field,
    invalid_parameter,
    json_response,
    read_cursor,
    read_json,
    refuse_unknown,
)
from gateway.ingress.problems import ProblemError
from gateway.ingress.webhook_desk import (
    DEFAULT_OVERLAP_S,
    DEFAULT_REPLAY,
    NotLiveError,
    WebhookDesk,
    Wish,
    WishError,
    attempt_json,
    endpoint_json,
    event_filter,
    replayed_json,
    test_json,
)
from gateway.ingress.webhooks_openapi import DOCUMENT
from gateway.ports.webhook_store import (
    DELIVERED,
    EXHAUSTED,
    FAILED,
    Endpoint,
    EndpointLimitError,
    ReplayFilter,
)

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_ATTEMPT_TYPES = {*TYPES, TEST_TYPE}


class _EndpointBody(msgspec.Struct, forbid_unknown_fields=True):
    url: str | None = None
    types: list[str] | None = None
    description: str | None = None
    batch_max: int | None = None
    max_in_flight: int | None = None

    def wish(self) -> Wish:
        return Wish(self.url, self.types, self.description, self.batch_max, self.max_in_flight)


class _RotateBody(msgspec.Struct, forbid_unknown_fields=True):
    overlap_s: int = DEFAULT_OVERLAP_S


class _ReplayBody(msgspec.Struct, forbid_unknown_fields=True):
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    type: str | None = None
    status: str | None = None
    limit: int = DEFAULT_REPLAY


class _NoBody(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Webhooks:
    """The endpoints of the desk."""

    def __init__(self, desk: WebhookDesk, *, gate: Gate, cursors: Cursors) -> None:
        self._desk = desk
        self._gate = gate
        self._cursors = cursors

    def register(self, app: FastAPI) -> None:
        """Add the routes to the application itself, so that 405 answers know their methods."""
        one = "/v1/webhooks/{webhook_id}"
        routes: tuple[tuple[str, str, Callable[..., Awaitable[Response]]], ...] = (
            ("GET", "/v1/webhooks", self.list_webhooks),
            ("POST", "/v1/webhooks", self.create_webhook),
            # The verbs stand before the endpoint itself, whose id would take them in.
            ("POST", f"{one}:test", self.test_webhook),
            ("POST", f"{one}:rotate-secret", self.rotate_secret),
            ("POST", f"{one}:disable", self.disable_webhook),
            ("POST", f"{one}:enable", self.enable_webhook),
            ("POST", f"{one}:replay", self.replay_events),
            ("GET", f"{one}/attempts", self.list_attempts),
            ("GET", one, self.get_webhook),
            ("PATCH", one, self.change_webhook),
            ("DELETE", one, self.delete_webhook),
        )
        for method, path, endpoint in routes:
            said = DOCUMENT[method, path]
            app.add_api_route(
                path,
                endpoint,
                methods=[method],
                tags=["webhooks"],
                summary=said.summary,
                responses=said.responses,
                status_code=said.status,
                openapi_extra=said.extra,
                response_class=Response,
            )

    async def list_webhooks(self, request: Request) -> Response:
        """All endpoints of the account, the oldest first; their secrets are never shown again."""
        account_id = await self._reader(request)
        endpoints = await self._desk.store.list_endpoints(account_id)
        backlog = await self._desk.store.backlog(account_id)
        shown = [endpoint_json(one, waiting=backlog.get(one.id, 0)) for one in endpoints]
        return json_response({"data": shown, "next_cursor": None})

    async def create_webhook(self, request: Request) -> Response:
        """A new endpoint, live at once. Its secret is in this answer and in no other."""
        account_id = await self._manager(request)
        body = await read_json(request, _EndpointBody)
        try:
            endpoint, secret = await self._desk.create(account_id, body.wish())
        except WishError as error:
            raise _wrong(error) from None
        except EndpointLimitError as error:
            raise ProblemError("too_many_webhooks", str(error)) from None
        shown = endpoint_json(endpoint, waiting=0, secret=secret)
        return json_response(shown, status=201, location=f"/v1/webhooks/{endpoint.id}")

    async def get_webhook(self, request: Request, webhook_id: str) -> Response:
        """One endpoint, how it is doing and how many events wait for it."""
        account_id = await self._reader(request)
        endpoint = _found(await self._desk.store.get(account_id, _known_form(webhook_id)))
        backlog = await self._desk.store.backlog(account_id)
        return json_response(endpoint_json(endpoint, waiting=backlog.get(endpoint.id, 0)))

    async def change_webhook(self, request: Request, webhook_id: str) -> Response:
        """Change what the body names; all else stays. Events that wait go to the new URL."""
        account_id = await self._manager(request)
        body = await read_json(request, _EndpointBody)
        try:
            endpoint = _found(await self._desk.change(account_id, _known_form(webhook_id), body.wish()))
        except WishError as error:
            raise _wrong(error) from None
        return json_response(endpoint_json(endpoint))

    async def delete_webhook(self, request: Request, webhook_id: str) -> Response:
        """Forget the endpoint; events that wait for it are dropped."""
        account_id = await self._manager(request)
        if not await self._desk.store.delete(account_id, _known_form(webhook_id)):
            raise _nothing()
        return json_response(None, status=204)

    async def test_webhook(self, request: Request, webhook_id: str) -> Response:
        """Send a signed event of type `webhook.test` now and answer with what came of it."""
        account_id = await self._manager(request)
        await read_json(request, _NoBody)
        try:
            outcome = await self._desk.test(account_id, _known_form(webhook_id))
        except NotLiveError:
            detail = "the endpoint is disabled; enable it first"
            raise ProblemError("webhook_disabled", detail) from None
        if outcome is None:
            raise _nothing()
        return json_response(test_json(outcome))

    async def rotate_secret(self, request: Request, webhook_id: str) -> Response:
        """A new secret, shown in this answer alone; the one until now signs beside it for `overlap_s` seconds."""
        account_id = await self._manager(request)
        body = await read_json(request, _RotateBody)
        try:
            rotated = await self._desk.rotate_secret(
                account_id, _known_form(webhook_id), overlap_s=body.overlap_s
            )
        except WishError as error:
            raise _wrong(error) from None
        if rotated is None:
            raise _nothing()
        endpoint, secret = rotated
        return json_response(endpoint_json(endpoint, secret=secret))

    async def disable_webhook(self, request: Request, webhook_id: str) -> Response:
        """Send nothing more to the endpoint until it is enabled."""
        account_id = await self._manager(request)
        await read_json(request, _NoBody)
        return json_response(
            endpoint_json(_found(await self._desk.disable(account_id, _known_form(webhook_id))))
        )

    async def enable_webhook(self, request: Request, webhook_id: str) -> Response:
        """Send to the endpoint again, as if it had never failed."""
        account_id = await self._manager(request)
        await read_json(request, _NoBody)
        return json_response(
            endpoint_json(_found(await self._desk.enable(account_id, _known_form(webhook_id))))
        )

    async def replay_events(self, request: Request, webhook_id: str) -> Response:
        """Send events again: one by its id, or those of a span of time that were given up (or were delivered)."""
        account_id = await self._manager(request)
        body = await read_json(request, _ReplayBody)
        try:
            replayed = await self._desk.replay(
                account_id, _known_form(webhook_id), _which(body), limit=body.limit
            )
        except WishError as error:
            raise _wrong(error) from None
        if replayed is None:
            raise _nothing()
        return json_response(replayed_json(replayed))

    async def list_attempts(
        self,
        request: Request,
        webhook_id: str,
        status: Annotated[
            Literal["delivered", "failed", "exhausted"] | None, Query(description="How the attempt ended.")
        ] = None,
        event_type: Annotated[str | None, Query(alias="type", description="Type of the event.")] = None,
        limit: Annotated[
            int, Query(ge=1, le=MAX_LIMIT, description="Most entries in one page.")
        ] = DEFAULT_LIMIT,
        cursor: Annotated[
            str | None, Query(description="`next_cursor` of the page before; it repeats the filters.")
        ] = None,
    ) -> Response:
        """Every POST of an event to the endpoint, the newest first."""
        account_id = await self._reader(request)
        refuse_unknown(request, {"status", "type", "limit", "cursor"})
        if event_type is not None and event_type not in _ATTEMPT_TYPES:
            raise invalid_parameter("type", f"type is one of {', '.join(sorted(_ATTEMPT_TYPES))}")
        endpoint_id = _found(await self._desk.store.get(account_id, _known_form(webhook_id))).id
        kind = f"attempts:{endpoint_id}"
        filters = {"status": status, "type": event_type}
        before = None
        if cursor is not None:
            place = read_cursor(self._cursors, kind, account_id, cursor)
            if any(filters.values()) and filters != place["filters"]:
                raise ProblemError("invalid_cursor", "the cursor belongs to a list with other filters")
            filters, before = place["filters"], UUID(hex=place["before"])
        found = await self._desk.store.attempts(
            account_id,
            endpoint_id,
            states=[filters["status"]] if filters["status"] else [],
            types=[filters["type"]] if filters["type"] else [],
            limit=limit + 1,
            before=before,
        )
        next_cursor = None
        if len(found) > limit:
            found = found[:limit]
            place = {"before": found[-1].id.hex, "filters": filters}
            next_cursor = self._cursors.write(kind, account_id, place)
        return json_response({"data": [attempt_json(one) for one in found], "next_cursor": next_cursor})

    async def _reader(self, request: Request) -> str:
        return (await admit(self._gate, request, READ, WEBHOOKS)).account.id

    async def _manager(self, request: Request) -> str:
        account_id = (await admit(self._gate, request, WEBHOOKS)).account.id
        refuse_unknown(request, set())
        return account_id


def _which(body: _ReplayBody) -> ReplayFilter:
    if body.event_id is not None:
        if (
            body.since is not None
            or body.until is not None
            or body.type is not None
            or body.status is not None
        ):
            raise invalid_field("event_id", "event_id stands alone: the other fields describe many events")
        try:
            return event_filter(parse_id("evt", body.event_id))
        except ValueError:
            raise invalid_field("event_id", f"{body.event_id[:64]!r} is not the id of an event") from None
    if body.since is None:
        raise invalid_field("since", "give event_id, or since", code="missing_field")
    if body.status == FAILED:
        raise invalid_field(
            "status", f"events that failed are tried again anyway; {EXHAUSTED} or {DELIVERED}"
        )
    return ReplayFilter(
        since=epoch_ms(body.since),
        until=None if body.until is None else epoch_ms(body.until),
        types=() if body.type in (None, ANY_TYPE) else (body.type,),
        states=(EXHAUSTED,) if body.status is None else (body.status,),
    )


def _wrong(error: WishError) -> ProblemError:
    code = "unknown_event_type" if error.field == "types" else "invalid_value"
    return invalid_field(error.field, error.detail, code="invalid_url" if error.field == "url" else code)


def _known_form(text: str) -> str:
    try:
        parse_id("whk", text)
    except ValueError:
        raise _nothing() from None
    return text


def _found(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise _nothing()
    return endpoint


def _nothing() -> ProblemError:
    return ProblemError("not_found", "there is no such webhook")
