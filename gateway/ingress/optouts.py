"""`/v1/optouts` and `/v1/preferences`: who does not want to be written to, and on which channels people may be.

Reading needs `messages:read`, every change `messages:send`. A message to somebody who opted out is refused with the
code `opted_out`, and a channel that is not wanted is never begun.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Query, Request, Response

from gateway.domain.addresses import parse_sender
from gateway.domain.errors import AddressError, quoted
from gateway.domain.instants import rfc3339
from gateway.domain.message import Channel
from gateway.ingress.auth import READ, SEND, Gate
from gateway.ingress.cursors import Cursors
from gateway.ingress.openapi import AUTH_CODES, Responses, problems
from gateway.ingress.plain import (
    admit,
    invalid_field,
    invalid_parameter,
    json_response,
    read_cursor,
    read_json,
    refuse_unknown,
)
from gateway.ingress.problems import ProblemError
from gateway.intake.numbers import parse_recipient
from gateway.ports.clock import Clock
from gateway.ports.consent_store import EVERY, MAX_IMPORT, ConsentStore, OptOut
from gateway.ports.intake_store import Account

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
_SOURCE: Final = "api"
_LISTED: Final = {"recipient", "channel", "limit", "cursor"}
_NAMED: Final = {"recipient", "channel", "sender"}

_Recipient = Annotated[str, Query(max_length=32, description="Recipient, E.164.")]
_ChannelName = Annotated[str | None, Query(max_length=16, description="Channel, or `*` for all.")]


class _OptOutBody(msgspec.Struct, forbid_unknown_fields=True):
    recipient: str
    channel: str = EVERY
    sender: str = EVERY


class _ImportBody(msgspec.Struct, forbid_unknown_fields=True):
    recipients: list[str]
    channel: str = EVERY
    sender: str = EVERY


class _PreferenceBody(msgspec.Struct, forbid_unknown_fields=True):
    channels: list[str]


class OptOuts:
    """The endpoints; all of one account."""

    def __init__(self, store: ConsentStore, *, gate: Gate, cursors: Cursors, clock: Clock) -> None:
        self._store = store
        self._gate = gate
        self._cursors = cursors
        self._clock = clock

    def register(self, app: FastAPI) -> None:
        """Add the routes to the application itself, so that 405 answers know their methods."""
        routes: tuple[tuple[str, str, Callable[..., Awaitable[Response]], str, dict[str, Any]], ...] = (
            ("GET", "/v1/optouts", self.list_opt_outs, "List opt-outs, by recipient", _LIST),
            ("POST", "/v1/optouts:import", self.import_opt_outs, "Record many opt-outs", _IMPORT),
            ("POST", "/v1/optouts", self.opt_out, "Record an opt-out", _OPT_OUT),
            ("DELETE", "/v1/optouts", self.opt_in, "Withdraw an opt-out", _GONE),
            (
                "GET",
                _PREFERENCE,
                self.get_preference,
                "Read the channels a person may be written to on",
                _ONE,
            ),
            ("PUT", _PREFERENCE, self.put_preference, "Set them, best first", _PUT),
            ("DELETE", _PREFERENCE, self.drop_preference, "Allow every channel again", _GONE),
        )
        for method, path, endpoint, summary, extra in routes:
            app.add_api_route(
                path,
                endpoint,
                methods=[method],
                tags=["optouts"],
                summary=summary,
                response_class=Response,
                **extra,
            )

    async def list_opt_outs(
        self,
        request: Request,
        recipient: Annotated[str | None, Query(max_length=32, description="Recipient, E.164.")] = None,
        channel: _ChannelName = None,
        limit: Annotated[
            int, Query(ge=1, le=MAX_LIMIT, description="Most entries in one page.")
        ] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    ) -> Response:
        """The account's opt-outs."""
        account = (await admit(self._gate, request, READ)).account
        refuse_unknown(request, _LISTED)
        wanted = None if recipient is None else _number(recipient, account, "recipient")
        only = None if channel is None else _channel(channel, parameter=True)
        after = None
        if cursor is not None:
            place = read_cursor(self._cursors, "optouts", account.id, cursor)
            after = OptOut(account.id, place["recipient"], place["channel"], place["sender"], "", 0)
        found = await self._store.list_opt_outs(
            account.id, recipient=wanted, channel=only, limit=limit + 1, after=after
        )
        next_cursor = None
        if len(found) > limit:
            found = found[:limit]
            last = found[-1]
            place = {"recipient": last.recipient, "channel": last.channel, "sender": last.sender}
            next_cursor = self._cursors.write("optouts", account.id, place)
        return json_response({"data": [opt_out_json(one) for one in found], "next_cursor": next_cursor})

    async def opt_out(self, request: Request) -> Response:
        """Nothing is sent to the recipient any more, on this channel and from this sender."""
        account = (await admit(self._gate, request, SEND)).account
        refuse_unknown(request, set())
        body = await read_json(request, _OptOutBody)
        number = _number(body.recipient, account, "recipient", in_body=True)
        row = self._row(account, number, body.channel, body.sender)
        is_new = await self._store.opt_out([row])
        return json_response(opt_out_json(row), status=201 if is_new else 200)

    async def import_opt_outs(self, request: Request) -> Response:
        """All or none: a number that is none refuses the request."""
        account = (await admit(self._gate, request, SEND)).account
        refuse_unknown(request, set())
        body = await read_json(request, _ImportBody)
        if not 1 <= len(body.recipients) <= MAX_IMPORT:
            detail = f"{len(body.recipients)} recipients, 1 to {MAX_IMPORT} are allowed in one request"
            raise invalid_field("recipients", detail)
        rows = [
            self._row(
                account,
                _number(text, account, f"recipients/{index}", in_body=True),
                body.channel,
                body.sender,
            )
            for index, text in enumerate(body.recipients)
        ]
        added = await self._store.opt_out(rows)
        return json_response({"recipients": len({row.recipient for row in rows}), "added": added})

    async def opt_in(
        self,
        request: Request,
        recipient: _Recipient,
        channel: _ChannelName = None,
        sender: Annotated[str | None, Query(max_length=32, description="Sender, or `*` for all.")] = None,
    ) -> Response:
        """Withdraws exactly this opt-out; 404 when there is none."""
        account = (await admit(self._gate, request, SEND)).account
        refuse_unknown(request, _NAMED)
        number = _number(recipient, account, "recipient")
        is_gone = await self._store.opt_in(
            account.id,
            number,
            channel=_channel(channel or EVERY, parameter=True),
            sender=_sender(sender or EVERY, parameter=True),
        )
        if not is_gone:
            raise ProblemError("not_found", "there is no such opt-out")
        return Response(status_code=204)

    async def get_preference(self, request: Request, recipient: str) -> Response:
        """404 when nothing was asked for: then every channel is allowed."""
        account = (await admit(self._gate, request, READ)).account
        refuse_unknown(request, set())
        number = _number(recipient, account, "recipient")
        channels = await self._store.preference(account.id, number)
        if channels is None:
            raise ProblemError("not_found", "this recipient has asked for nothing")
        return json_response({"recipient": f"+{number}", "channels": list(channels)})

    async def put_preference(self, request: Request, recipient: str) -> Response:
        """Other channels are not used for this recipient; an empty list allows none."""
        account = (await admit(self._gate, request, SEND)).account
        refuse_unknown(request, set())
        number = _number(recipient, account, "recipient")
        body = await read_json(request, _PreferenceBody)
        channels = list(dict.fromkeys(body.channels))
        for index, channel in enumerate(channels):
            if channel not in list(Channel):
                detail = f"channel {quoted(channel)} is not one of {', '.join(Channel)}"
                raise invalid_field(f"channels/{index}", detail, code="invalid_channel")
        await self._store.prefer(account.id, number, channels, now_ms=self._clock.now_ms())
        return json_response({"recipient": f"+{number}", "channels": channels})

    async def drop_preference(self, request: Request, recipient: str) -> Response:
        """Changes nothing where nothing was asked for."""
        account = (await admit(self._gate, request, SEND)).account
        refuse_unknown(request, set())
        number = _number(recipient, account, "recipient")
        await self._store.prefer(account.id, number, None, now_ms=self._clock.now_ms())
        return Response(status_code=204)

    def _row(self, account: Account, number: str, channel: str, sender: str) -> OptOut:
        return OptOut(account.id, number, _channel(channel), _sender(sender), _SOURCE, self._clock.now_ms())


