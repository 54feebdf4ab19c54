"""`POST /v1/routes:explain`: which carrier a message would go to, which ones after it, and why.

The same question is answered by `caudal routes explain`. Nothing is sent and nothing is stored.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Request, Response

from gateway.domain.addresses import parse_sender
from gateway.domain.errors import AddressError, quoted
from gateway.domain.message import CLASSES, Channel, MessageClass
from gateway.ingress.auth import CONTROL, READ, Gate
from gateway.ingress.desk import Desk
from gateway.ingress.openapi import AUTH_CODES, problems
from gateway.ingress.plain import admit, invalid_field, json_response, read_json, refuse_unknown
from gateway.ingress.problems import ProblemError
from gateway.intake.numbers import parse_recipient
from gateway.intake.requests import MAX_PREFERRED
from gateway.policy.routing import (
    Explanation,
    NoRoute,
    RouteQuery,
    RouteRule,
    RouteTable,
    RuleVerdict,
    UnknownCarrier,
)
from gateway.ports.intake_store import Account

PATH: Final = "/v1/routes:explain"
LIVE_FIELDS: Final = ("status", "effective", "in_flight", "ready", "held")

_MAX_NAME: Final = 64
_Name = Annotated[str, msgspec.Meta(max_length=_MAX_NAME)]


class _Question(
    msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from", "message_class": "class"}
):
    """What is asked; JSON null means "not given"."""

    to: str | None = None
    sender: str | None = None
    message_class: str | None = None
    channel: str | None = None
    account: _Name | None = None
    prefer: Annotated[list[str], msgspec.Meta(max_length=MAX_PREFERRED)] | None = None
    failover: bool | None = None


class Routes:
    """The endpoint. `table` gives the rules in force now, `desk` (where there is one) how the carriers are."""

    def __init__(self, table: Callable[[], RouteTable], *, gate: Gate, desk: Desk | None = None) -> None:
        self._table = table
        self._gate = gate
        self._desk = desk

    def register(self, app: FastAPI) -> None:
        """Add the route to the application itself, so that 405 answers know its method."""
        app.add_api_route(
            PATH,
            self.explain_route,
            methods=["POST"],
            tags=["routes"],
            operation_id="explain_route",
            summary="Ask which carrier a message would go to, and why",
            responses=_RESPONSES,
            openapi_extra=_BODY,
            response_class=Response,
        )

    async def explain_route(self, request: Request) -> Response:
        """The plan of a live message with the verdict on every rule; messages of test keys go to the simulator.

        Without `carriers:control` the rules of other accounts and all costs are left out.
        """
        principal = await admit(self._gate, request, READ, CONTROL)
        refuse_unknown(request, set())
        body = await read_json(request, _Question)
        is_operator = principal.may(CONTROL)
        account = principal.account.id if body.account is None else body.account
        if account != principal.account.id and not is_operator:
            detail = f"the API key lacks the scope {CONTROL}, which account needs"
            raise ProblemError("missing_scope", detail)
        query = _query_of(body, principal.account, account)
        found = self._table().explain(query)
        if isinstance(found.decision, UnknownCarrier):
            detail = f"carrier {quoted(found.decision.carrier)} does not exist"
            raise invalid_field(f"prefer/{found.decision.index}", detail, code="unknown_carrier")
        live = await self._live([candidate.carrier for candidate in found.candidates])
        return json_response(explanation_view(query, found, is_operator=is_operator, live=live))

    async def _live(self, carriers: Collection[str]) -> dict[str, Any] | None:
        if self._desk is None:
            return None
        try:
            return live_view(await self._desk.carriers(account=""), carriers)
        except (TimeoutError, ConnectionError):
            return None  # the rules are known without the store, and they were asked for


def _query_of(body: _Question, own: Account, account: str) -> RouteQuery:
    if body.to is None:
        raise invalid_field("to", "to is missing", code="missing_field")
    message_class = body.message_class or MessageClass.TRANSACTIONAL
    if message_class not in CLASSES:
        detail = f"class {quoted(message_class)} is not one of {', '.join(CLASSES)}"
        raise invalid_field("class", detail, code="invalid_class")
    channel = body.channel or Channel.SMS
    if channel not in list(Channel):
        detail = f"channel {quoted(channel)} is not one of {', '.join(Channel)}"
        raise invalid_field("channel", detail, code="invalid_channel")
    field = "to"
    try:
        recipient = parse_recipient(
            body.to, own.default_region, digits_are_international=own.bare_international
        )
        field = "from"
        sender = "" if body.sender is None else parse_sender(body.sender).source_addr
    except AddressError as error:
        raise invalid_field(field, error.detail, code=error.code) from None
    return RouteQuery(
        recipient.msisdn,
        account,
        MessageClass(message_class),
        sender,
        tuple(body.prefer or ()),
        body.failover is not False,
        Channel(channel),
    )


def explanation_view(
    query: RouteQuery, found: Explanation, *, is_operator: bool, live: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the answer as JSON; who is no operator sees neither costs nor the rules of other accounts."""
    decision = found.decision
    reason = "no rule fits"
    carrier = None
    if isinstance(decision, UnknownCarrier):
        reason = f"carrier {quoted(decision.carrier)} does not exist for this account"
    elif not isinstance(decision, NoRoute):
        carrier, reason = decision.carrier, decision.reason
    return {
        "to": f"+{query.recipient}",
        "from": query.sender or None,
        "class": query.message_class,
        "channel": query.channel,
        "account": query.account_id,
        "carrier": carrier,
        "reason": reason,
        "candidates": [
            {"carrier": candidate.carrier, "reason": candidate.reason} for candidate in found.candidates
        ],
        "rules": [
            _rule_view(verdict, with_cost=is_operator)
            for verdict in found.rules
            if is_operator or verdict.rule.account in (None, query.account_id)
        ],
        "live": live,
    }


