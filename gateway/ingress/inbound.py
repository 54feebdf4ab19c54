"""`GET /v1/inbound`: what people wrote to an account's numbers; operators also see what is nobody's."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response

from gateway.domain.ids import parse_id
from gateway.inbound.shown import inbound_json
from gateway.ingress.auth import CONTROL, READ, Gate
from gateway.ingress.cursors import Cursors
from gateway.ingress.openapi import AUTH_CODES, Responses, problems
from gateway.ingress.plain import admit, epoch_ms, json_response, read_cursor, refuse_unknown, storable
from gateway.ingress.problems import ProblemError
from gateway.ports.inbound_store import InboundFilters, InboundViews

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_MAX_ADDRESS = 65

_EXAMPLE: dict[str, Any] = {
    "id": "mo_01kaq3m7x2f0g8h9jkmnpqrstv",
    "from": "+525512345678",
    "to": "22222",
    "channel": "sms",
    "text": "Sí, confirmo mi cita del jueves a las 10",
    "data_hex": None,
    "media": None,
    "encoding": "ucs2",
    "segments": 1,
    "partial": False,
    "missing_segments": [],
    "carrier": "telco_a",
    "received_at": "2026-11-22T03:04:11.902Z",
    "in_reply_to": "msg_01kaq3m7x2f0g8h9jkmnpqrstv",
    "raw": {
        "source_addr": "5215512345678",
        "destination_addr": "22222",
        "data_coding": 8,
        "esm_class": 0,
    },
}


def _answers(description: str, example: dict[str, Any], *codes: str) -> Responses:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {
        200: {"description": description, "content": content},
        **problems(*AUTH_CODES, "validation_failed", "unavailable", *codes),
    }


_LIST_RESPONSES = _answers(
    "A page of messages, newest first.", {"data": [_EXAMPLE], "next_cursor": None}, "invalid_cursor"
)
_GET_RESPONSES = _answers("The message.", _EXAMPLE, "not_found")
_PARAMETERS = {"from", "to", "since", "unassigned", "limit", "cursor"}

_Unassigned = Annotated[
    bool,
    Query(description="Those that no account was found for; needs the scope carriers:control."),
]


class InboundReads:
    """The two endpoints. What is nobody's is read with `?unassigned=true` by keys that may control carriers."""

    def __init__(self, views: InboundViews, *, gate: Gate, cursors: Cursors) -> None:
        self._views = views
        self._gate = gate
        self._cursors = cursors

    def register(self, app: FastAPI) -> None:
        """Add the routes to the application itself."""
        for path, endpoint, summary, responses in (
            ("/v1/inbound", self.list_inbound, "List what people wrote, newest first", _LIST_RESPONSES),
            ("/v1/inbound/{message_id}", self.get_inbound, "Read one message of a person", _GET_RESPONSES),
        ):
            app.add_api_route(
                path,
                endpoint,
                methods=["GET"],
                tags=["inbound"],
                summary=summary,
                responses=responses,
                response_class=Response,
            )

    async def get_inbound(
        self, request: Request, message_id: str, *, unassigned: _Unassigned = False
    ) -> Response:
        """One message; 404 for an id this account has no message with."""
        _, owner = await self._reader(request, unassigned=unassigned)
        refuse_unknown(request, {"unassigned"})
        try:
            wanted = parse_id("mo", message_id)
        except ValueError:
            raise ProblemError("not_found", "there is no such message") from None
        found = await self._views.get_inbound(owner, wanted)
        if found is None:
            raise ProblemError("not_found", "there is no such message")
        return json_response(inbound_json(found))

    async def list_inbound(
        self,
        request: Request,
        sender: Annotated[
            str | None, Query(alias="from", max_length=_MAX_ADDRESS, description="Who wrote, E.164.")
        ] = None,
        to: Annotated[
            str | None, Query(max_length=_MAX_ADDRESS, description="The number or short code written to.")
        ] = None,
        since: Annotated[
            datetime | None,
            Query(
                description="Received at or after this time; a message with segments missing, given out then."
            ),
        ] = None,
        limit: Annotated[
            int, Query(ge=1, le=MAX_LIMIT, description="Most entries in one page.")
        ] = DEFAULT_LIMIT,
        cursor: Annotated[
            str | None, Query(description="`next_cursor` of the page before; it repeats the filters.")
        ] = None,
        *,
        unassigned: _Unassigned = False,
    ) -> Response:
        """The messages that match every filter given."""
        account_id, owner = await self._reader(request, unassigned=unassigned)
        refuse_unknown(request, _PARAMETERS)
        filters: dict[str, Any] = {
            "sender": _address("from", sender),
            "recipient": _address("to", to),
            "since": None if since is None else epoch_ms(since),
        }
        given = {name: value for name, value in filters.items() if value is not None}
        kind = "inbound:unassigned" if unassigned else "inbound"
        before = None
        if cursor is not None:
            place = read_cursor(self._cursors, kind, account_id, cursor)
            if given and given != place["filters"]:
                raise ProblemError("invalid_cursor", "the cursor belongs to a list with other filters")
            given = place["filters"]
            before = UUID(hex=place["before"])
        found = await self._views.list_inbound(owner, InboundFilters(**given), limit=limit + 1, before=before)
        next_cursor = None
        if len(found) > limit:
            found = found[:limit]
            place = {"before": found[-1].id.hex, "filters": given}
            next_cursor = self._cursors.write(kind, account_id, place)
        return json_response({"data": [inbound_json(one) for one in found], "next_cursor": next_cursor})

    async def _reader(self, request: Request, *, unassigned: bool) -> tuple[str, str | None]:
        """Return the account that asks, and whose messages it asks for; None for nobody's."""
        account_id = (await admit(self._gate, request, CONTROL if unassigned else READ)).account.id
        return account_id, None if unassigned else account_id


def _address(name: str, text: str | None) -> str | None:
    # A plus in a query string that was not escaped arrives as a blank.
    stored = storable(name, text)
    return None if stored is None else stored.strip().removeprefix("+")
