"""What the published document says of `/v1/carriers`, `/v1/holds` and `/v1/audit`, with an example of each."""

from typing import Any, Final, NamedTuple

from gateway.ingress.openapi import AUTH_CODES, Responses, problems

_CARRIER: Final = {
    "id": "telco_a",
    "status": "up",
    "protocol": "smpp",
    "configured": {
        "rate": "100/s",
        "burst": None,
        "window": 10,
        "binds": 1,
        "bind_type": "transceiver",
        "shards": 1,
    },
    "effective": {"rate": "80/s", "window": 10},
    "orders": [
        {
            "kind": "rate",
            "carrier": "telco_a",
            "value": "80/s",
            "reason": "the carrier asked for less tonight",
            "actor": "7wnjJeFvAjhz",
            "ordered_at": "2026-11-22T03:00:00.412Z",
            "expires_at": "2026-11-22T09:00:00.000Z",
        }
    ],
    "in_flight": 4,
    "ready": {"otp": 0, "transactional": 12, "collections": 0, "marketing": 80},
    "held": {"otp": 0, "transactional": 12, "collections": 0, "marketing": 80},
    "shards": [
        {
            "shard": 0,
            "owner": "gateway-1.dispatch",
            "at": "2026-11-22T03:00:05.007Z",
            "constraint": "rate",
            "in_flight": 4,
            "binds": [
                {
                    "bind": "trx1",
                    "state": "bound",
                    "window_in_use": 4,
                    "window_slots": 10,
                    "submitted_count": 48112,
                    "throttled_count": 0,
                    "timeout_count": 0,
                    "receipt_count": 47903,
                    "unexpected_count": 0,
                    "bound_since": "2026-11-22T01:12:44.190Z",
                    "last_error": "",
                    "breaker": "closed",
                }
            ],
        }
    ],
}
_HOLD: Final = {
    "id": "hld_000000000013ws8ma1w3c2m6rc",
    "carrier": None,
    "class": "marketing",
    "account": None,
    "reason": "holiday",
    "actor": "7wnjJeFvAjhz",
    "ordered_at": "2026-11-22T03:00:00.412Z",
    "expires_at": "2026-11-23T06:00:00.000Z",
}
_AUDIT: Final = {
    "id": 311,
    "at": "2026-11-22T03:00:00.412Z",
    "actor": "7wnjJeFvAjhz",
    "action": "replace",
    "subject": "telco_a rate",
    "reason": "the carrier asked for less tonight",
    "detail": {
        "value": "80/s",
        "expires_at": "2026-11-22T09:00:00.000Z",
        "before": {"value": "60/s", "expires_at": None},
    },
}

_REASON: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "description": "Why; goes into the audit.",
}
_EXPIRY: Final[dict[str, Any]] = {
    "expires_at": {"type": "string", "format": "date-time", "description": "When the order ends by itself."},
    "expires_in_s": {"type": "integer", "minimum": 1, "description": "The same, in seconds from now."},
}
_BIND: Final = {
    "type": ["string", "null"],
    "description": "One bind, as `GET /v1/carriers/{id}` names it; left out: all binds.",
}
_CHANGE_CODES: Final = (
    "invalid_json",
    *AUTH_CODES,
    "test_key",
    "body_too_large",
    "unsupported_media_type",
    "validation_failed",
    "unavailable",
)


class Described(NamedTuple):
    """One operation as the document shows it; `status` is that of success."""

    status: int
    operation_id: str
    summary: str
    responses: Responses
    extra: dict[str, Any] | None = None


def _answer(description: str, example: Any) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
    }


def _body(properties: dict[str, Any], example: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["reason"],
        "additionalProperties": False,
        "properties": {"reason": _REASON, **properties},
    }
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    }


def _reading(operation_id: str, summary: str, example: Any, *codes: str) -> Described:
    responses = {
        200: _answer(summary, example),
        **problems(*AUTH_CODES, *codes, "validation_failed", "unavailable"),
    }
    return Described(200, operation_id, summary, responses)


def _verb(operation_id: str, summary: str, properties: dict[str, Any], example: Any) -> Described:
    responses = {
        200: _answer("The order stands; dispatch follows within about a second.", _CARRIER),
        **problems(*_CHANGE_CODES, "not_found"),
    }
    return Described(200, operation_id, summary, responses, _body(properties, example))


_ONE: Final = "/v1/carriers/{carrier_id}"

DOCUMENT: Final[dict[tuple[str, str], Described]] = {
    ("GET", "/v1/carriers"): _reading(
        "list_carriers", "List carriers with their orders and live figures", {"data": [_CARRIER]}
    ),
    ("GET", _ONE): _reading("get_carrier", "Read one carrier", _CARRIER, "not_found"),
    ("PATCH", _ONE): _verb(
        "set_carrier_limits",
        "Override rate and window; null goes back to the configuration",
        {
            "mps": {
                "type": ["number", "string", "null"],
                "description": "Segments per second, a number or a rate such as `80/s`; at most the configured rate.",
            },
            "window": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 1000,
                "description": "Unanswered submits on one bind.",
            },
            **_EXPIRY,
        },
        {"mps": 80, "window": 20, "reason": "the carrier asked for less tonight", "expires_in_s": 21600},
    ),
    ("POST", f"{_ONE}:pause"): _verb(
        "pause_carrier",
        "Stop submitting; sessions stay and receipts are heard",
        {"bind": _BIND, **_EXPIRY},
        {"reason": "carrier maintenance", "expires_in_s": 1800},
    ),
    ("POST", f"{_ONE}:resume"): _verb(
        "resume_carrier",
        "End the pause of one bind, or every pause and the drain",
        {"bind": _BIND},
        {"reason": "maintenance is over"},
    ),
    ("POST", f"{_ONE}:drain"): _verb(
        "drain_carrier",
        "Let the windows empty, unbind and stay away until resumed",
        _EXPIRY,
        {"reason": "moving to the new data centre"},
    ),
    ("POST", f"{_ONE}:reconnect"): _verb(
        "reconnect_carrier",
        "Bind one bind, or each in turn, anew",
        {"bind": _BIND},
        {"bind": "trx1", "reason": "the carrier changed its firewall"},
    ),
    ("GET", "/v1/holds"): _reading("list_holds", "List the holds that stand", {"data": [_HOLD]}),
    ("POST", "/v1/holds"): Described(
        201,
        "add_hold",
        "Let the messages of a class or an account wait",
        {
            201: {
                **_answer("The hold stands; dispatch follows within about a second.", _HOLD),
                "headers": {"Location": {"schema": {"type": "string"}}},
            },
            **problems(*_CHANGE_CODES),
        },
        _body(
            {
                "carrier": {
                    "type": ["string", "null"],
                    "description": "Only at this carrier; left out: at all.",
                },
                "class": {"type": ["string", "null"], "description": "The class to hold, or `account`."},
                "account": {"type": ["string", "null"], "description": "The account to hold, or `class`."},
                **_EXPIRY,
            },
            {"class": "marketing", "reason": "holiday", "expires_at": "2026-11-23T06:00:00Z"},
        ),
    ),
    ("DELETE", "/v1/holds/{hold_id}"): Described(
        200,
        "release_hold",
        "End a hold",
        {
            200: _answer("The hold that ended; what waited goes on within about a second.", _HOLD),
            **problems(*AUTH_CODES, "test_key", "not_found", "validation_failed", "unavailable"),
        },
    ),
    ("GET", "/v1/audit"): _reading(
        "list_audit",
        "Read who ordered what, the newest first",
        {"data": [_AUDIT], "next_cursor": None},
        "invalid_cursor",
    ),
}
