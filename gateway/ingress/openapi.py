"""The published OpenAPI document: FastAPI's own part, and the hot endpoints from the very structs that parse them."""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.ingress.problems import CATALOGUE
from gateway.intake.answers import AcceptedBatch, AcceptedMessage, ItemError, ItemResult, ValidatedMessage
from gateway.intake.requests import Defaults, MessageDraft

Responses = dict[int | str, dict[str, Any]]
"""Answers by status, in FastAPI's form."""

_REF = "#/components/schemas/{name}"
_ID = "msg_01kaq3m7x2f0g8h9jkmnpqrstv"
_REQUEST_ID = "req_c65ebfa4d039a7aa"

_MESSAGE_EXAMPLE = {
    "to": "+525512345678",
    "from": "ACME",
    "class": "otp",
    "content": {"text": "Su codigo es 481516"},
    "client_ref": "login-991",
    "metadata": {"team": "auth"},
}
_ACCEPTED_EXAMPLE = {
    "id": _ID,
    "status": "queued",
    "to": "+525512345678",
    "client_ref": "login-991",
    "segments": 1,
    "encoding": "gsm7",
    "created_at": "2026-11-22T03:00:00.412Z",
}
_BATCH_EXAMPLE = {
    "defaults": {"from": "ACME", "class": "collections"},
    "on_error": "skip",
    "messages": [
        {"to": "+573001112233", "content": {"text": "Ana, su saldo es $120.000"}, "client_ref": "inv-1"},
        {"to": "300111", "content": {"text": "Luis, su saldo es $80.000"}, "client_ref": "inv-2"},
    ],
}
_BATCH_ANSWER_EXAMPLE = {
    "id": "bat_01kaq3m7x2f0g8h9jkmnpqrstv",
    "accepted": 1,
    "rejected": 1,
    "duplicates": 0,
    "results": [
        {"index": 0, "status": "queued", "id": _ID, "segments": 1, "client_ref": "inv-1"},
        {
            "index": 1,
            "status": "rejected",
            "client_ref": "inv-2",
            "error": {
                "code": "invalid_number",
                "detail": "'300111' has no country code",
                "pointer": "#/messages/1/to",
            },
        },
    ],
}
_VALIDATED_EXAMPLE = {
    "to": "+525512345678",
    "from": "ACME",
    "class": "otp",
    "encoding": "gsm7",
    "units": 19,
    "segments": 1,
    "text": "Su codigo es 481516",
    "expires_at": "2026-11-22T03:05:00.412Z",
    "send_at": None,
    "route": {"carrier": "telco_a", "candidates": ["telco_b"], "reason": "rule 1, prefix 52"},
    "channel": "sms",
    "channels": None,
    "valid": True,
}
_VIEW_EXAMPLE = {
    "id": _ID,
    "status": "delivered",
    "to": "+525512345678",
    "from": "ACME",
    "channel": "sms",
    "channels": None,
    "class": "otp",
    "encoding": "gsm7",
    "segments": 1,
    "partial": False,
    "carrier": "telco_a",
    "attempts": 1,
    "client_ref": "login-991",
    "batch_id": None,
    "error": None,
    "created_at": "2026-11-22T03:00:00.412Z",
    "send_at": None,
    "expires_at": "2026-11-22T03:05:00.412Z",
    "submitted_at": "2026-11-22T03:00:00.976Z",
    "final_at": "2026-11-22T03:00:04.220Z",
    "metadata": {"team": "auth"},
    "request_id": _REQUEST_ID,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
_EVENTS_EXAMPLE = {
    "data": [
        {"at": "2026-11-22T03:00:00.412Z", "type": "accepted", "source": "api", "request_id": _REQUEST_ID},
        {"at": "2026-11-22T03:00:00.976Z", "type": "submitted", "carrier": "telco_a", "attempt": 1},
        {
            "at": "2026-11-22T03:00:04.220Z",
            "type": "dlr",
            "state": "delivered",
            "message_state": "DELIVERED",
            "raw": "id:7F3A01 sub:001 dlvrd:001 stat:DELIVRD err:000",
            "stat": "DELIVRD",
            "err": "000",
            "bind": "rx1",
            "segment": 1,
            "attempt": 1,
            "carrier": "telco_a",
        },
        {
            "at": "2026-11-22T03:00:04.260Z",
            "type": "webhook",
            "endpoint": "whk_01kaq3m7x2f0g8h9jkmnpqrstv",
            "event": "message.delivered",
            "attempt": 1,
            "state": "delivered",
            "status_code": 200,
            "dur_ms": 34,
        },
    ],
    "next_cursor": None,
}
_PROBLEM_EXAMPLE = {
    "type": "https://docs.example.invalid/errors/validation_failed",
    "title": CATALOGUE["validation_failed"].title,
    "status": 422,
    "detail": "'300111' has no country code",
    "code": "validation_failed",
    "instance": "/v1/messages",
    "request_id": _REQUEST_ID,
    "errors": [{"pointer": "#/to", "detail": "'300111' has no country code", "code": "invalid_number"}],
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": f"One of: {', '.join(CATALOGUE)}; more may come."},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901 pointer into the body."},
                    "parameter": {"type": "string", "description": "Name of a query parameter."},
                    "detail": {"type": "string"},
                    "code": {"type": "string"},
                },
            },
        },
    },
}