def opt_out_json(row: OptOut) -> dict[str, Any]:
    """Return an opt-out as the API shows it."""
    return {
        "recipient": f"+{row.recipient}",
        "channel": row.channel,
        "sender": row.sender,
        "source": row.source,
        "at": rfc3339(row.at),
    }


def _number(text: str, account: Account, name: str, *, in_body: bool = False) -> str:
    # A plus in a query string that was not escaped arrives as a blank.
    text = "+" + text.strip() if text.startswith(" ") else text
    try:
        return parse_recipient(
            text, account.default_region, digits_are_international=account.bare_international
        ).msisdn
    except AddressError as error:
        if in_body:
            raise invalid_field(name, error.detail, code=error.code) from None
        raise invalid_parameter(name, error.detail) from None


def _channel(text: str, *, parameter: bool = False) -> str:
    if text == EVERY or text in list(Channel):
        return text
    detail = f"channel {quoted(text)} is not one of {', '.join(Channel)}, or {EVERY}"
    if parameter:
        raise invalid_parameter("channel", detail)
    raise invalid_field("channel", detail, code="invalid_channel")


def _sender(text: str, *, parameter: bool = False) -> str:
    if text == EVERY:
        return text
    try:
        return parse_sender(text).source_addr
    except AddressError as error:
        if parameter:
            raise invalid_parameter("sender", error.detail) from None
        raise invalid_field("sender", error.detail, code=error.code) from None


