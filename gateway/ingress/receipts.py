"""`GET /v1/receipts/orphans`: receipts that never found their message, for operators."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from gateway.bus.codec import EnvelopeError, decode_as
from gateway.domain.receipts import Receipt
from gateway.ingress.auth import CONTROL, Gate
from gateway.ingress.cursors import Cursors
from gateway.ingress.openapi import AUTH_CODES, problems
from gateway.ingress.plain import (
    admit,
    epoch_ms,
    json_response,
    read_cursor,
    refuse_unknown,
    storable,
)
from gateway.ingress.problems import ProblemError
from gateway.intake.answers import rfc3339
from gateway.ports.ingress_store import OrphanView, OrphanViews

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

_EXAMPLE = {
    "carrier": "telco_a",
    "carrier_message_id": "7F3A01",
    "second_id": None,
    "state": "delivered",
    "message_state": "DELIVERED",
    "received_at": "2026-11-22T03:00:04.220Z",
    "parked_at": "2026-11-22T03:00:04.431Z",
    "parked_until": "2026-11-23T03:00:04.431Z",
    "given_up_at": None,
    "reason": "waiting",
    "bind": "rx1",
    "err": "000",
    "raw": "id:7F3A01 sub:001 dlvrd:001 stat:DELIVRD err:000",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of receipts without a message, newest first.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {"data": [_EXAMPLE], "next_cursor": None},
            }
        },
    },
    **problems(*AUTH_CODES, "invalid_cursor", "validation_failed", "unavailable"),
}


class OrphanReads:
    """The one endpoint; the way back is `caudal receipts replay-orphans`."""

    def __init__(self, views: OrphanViews, *, gate: Gate, cursors: Cursors) -> None:
        self._views = views
        self._gate = gate
        self._cursors = cursors

    def register(self, app: FastAPI) -> None:
        """Add the route to the application."""
        app.add_api_route(
            "/v1/receipts/orphans",
            self.list_orphans,
            methods=["GET"],
            tags=["receipts"],
            summary="List receipts that no message was found for",
            responses=_RESPONSES,
            response_class=Response,
        )

    async def list_orphans(
        self,
        request: Request,
        carrier: Annotated[str | None, Query(max_length=64, description="Only this carrier.")] = None,
        since: Annotated[datetime | None, Query(description="Parked at or after this time.")] = None,
        limit: Annotated[
            int, Query(ge=1, le=MAX_LIMIT, description="Most entries in one page.")
        ] = DEFAULT_LIMIT,
        cursor: Annotated[
            str | None, Query(description="`next_cursor` of the page before; it repeats the filters.")
        ] = None,
    ) -> Response:
        """Receipts that still wait for their message, and those that were given up after a day."""
        account_id = (await admit(self._gate, request, CONTROL)).account.id
        refuse_unknown(request, {"carrier", "since", "limit", "cursor"})
        filters: dict[str, Any] = {"carrier": storable("carrier", carrier)}
        filters["since"] = None if since is None else epoch_ms(since)
        before = None
        if cursor is not None:
            place = read_cursor(self._cursors, "orphans", account_id, cursor)
            if any(filters.values()) and filters != place["filters"]:
                raise ProblemError("invalid_cursor", "the cursor belongs to a list with other filters")
            filters, before = place["filters"], place["before"]
        found = await self._views.list_orphans(**filters, limit=limit + 1, before=before)
        next_cursor = None
        if len(found) > limit:
            found = found[:limit]
            place = {"before": found[-1].id, "filters": filters}
            next_cursor = self._cursors.write("orphans", account_id, place)
        return json_response({"data": [orphan_json(one) for one in found], "next_cursor": next_cursor})


def orphan_json(view: OrphanView) -> dict[str, Any]:
    """Return a receipt without a message as API and command line show it."""
    try:
        receipt: Receipt | None = decode_as(Receipt, view.value)
    except EnvelopeError:  # written by a version that this one cannot read: what the row says is shown
        receipt = None
    return {
        "carrier": view.carrier,
        "carrier_message_id": view.carrier_message_id,
        "second_id": view.second_id,
        "state": None if receipt is None else receipt.state.value,
        "message_state": None if receipt is None else receipt.message_state.value,
        "received_at": None if receipt is None else rfc3339(receipt.received_at),
        "parked_at": rfc3339(view.parked_at),
        "parked_until": rfc3339(view.expires_at),
        "given_up_at": None if view.given_up_at is None else rfc3339(view.given_up_at),
        "reason": "no_id" if view.reason == "waiting" and not view.carrier_message_id else view.reason,
        "bind": None if receipt is None else receipt.bind,
        "err": None if receipt is None else receipt.err,
        "raw": None if receipt is None else receipt.raw,
    }
