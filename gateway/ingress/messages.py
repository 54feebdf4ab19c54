"""What an account reads of its messages: one, its timeline, the list. Ordinary FastAPI endpoints."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from fastapi import FastAPI, Query, Request, Response

from gateway.domain.ids import format_id, parse_id, uuid7_time_ms
from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass
from gateway.ingress.auth import CHALLENGE, READ, Denied, Gate
from gateway.ingress.cursors import CursorError, Cursors
from gateway.ingress.openapi import EVENTS_RESPONSES, LIST_RESPONSES, MESSAGE_RESPONSES, Responses
from gateway.ingress.problems import ProblemError
from gateway.intake.answers import rfc3339
from gateway.ports.clock import Clock
from gateway.ports.ingress_store import EventPosition, EventView, MessageFilters, MessageView, MessageViews

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_YOUNG_MS = 10_000
_UNSURE_MS = 300_000  # longer than the recorder is behind while nothing is broken
_POLL_S = 2.0
_MAX_POLLING = 200

_Found = TypeVar("_Found")
_Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most entries in one page.")]
_Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the page before; it repeats the filters.")
]


class Reads:
    """The three reading endpoints. An accepted message may not be recorded yet: young ids are waited for."""

    def __init__(self, views: MessageViews, *, gate: Gate, cursors: Cursors, clock: Clock) -> None:
        self._views = views
        self._gate = gate
        self._cursors = cursors
        self._clock = clock
        self._polling = 0

    def register(self, app: FastAPI) -> None:
        """Add the routes to the application itself, so that 405 answers know their methods."""
        routes: tuple[tuple[str, Callable[..., Awaitable[Response]], str, Responses], ...] = (
            ("/v1/messages", self.list_messages, "List messages, newest first", LIST_RESPONSES),
            ("/v1/messages/{message_id}", self.get_message, "Read one message", MESSAGE_RESPONSES),
            (
                "/v1/messages/{message_id}/events",
                self.list_events,
                "Read the timeline of one message, oldest first",
                EVENTS_RESPONSES,
            ),
        )
        for path, endpoint, summary, responses in routes:
            app.add_api_route(
                path,
                endpoint,
                methods=["GET"],
                tags=["messages"],
                summary=summary,
                responses=responses,
                response_class=Response,
            )

    async def get_message(self, request: Request, message_id: str) -> Response:
        """The message with its current state; 404 for an id this account has no message with."""
        account_id = await self._account(request)
        wanted = _parse_message_id(message_id)
        view = await self._patiently(wanted, lambda: self._views.get_message(account_id, wanted))
        return _json(message_json(view))

    async def list_events(
        self, request: Request, message_id: str, limit: _Limit = DEFAULT_LIMIT, cursor: _Cursor = None
    ) -> Response:
        """Everything that happened to the message, also receipts that changed nothing."""
        account_id = await self._account(request)
        _refuse_unknown(request, {"limit", "cursor"})
        wanted = _parse_message_id(message_id)
        kind = f"events:{wanted.hex}"
        after = None
        if cursor is not None:
            place = self._read_cursor(kind, account_id, cursor)
            after = EventPosition(place["at"], place["seq"])
        events = await self._patiently(
            wanted, lambda: self._views.list_events(account_id, wanted, limit=limit + 1, after=after)
        )
        next_cursor = None
        if len(events) > limit:
            events = events[:limit]
            place = {"at": events[-1].at, "seq": events[-1].seq}
            next_cursor = self._cursors.write(kind, account_id, place)
        return _json({"data": [event_json(event) for event in events], "next_cursor": next_cursor})

    async def list_messages(
        self,
        request: Request,
        to: Annotated[str | None, Query(description="Recipient, E.164.")] = None,
        status: Annotated[State | None, Query(description="State.")] = None,
        client_ref: Annotated[
            str | None, Query(max_length=64, description="The client's own reference.")
        ] = None,
        since: Annotated[datetime | None, Query(description="Accepted at or after this time.")] = None,
        message_class: Annotated[MessageClass | None, Query(alias="class", description="Class.")] = None,
        carrier: Annotated[
            str | None, Query(max_length=64, description="Carrier that has the message.")
        ] = None,
        limit: _Limit = DEFAULT_LIMIT,
        cursor: _Cursor = None,
    ) -> Response:
        """The account's messages that match every filter given."""
        account_id = await self._account(request)
        _refuse_unknown(request, _LIST_PARAMETERS)
        filters: dict[str, Any] = {
            "recipient": None if to is None else _recipient_digits(to),
            "state": None if status is None else status.value,
            "client_ref": _storable("client_ref", client_ref),
            "since": None if since is None else _epoch_ms(since),
            "message_class": None if message_class is None else message_class.value,
            "carrier": _storable("carrier", carrier),
        }
        given = {name: value for name, value in filters.items() if value is not None}
        before = None
        if cursor is not None:
            place = self._read_cursor("messages", account_id, cursor)
            if given and given != place["filters"]:
                raise ProblemError("invalid_cursor", "the cursor belongs to a list with other filters")
            given = place["filters"]
            before = UUID(hex=place["before"])
        views = await self._views.list_messages(
            account_id, MessageFilters(**given), limit=limit + 1, before=before
        )
        next_cursor = None
        if len(views) > limit:
            views = views[:limit]
            place = {"before": views[-1].id.hex, "filters": given}
            next_cursor = self._cursors.write("messages", account_id, place)
        return _json({"data": [message_json(view) for view in views], "next_cursor": next_cursor})

    async def _account(self, request: Request) -> str:
        admitted = await self._gate.admit(request.headers.get("authorization", ""), READ)
        if isinstance(admitted, Denied):
            headers = () if admitted.code == "missing_scope" else (CHALLENGE,)
            raise ProblemError(admitted.code, admitted.detail, headers=headers)
        return admitted.account.id

    def _read_cursor(self, kind: str, account_id: str, text: str) -> dict[str, Any]:
        try:
            return self._cursors.read(kind, account_id, text)
        except CursorError as error:
            raise ProblemError("invalid_cursor", f"cursor: {error}") from None

    async def _patiently(self, message_id: UUID, fetch: Callable[[], Awaitable[_Found | None]]) -> _Found:
        """Return what `fetch` finds; for an id of the last 10 s ask again for up to 2 s, since it may be on its way.

        At most `_MAX_POLLING` requests wait at a time, so made-up ids cannot pile up.
        """
        found = await fetch()
        age_ms = abs(self._clock.now_ms() - uuid7_time_ms(message_id))
        young = age_ms < _YOUNG_MS
        if found is None and young and self._polling < _MAX_POLLING:
            self._polling += 1
            try:
                deadline_ns = self._clock.monotonic_ns() + int(_POLL_S * 1e9)
                pause_s = 0.02
                while found is None and self._clock.monotonic_ns() < deadline_ns:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, 0.2)
                    found = await fetch()
            finally:
                self._polling -= 1
        if found is None and age_ms < _UNSURE_MS:
            # Accepted and not recorded yet looks the same as never accepted: say so, rather than claim either.
            raise ProblemError(
                "not_found",
                "there is no such message, or it is accepted and not recorded yet: ask again",
                headers=[(b"retry-after", b"1")],
            )
        if found is None:
            raise ProblemError("not_found", "there is no such message")
        return found


