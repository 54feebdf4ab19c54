"""`/v1/carriers`, `/v1/holds` and `/v1/audit`: what operators see and order at run time.

Reading needs `messages:read` or `carriers:control`; orders and the audit need `carriers:control` and a live key.
Everything is decided by `gateway.ingress.desk`; this is its way to HTTP.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI, Query, Request, Response
from msgspec import UNSET, UnsetType

from gateway.ingress.auth import CONTROL, READ, Gate
from gateway.ingress.carriers_openapi import DOCUMENT
from gateway.ingress.cursors import Cursors
from gateway.ingress.desk import KEEP, MAX_AUDIT, By, ControlError, Desk, rate_of
from gateway.ingress.plain import (
    admit,
    epoch_ms,
    invalid_field,
    json_response,
    read_cursor,
    read_json,
    refuse_unknown,
)
from gateway.ingress.problems import ProblemError
from gateway.ports.clock import Clock
from gateway.ports.intake_store import Principal

DEFAULT_LIMIT = 50
_MAX_EXPIRES_IN_S = 366 * 86_400


class _Ordered(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every order may say."""

    reason: str = ""
    expires_at: datetime | None = None
    expires_in_s: int | None = None


class _Action(_Ordered, forbid_unknown_fields=True, kw_only=True):
    bind: str | None = None


class _Limits(_Ordered, forbid_unknown_fields=True, kw_only=True):
    mps: float | str | UnsetType | None = UNSET
    window: int | UnsetType | None = UNSET


class _Hold(_Ordered, forbid_unknown_fields=True, kw_only=True):
    carrier: str | None = None
    message_class: str | None = msgspec.field(default=None, name="class")
    account: str | None = None


Verb = Literal["pause", "resume", "drain", "reconnect"]