def _json_content(example: Any, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"application/json": {"schema": schema or {"type": "object"}, "example": example}}


def problems(*codes: str) -> Responses:
    """Return response entries for the codes, one per status."""
    by_status: Responses = {}
    for code in codes:
        spec = CATALOGUE[code]
        entry = by_status.setdefault(
            spec.status,
            {
                "description": "",
                "content": {
                    "application/problem+json": {
                        "schema": {"$ref": _REF.format(name="Problem")},
                        "example": _PROBLEM_EXAMPLE
                        | {"status": spec.status, "code": code, "title": spec.title},
                    }
                },
            },
        )
        entry["description"] = f"{entry['description']}; {code}".removeprefix("; ")
    return by_status


AUTH_CODES = ("missing_key", "invalid_key", "revoked_key", "expired_key", "missing_scope")
_READ_PROBLEMS = problems(*AUTH_CODES, "not_found", "validation_failed", "unavailable")
_LIST_PROBLEMS = problems(*AUTH_CODES, "invalid_cursor", "validation_failed", "unavailable")
_BODY_CODES = (
    "invalid_json",
    *AUTH_CODES,
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "validation_failed",
)
_SEND_CODES = (
    *_BODY_CODES,
    "invalid_idempotency_key",
    "idempotency_key_in_use",
    "idempotency_key_reused",
    "rate_limited",
    "backpressure",
    "unavailable",
)

MESSAGE_RESPONSES: Responses = {
    200: {"description": "The message.", "content": _json_content(_VIEW_EXAMPLE)},
    **_READ_PROBLEMS,
}
EVENTS_RESPONSES: Responses = {
    200: {"description": "A page of the timeline.", "content": _json_content(_EVENTS_EXAMPLE)},
    **_READ_PROBLEMS,
    **problems("invalid_cursor"),
}
LIST_RESPONSES: Responses = {
    200: {
        "description": "A page of messages.",
        "content": _json_content({"data": [_VIEW_EXAMPLE], "next_cursor": None}),
    },
    **_LIST_PROBLEMS,
}

_IDEMPOTENCY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Makes the request repeatable for 24 hours: the same key and body get the first answer again.",
    "example": "0f8c2a4e-otp-991",
}


_TRACEPARENT_HEADER = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The caller's span (W3C Trace Context). Where traces are on, one that is sampled is continued, and the "
    "answer names its span in `traceresponse`.",
    "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _hot_paths() -> dict[str, dict[str, Any]]:
    batch_request = {
        "type": "object",
        "required": ["messages"],
        "additionalProperties": False,
        "properties": {
            "messages": {"type": "array", "minItems": 1, "items": _ref("MessageDraft")},
            "defaults": _ref("Defaults"),
            "on_error": {"enum": ["skip", "reject_all"], "default": "skip"},
        },
    }
    accepted = {
        "202": {
            "description": "The message is durable.",
            "headers": {"Location": {"schema": {"type": "string"}}},
            "content": _json_content(_ACCEPTED_EXAMPLE, _ref("AcceptedMessage")),
        }
    }
    accepted_batch = {
        "202": {
            "description": "The accepted messages are durable; `results` tells which.",
            "content": _json_content(_BATCH_ANSWER_EXAMPLE, _ref("AcceptedBatch")),
        }
    }
    validated = {
        "200": {
            "description": "What sending would do.",
            "content": _json_content(_VALIDATED_EXAMPLE, _ref("ValidatedMessage")),
        }
    }
    message_body = _json_content(_MESSAGE_EXAMPLE, _ref("MessageDraft"))
    return {
        "/v1/messages": _operation("Send one message", "send_message", message_body, accepted, _SEND_CODES),
        "/v1/messages:batch": _operation(
            "Send up to 10,000 messages",
            "send_batch",
            _json_content(_BATCH_EXAMPLE, batch_request),
            accepted_batch,
            (*_SEND_CODES, "batch_too_large", "batch_rejected"),
        ),
        "/v1/messages:validate": _operation(
            "Ask what sending would do, without sending",
            "validate_message",
            message_body,
            validated,
            _BODY_CODES,
        ),
    }


def _operation(
    summary: str, operation_id: str, content: dict[str, Any], answers: dict[str, Any], codes: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "tags": ["messages"],
        "summary": summary,
        "operationId": operation_id,
        "parameters": []
        if operation_id == "validate_message"
        else [_IDEMPOTENCY_HEADER, _TRACEPARENT_HEADER],
        "requestBody": {"required": True, "content": content},
        "responses": answers | {str(status): entry for status, entry in problems(*codes).items()},
    }


def openapi_builder(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return the function that builds the document once and then gives it from memory."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    return build


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    paths = document.setdefault("paths", {})
    for path, operation in _hot_paths().items():
        paths.setdefault(path, {})["post"] = operation
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _, own = msgspec.json.schema_components(
        [MessageDraft, Defaults, AcceptedMessage, AcceptedBatch, ItemResult, ItemError, ValidatedMessage],
        ref_template=_REF,
    )
    schemas.update(own)
    schemas["Problem"] = _PROBLEM_SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own form, which is never sent
        schemas.pop(name, None)
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in paths.items():
        if path.startswith("/v1/"):
            for operation in operations.values():
                operation["security"] = [{"key": []}]
    return document
