"""Every error of the API as `application/problem+json` (RFC 9457), with the catalogue of codes as data.

`code` is what clients branch on: codes are added, never renamed. The page of errors in the docs is made from
`CATALOGUE` and `FAULTS`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.intake.answers import ItemResult
from gateway.intake.rich import Fault

DOCS_URL = "https://docs.example.invalid/errors/"
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
MEDIA_TYPE = b"application/problem+json"


class ProblemSpec(NamedTuple):
    """One code of the catalogue."""

    status: int
    title: str


CATALOGUE: dict[str, ProblemSpec] = {
    "bad_request": ProblemSpec(400, "The request cannot be understood"),
    "invalid_json": ProblemSpec(400, "The body is not valid JSON"),
    "invalid_cursor": ProblemSpec(400, "The cursor is not one of ours"),
    "invalid_idempotency_key": ProblemSpec(400, "The Idempotency-Key cannot be used"),
    "missing_key": ProblemSpec(401, "An API key is required"),
    "invalid_key": ProblemSpec(401, "The API key is not valid"),
    "revoked_key": ProblemSpec(401, "The API key was revoked"),
    "expired_key": ProblemSpec(401, "The API key has expired"),
    "missing_scope": ProblemSpec(403, "The API key lacks a scope"),
    "test_key": ProblemSpec(403, "A test key may only look"),
    "not_found": ProblemSpec(404, "There is no such resource"),
    "method_not_allowed": ProblemSpec(405, "The method is not allowed here"),
    "request_timeout": ProblemSpec(408, "The body did not arrive in time"),
    "webhook_disabled": ProblemSpec(409, "The webhook endpoint is disabled"),
    "too_many_webhooks": ProblemSpec(409, "The account has as many webhook endpoints as it may"),
    "media_full": ProblemSpec(409, "The account's files take as much room as they may"),
    "idempotency_key_in_use": ProblemSpec(409, "The first request with this Idempotency-Key is not finished"),
    "body_too_large": ProblemSpec(413, "The body is too large"),
    "batch_too_large": ProblemSpec(413, "The batch holds too many messages"),
    "unsupported_media_type": ProblemSpec(415, "The body must be application/json"),
    "validation_failed": ProblemSpec(422, "The request is not valid"),
    "batch_rejected": ProblemSpec(422, "No message of the batch was accepted"),
    "idempotency_key_reused": ProblemSpec(422, "The Idempotency-Key was used with another body"),
    "rate_limited": ProblemSpec(429, "The account sends more than its messages per second"),
    "internal_error": ProblemSpec(500, "Something went wrong on our side"),
    "backpressure": ProblemSpec(503, "The queue is full; try again later"),
    "unavailable": ProblemSpec(503, "The message store cannot be reached; try again later"),
}
"""Codes of whole requests: the member `code`."""

FAULTS: dict[str, str] = {
    "unknown_field": "the field does not exist; its name is in `detail`",
    "missing_field": "a field that is required is missing",
    "invalid_type": "the value has another JSON type",
    "invalid_value": "the value is not one of those allowed",
    "invalid_time": "not an RFC 3339 time with its offset",
    "invalid_number": "`to` is not a valid number, or has no country code",
    "invalid_region": "the account's default region has no numbers",
    "invalid_sender": "`from` is no short code, number or alphanumeric sender",
    "invalid_channel": "the channel is not available",
    "opted_out": "the recipient opted out, or does not want any of the channels",
    "invalid_class": "not one of the message classes",
    "invalid_encoding": "not one of the encodings",
    "invalid_client_ref": "`client_ref` is empty, too long or has a NUL",
    "invalid_metadata": "`metadata` is not a small flat map of strings",
    "invalid_text": "the text has a character that cannot be sent",
    "lone_surrogate": "half of a UTF-16 surrogate pair is no character",
    "empty_text": "the text is empty",
    "not_in_alphabet": "a character does not exist in the encoding asked for",
    "too_many_segments": "the text needs more segments than the account may send",
    "templates_unavailable": "templates are not available",
    "invalid_content": "the content says nothing, says two things, or has a part that does not belong to it",
    "not_on_channel": "the channel cannot carry this kind of content",
    "text_too_long": "the text has more characters than the channel takes",
    "invalid_template": "the template's name, language or parameters cannot be right, or are not as approved",
    "invalid_link": "the link is no https URL that a carrier could fetch",
    "invalid_media": "the file is not what it says it is, or of another kind than its place",
    "unknown_media": "the account has no such file, or it has expired",
    "expired_validity": "`expires_at` has passed, or is not after `send_at`",
    "validity_too_long": "`expires_at` is too far away",
    "invalid_send_at": "`send_at` is in the past or too far away",
    "unknown_carrier": "`route.prefer` names a carrier that does not exist",
    "no_route": "no routing rule fits the message",
    "unknown_webhook": "the webhook does not exist",
    "invalid_url": "a webhook never goes to this URL; `detail` says why",
    "unknown_event_type": "not one of the types of events",
    "unknown_bind": "the carrier has no such bind; `detail` names those it has",
    "unknown_account": "the account does not exist",
    "empty_batch": "the batch holds no message",
    "batch_too_large": "the batch holds too many messages",
    "unknown_parameter": "the query parameter does not exist",
    "invalid_parameter": "the query parameter has a value that is not allowed",
}
"""Codes of single fields: the members `errors[].code`, and `error.code` of a batch item."""


class ProblemError(Exception):
    """Raised by ordinary endpoints; the application answers with the problem."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = tuple(headers)


def fault_errors(faults: Iterable[Fault]) -> list[dict[str, str]]:
    """Return the member `errors` of faults whose pointers begin with `#`."""
    return [{"pointer": fault.pointer, "detail": fault.detail, "code": fault.code} for fault in faults]


def problem_body(
    code: str,
    *,
    detail: str,
    instance: str,
    request_id: str,
    errors: Sequence[Mapping[str, str]] = (),
    results: Sequence[ItemResult] | None = None,
) -> bytes:
    """Return the document of one problem."""
    spec = CATALOGUE[code]
    document: dict[str, Any] = {
        "type": QUOTA_EXCEEDED if code == "rate_limited" else DOCS_URL + code,
        "title": spec.title,
        "status": spec.status,
        "detail": detail,
        "code": code,
        "instance": instance,
        "request_id": request_id,
    }
    if errors:
        document["errors"] = errors
    if results is not None:
        document["results"] = results
    if code == "rate_limited":
        document["violated-policies"] = ["messages"]
    return msgspec.json.encode(document)