_PREFERENCE: Final = "/v1/preferences/{recipient}"
_EXAMPLE: Final = {
    "recipient": "+525512345678",
    "channel": "whatsapp",
    "sender": "*",
    "source": "api",
    "at": "2026-11-22T03:04:11.902Z",
}
_WISH: Final = {"recipient": "+525512345678", "channels": ["sms"]}


def _shown(example: Any, *, status: int = 200, body: Any = None) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    codes = ("validation_failed", "unavailable", "not_found", "invalid_cursor")
    responses: Responses = {
        status: {"description": "Done.", "content": content},
        **problems(
            *AUTH_CODES,
            *codes,
            *(("invalid_json", "body_too_large", "unsupported_media_type") if body else ()),
        ),
    }
    extra = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "example": body}},
        }
    }
    return {"responses": responses, "status_code": status, **({"openapi_extra": extra} if body else {})}


_LIST: Final = _shown({"data": [_EXAMPLE], "next_cursor": None})
_OPT_OUT: Final = _shown(
    _EXAMPLE, status=201, body={"recipient": "+525512345678", "channel": "whatsapp", "sender": "*"}
)
_IMPORT: Final = _shown(
    {"recipients": 2, "added": 2},
    body={"recipients": ["+525512345678", "+573001112233"], "channel": "*", "sender": "*"},
)
_ONE: Final = _shown(_WISH)
_PUT: Final = _shown(_WISH, body={"channels": ["sms"]})
_GONE: Final[dict[str, Any]] = {
    "status_code": 204,
    "responses": {
        204: {"description": "Done."},
        **problems(*AUTH_CODES, "validation_failed", "not_found", "unavailable"),
    },
}