_LIST_PARAMETERS = {"to", "status", "client_ref", "since", "class", "carrier", "limit", "cursor"}


def message_json(view: MessageView) -> dict[str, Any]:
    """Return a message as the API shows it."""
    return {
        "id": format_id("msg", view.id),
        "status": view.state,
        "to": "+" + view.recipient,
        "from": view.sender,
        "channel": view.channel,
        "channels": None if view.channels is None else list(view.channels),
        "class": view.message_class,
        "encoding": view.encoding,
        "segments": view.segment_count,
        "partial": view.partial,
        "carrier": view.carrier,
        "attempts": view.attempt,
        "client_ref": view.client_ref,
        "batch_id": None if view.batch_id is None else format_id("bat", view.batch_id),
        "error": view.error or None,
        "created_at": rfc3339(view.accepted_at),
        "send_at": _time(view.send_at),
        "expires_at": rfc3339(view.valid_until),
        "submitted_at": _time(view.submitted_at),
        "final_at": _time(view.final_at),
        "metadata": view.metadata,
        "request_id": view.request_id,
        "trace_id": view.trace_id,
    }


def event_json(event: EventView) -> dict[str, Any]:
    """Return one line of a timeline as the API shows it: `at` and `type` first, every other time as text, too."""
    shown: dict[str, Any] = {"at": rfc3339(event.at), "type": event.type}
    for name, value in event.detail.items():
        if name not in shown:
            shown[name] = rfc3339(value) if name.endswith("_at") and isinstance(value, int) else value
    return shown


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)


def _json(document: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


def _parse_message_id(text: str) -> UUID:
    try:
        return parse_id("msg", text)
    except ValueError:
        raise ProblemError("not_found", "there is no such message") from None


def _refuse_unknown(request: Request, known: set[str]) -> None:
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        errors = [
            {"parameter": name[:64], "detail": "unknown query parameter", "code": "unknown_parameter"}
            for name in unknown[:20]
        ]
        detail = f"unknown query parameter {unknown[0][:64]!r}; known: {', '.join(sorted(known))}"
        raise ProblemError("validation_failed", detail, errors=errors)


def _recipient_digits(text: str) -> str:
    # A plus in a query string that was not escaped arrives as a blank.
    digits = text.strip().removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise _invalid_parameter("to", "to is an E.164 number, such as %2B525512345678")
    return digits


def _storable(name: str, text: str | None) -> str | None:
    if text is not None and "\x00" in text:
        raise _invalid_parameter(name, f"{name} has a NUL (U+0000)")
    return text


def _invalid_parameter(name: str, detail: str) -> ProblemError:
    errors = [{"parameter": name, "detail": detail, "code": "invalid_parameter"}]
    return ProblemError("validation_failed", detail, errors=errors)


def _epoch_ms(at: datetime) -> int:
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)
