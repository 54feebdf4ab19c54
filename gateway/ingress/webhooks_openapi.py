"""What the published document says of `/v1/webhooks`, with an example of each operation."""

from typing import Any, Final, NamedTuple

from gateway.domain.notices import TYPES
from gateway.ingress.openapi import AUTH_CODES, Responses, problems

_ENDPOINT: Final[dict[str, Any]] = {
    "id": "whk_01kaq3m7x2f0g8h9jkmnpqrstv",
    "url": "https://hooks.acme.example/caudal",
    "types": ["message.delivered", "message.undeliverable"],
    "description": "Production",
    "batch_max": 1,
    "max_in_flight": 4,
    "status": "live",
    "disabled_reason": None,
    "disabled_at": None,
    "failing_since": None,
    "last_success_at": "2026-11-22T03:00:04.260Z",
    "last_error": None,
    "old_secret_until": None,
    "created_at": "2026-11-22T02:00:00.000Z",
    "updated_at": "2026-11-22T02:00:00.000Z",
}
_WITH_SECRET: Final = _ENDPOINT | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0123456789A="}
_WANTED: Final = {
    "url": "https://hooks.acme.example/caudal",
    "types": ["message.delivered", "message.undeliverable"],
    "description": "Production",
}
_ATTEMPT: Final = {
    "at": "2026-11-22T03:00:04.260Z",
    "event_id": "evt_01kaq3m7x2f0g8h9jkmnpqrstv",
    "type": "message.delivered",
    "message_id": "msg_01kaq3m7x2f0g8h9jkmnpqrstv",
    "attempt": 1,
    "status": "delivered",
    "status_code": 200,
    "dur_ms": 34,
    "error": None,
}
_SETTINGS: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "url": {
            "type": "string",
            "description": "https://..., to a public address; redirects are not followed.",
        },
        "types": {
            "type": "array",
            "items": {"type": "string"},
            "description": f"`*` alone for every type, or some of: {', '.join(TYPES)}.",
        },
        "description": {"type": "string", "maxLength": 200},
        "batch_max": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 1,
            "description": "Most events in one POST; above 1 the body is a batch.",
        },
        "max_in_flight": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "default": 4,
            "description": "Most POSTs that wait for their answer at a time.",
        },
    },
}
_ROTATE: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "overlap_s": {
            "type": "integer",
            "minimum": 0,
            "maximum": 604800,
            "default": 86400,
            "description": "How long the old secret signs beside the new one.",
        }
    },
}
_REPLAY: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "event_id": {"type": "string", "description": "One event; stands alone."},
        "since": {"type": "string", "format": "date-time", "description": "Over at or after this time."},
        "until": {
            "type": "string",
            "format": "date-time",
            "description": "Over before this time; default now.",
        },
        "type": {"type": "string", "description": "Only this type."},
        "status": {"enum": ["exhausted", "delivered"], "default": "exhausted"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 1000},
    },
}


class Said(NamedTuple):
    """What is said of one operation."""

    summary: str
    status: int
    responses: Responses
    extra: dict[str, Any] | None = None


_BASE: Final = (*AUTH_CODES, "validation_failed", "unavailable")
_BODY: Final = (*_BASE, "invalid_json", "body_too_large", "unsupported_media_type")


def _said(
    summary: str,
    example: Any,
    *codes: str,
    status: int = 200,
    body: tuple[dict[str, Any], Any] | None = None,
) -> Said:
    answer: dict[str, Any] = {"description": f"{summary}: done."}
    if example is not None:
        answer["content"] = {"application/json": {"schema": {"type": "object"}, "example": example}}
    extra = None
    if body is not None:
        schema, given = body
        extra = {"requestBody": {"content": {"application/json": {"schema": schema, "example": given}}}}
    return Said(summary, status, {status: answer, **problems(*codes)}, extra)


_ONE: Final = "/v1/webhooks/{webhook_id}"

DOCUMENT: Final[dict[tuple[str, str], Said]] = {
    ("GET", "/v1/webhooks"): _said(
        "List webhook endpoints", {"data": [_ENDPOINT | {"waiting_events": 0}], "next_cursor": None}, *_BASE
    ),
    ("POST", "/v1/webhooks"): _said(
        "Make a webhook endpoint",
        _WITH_SECRET | {"waiting_events": 0},
        *_BODY,
        "too_many_webhooks",
        status=201,
        body=(_SETTINGS | {"required": ["url"]}, _WANTED),
    ),
    ("GET", _ONE): _said("Read a webhook endpoint", _ENDPOINT | {"waiting_events": 0}, *_BASE, "not_found"),
    ("PATCH", _ONE): _said(
        "Change a webhook endpoint",
        _ENDPOINT,
        *_BODY,
        "not_found",
        body=(_SETTINGS, {"types": ["*"], "batch_max": 100}),
    ),
    ("DELETE", _ONE): _said("Delete a webhook endpoint", None, *_BASE, "not_found", status=204),
    ("POST", f"{_ONE}:test"): _said(
        "Send a test event now",
        {
            "event_id": "evt_01kaq3m7x2f0g8h9jkmnpqrstv",
            "type": "webhook.test",
            "is_ok": True,
            "status_code": 200,
            "dur_ms": 34,
            "error": None,
        },
        *_BODY,
        "not_found",
        "webhook_disabled",
    ),
    ("POST", f"{_ONE}:rotate-secret"): _said(
        "Make a new secret",
        _WITH_SECRET | {"old_secret_until": "2026-11-23T03:00:00.000Z"},
        *_BODY,
        "not_found",
        body=(_ROTATE, {"overlap_s": 86400}),
    ),
    ("POST", f"{_ONE}:disable"): _said(
        "Disable a webhook endpoint",
        _ENDPOINT
        | {"status": "disabled", "disabled_reason": "by_account", "disabled_at": "2026-11-22T03:00:00.000Z"},
        *_BODY,
        "not_found",
    ),
    ("POST", f"{_ONE}:enable"): _said("Enable a webhook endpoint", _ENDPOINT, *_BODY, "not_found"),
    ("POST", f"{_ONE}:replay"): _said(
        "Send events again",
        {"events": 12, "is_complete": True, "next_since": None},
        *_BODY,
        "not_found",
        body=(_REPLAY, {"since": "2026-11-21T00:00:00Z", "status": "exhausted", "limit": 1000}),
    ),
    ("GET", f"{_ONE}/attempts"): _said(
        "List attempts to reach a webhook endpoint, newest first",
        {"data": [_ATTEMPT], "next_cursor": None},
        *_BASE,
        "invalid_cursor",
        "not_found",
    ),
}