def live_view(carriers: Collection[Mapping[str, Any]], wanted: Collection[str]) -> dict[str, Any]:
    """Return how each of the wanted carriers is, of the desk's views: its state and what binds it now."""
    return {
        carrier["id"]: {name: carrier[name] for name in LIVE_FIELDS}
        | {"constraints": sorted({str(shard.get("constraint", "")) for shard in carrier["shards"]} - {""})}
        for carrier in carriers
        if carrier["id"] in wanted
    }


def _rule_view(verdict: RuleVerdict, *, with_cost: bool) -> dict[str, Any]:
    rule = verdict.rule
    return {
        "index": verdict.index,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "share": round(verdict.share, 6),
        "carriers": list(rule.carriers),
        **_conditions(rule),
        "weight": rule.weight,
        **({"cost": None if rule.cost is None else str(rule.cost)} if with_cost else {}),
    }


def _conditions(rule: RouteRule) -> dict[str, Any]:
    return {
        "prefix": rule.prefix or None,
        "account": rule.account,
        "class": rule.message_class,
        "sender": rule.sender,
    }


_EXAMPLE: Final = {
    "to": "+525512345678",
    "from": "ACME",
    "class": "otp",
    "channel": "sms",
    "account": "acme",
    "carrier": "telco_a",
    "reason": "rule 1, prefix 52, weight 3 of 4",
    "candidates": [
        {"carrier": "telco_a", "reason": "rule 1, chosen"},
        {"carrier": "telco_b", "reason": "rule 2, shares"},
    ],
    "rules": [
        {
            "index": 1,
            "verdict": "chosen",
            "reason": "has this recipient",
            "share": 0.75,
            "carriers": ["telco_a"],
            "prefix": "52",
            "account": None,
            "class": None,
            "sender": None,
            "weight": 3,
            "cost": "0.0125",
        },
        {
            "index": 2,
            "verdict": "shares",
            "reason": "has other recipients, by weight",
            "share": 0.25,
            "carriers": ["telco_b"],
            "prefix": "52",
            "account": None,
            "class": None,
            "sender": None,
            "weight": 1,
            "cost": "0.0125",
        },
    ],
    "live": {
        "telco_a": {
            "status": "up",
            "effective": {"rate": "100/s", "window": 10},
            "in_flight": 4,
            "ready": {"otp": 0, "transactional": 12, "collections": 0, "marketing": 80},
            "held": {"otp": 0, "transactional": 12, "collections": 0, "marketing": 80},
            "constraints": ["rate"],
        }
    },
}
_TEXT: Final = {"type": ["string", "null"]}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["to"],
                    "additionalProperties": False,
                    "properties": {
                        "to": {"type": "string", "description": "Recipient, as in a message."},
                        "from": {**_TEXT, "description": "Sender, as in a message."},
                        "class": {"type": ["string", "null"], "enum": [*CLASSES, None]},
                        "channel": {"type": ["string", "null"], "enum": [*Channel, None]},
                        "account": {
                            **_TEXT,
                            "maxLength": _MAX_NAME,
                            "description": f"Another account than the key's own; needs {CONTROL}.",
                        },
                        "prefer": {
                            "type": ["array", "null"],
                            "items": {"type": "string"},
                            "maxItems": MAX_PREFERRED,
                            "description": "As `route.prefer` of a message.",
                        },
                        "failover": {
                            "type": ["boolean", "null"],
                            "description": "As `route.failover` of a message.",
                        },
                    },
                },
                "example": {"to": "+525512345678", "from": "ACME", "class": "otp"},
            }
        },
    }
}
_RESPONSES: Final = {
    200: {
        "description": "The plan with its reasons; `carrier` is null when no rule fits. `live` is how the candidates "
        "are now, null when that is not known.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    },
    **problems(
        "invalid_json",
        *AUTH_CODES,
        "body_too_large",
        "unsupported_media_type",
        "validation_failed",
        "unavailable",
    ),
}