class CarrierDesk:
    """The endpoints of the desk."""

    def __init__(self, desk: Desk, *, gate: Gate, cursors: Cursors, clock: Clock) -> None:
        self._desk = desk
        self._gate = gate
        self._cursors = cursors
        self._clock = clock

    def register(self, app: FastAPI) -> None:
        """Add the routes to the application itself, so that 405 answers know their methods."""
        one = "/v1/carriers/{carrier_id}"
        routes: list[tuple[str, str, Any]] = [
            ("GET", "/v1/carriers", self.list_carriers),
            # The verbs stand before the carrier itself, whose id would take them in.
            *(
                ("POST", f"{one}:{verb}", self._verb(verb))
                for verb in ("pause", "resume", "drain", "reconnect")
            ),
            ("GET", one, self.get_carrier),
            ("PATCH", one, self.set_limits),
            ("GET", "/v1/holds", self.list_holds),
            ("POST", "/v1/holds", self.add_hold),
            ("DELETE", "/v1/holds/{hold_id}", self.release_hold),
            ("GET", "/v1/audit", self.list_audit),
        ]
        for method, path, endpoint in routes:
            document = DOCUMENT[method, path]
            app.add_api_route(
                path,
                endpoint,
                methods=[method],
                tags=["carriers"],
                status_code=document.status,
                operation_id=document.operation_id,
                summary=document.summary,
                responses=document.responses,
                openapi_extra=document.extra,
                response_class=Response,
            )

    async def list_carriers(self, request: Request) -> Response:
        """Every configured carrier with its orders and live figures."""
        account = _scope_of(await self._reader(request))
        refuse_unknown(request, set())
        return json_response({"data": await self._desk.carriers(account=account)})

    async def get_carrier(self, request: Request, carrier_id: str) -> Response:
        """One carrier with its orders and live figures; 404 for an id that is not configured."""
        account = _scope_of(await self._reader(request))
        refuse_unknown(request, set())
        try:
            return json_response(await self._desk.carrier(carrier_id, account=account))
        except ControlError as error:
            raise _problem(error) from None

    async def set_limits(self, request: Request, carrier_id: str) -> Response:
        """Override rate and window, or (null) go back to what is configured; what is left out stays."""
        principal = await self._controller(request)
        body = await read_json(request, _Limits)
        if body.mps is UNSET and body.window is UNSET:
            raise invalid_field("mps", "give mps, window or both", code="missing_field")
        try:
            rate = KEEP if body.mps is UNSET else None if body.mps is None else rate_of(_number(body.mps))
            window = KEEP if isinstance(body.window, UnsetType) else body.window
            await self._desk.limit(carrier_id, rate=rate, window=window, by=self._by(principal, body))
            return json_response(await self._desk.carrier(carrier_id))
        except ControlError as error:
            raise _problem(error) from None

    def _verb(self, verb: Verb) -> Any:
        async def endpoint(request: Request, carrier_id: str) -> Response:
            return await self._act(request, carrier_id, verb)

        endpoint.__name__ = f"{verb}_carrier"
        return endpoint

    async def _act(self, request: Request, carrier_id: str, verb: Verb) -> Response:
        principal = await self._controller(request)
        body = await read_json(request, _Action)
        bind = body.bind or ""
        by = self._by(principal, body)
        if verb in ("resume", "reconnect") and by.expires_at is not None:
            raise invalid_field("expires_at", f"{verb} does not expire", code="unknown_field")
        if verb == "drain" and bind:
            raise invalid_field("bind", "a drain is of all binds", code="unknown_field")
        desk = self._desk
        try:
            match verb:
                case "pause":
                    await desk.pause(carrier_id, bind=bind, by=by)
                case "resume":
                    await desk.resume(carrier_id, bind=bind, by=by)
                case "drain":
                    await desk.drain(carrier_id, by=by)
                case "reconnect":
                    await desk.reconnect(carrier_id, bind=bind, by=by)
            return json_response(await desk.carrier(carrier_id))
        except ControlError as error:
            raise _problem(error) from None

    async def list_holds(self, request: Request) -> Response:
        """The holds that stand; without `carriers:control` those of other accounts are left out."""
        account = _scope_of(await self._reader(request))
        refuse_unknown(request, set())
        return json_response({"data": await self._desk.holds(account=account)})

    async def add_hold(self, request: Request) -> Response:
        """Let the messages of a class or an account wait, at one carrier or at all; one that stands is replaced."""
        principal = await self._controller(request)
        body = await read_json(request, _Hold)
        try:
            hold = await self._desk.hold(
                carrier=body.carrier or "",
                message_class=body.message_class or "",
                account=body.account or "",
                by=self._by(principal, body),
            )
        except ControlError as error:
            raise _problem(error) from None
        return json_response(hold, status=201, location=f"/v1/holds/{hold['id']}")

    async def release_hold(
        self,
        request: Request,
        hold_id: str,
        reason: Annotated[str, Query(max_length=500, description="Why, for the audit.")] = "released",
    ) -> Response:
        """End a hold, which is answered once more; what waited goes on."""
        principal = await self._controller(request)
        refuse_unknown(request, {"reason"})
        try:
            return json_response(await self._desk.release(hold_id, by=By(principal.key_id, reason)))
        except ControlError as error:
            raise _problem(error) from None

    async def list_audit(
        self,
        request: Request,
        limit: Annotated[
            int, Query(ge=1, le=MAX_AUDIT, description="Most entries in one page.")
        ] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    ) -> Response:
        """Who ordered what, when and why, the newest first."""
        account_id = (await admit(self._gate, request, CONTROL)).account.id
        refuse_unknown(request, {"limit", "cursor"})
        before = None if cursor is None else read_cursor(self._cursors, "audit", account_id, cursor)["before"]
        found, more = await self._desk.audit(before_id=before, limit=limit)
        next_cursor = None
        if more is not None:
            next_cursor = self._cursors.write("audit", account_id, {"before": more})
        return json_response({"data": found, "next_cursor": next_cursor})

    async def _reader(self, request: Request) -> Principal:
        return await admit(self._gate, request, READ, CONTROL)

    async def _controller(self, request: Request) -> Principal:
        principal = await admit(self._gate, request, CONTROL)
        if principal.is_test:
            raise ProblemError("test_key", "a test key gives no orders: they concern real carriers")
        return principal

    def _by(self, principal: Principal, body: _Ordered) -> By:
        expires_at = None
        if body.expires_at is not None and body.expires_in_s is not None:
            raise invalid_field("expires_in_s", "give expires_at or expires_in_s, not both")
        if body.expires_at is not None:
            expires_at = epoch_ms(body.expires_at)
        elif body.expires_in_s is not None:
            if not 1 <= body.expires_in_s <= _MAX_EXPIRES_IN_S:
                detail = f"expires_in_s {body.expires_in_s} is not within 1 and {_MAX_EXPIRES_IN_S}"
                raise invalid_field("expires_in_s", detail)
            expires_at = self._clock.now_ms() + body.expires_in_s * 1000
        return By(principal.key_id, body.reason, expires_at)


def _scope_of(principal: Principal) -> str | None:
    """Return the account whose holds may be seen, None for all."""
    return None if principal.may(CONTROL) else principal.account.id


def _number(mps: object) -> object:
    # 80.0 is how JSON's 80 arrives in a field that takes fractions.
    return int(mps) if isinstance(mps, float) and mps.is_integer() else mps


def _problem(error: ControlError) -> ProblemError:
    if error.code == "not_found":
        return ProblemError("not_found", error.detail)
    return invalid_field(error.field, error.detail, code=error.code)
