"""What the ordinary endpoints share: who asks, parameters, cursors, small JSON bodies, and the answer.

Used by `gateway.ingress.webhooks` and `gateway.ingress.receipts`; the hot endpoints have their own way (D15).
"""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response

from gateway.ingress.auth import CHALLENGE, Denied, Gate
from gateway.ingress.cursors import CursorError, Cursors
from gateway.ingress.exchange import BodyTooLargeError, read_body, read_headers
from gateway.ingress.problems import ProblemError
from gateway.ports.intake_store import Principal

MAX_BODY_OCTETS = 64 * 1024

_Body = TypeVar("_Body", bound=msgspec.Struct)


async def admit(gate: Gate, request: Request, scope: str, *others: str) -> Principal:
    """Return who asks; ProblemError when the key is not valid or has none of the scopes."""
    admitted = await gate.admit(request.headers.get("authorization", ""), scope, *others)
    if isinstance(admitted, Denied):
        headers = () if admitted.code == "missing_scope" else (CHALLENGE,)
        raise ProblemError(admitted.code, admitted.detail, headers=headers)
    return admitted


def refuse_unknown(request: Request, known: set[str]) -> None:
    """Raise ProblemError for a query parameter that does not exist."""
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        errors = [
            {"parameter": name[:64], "detail": "unknown query parameter", "code": "unknown_parameter"}
            for name in unknown[:20]
        ]
        detail = f"unknown query parameter {unknown[0][:64]!r}; known: {', '.join(sorted(known)) or 'none'}"
        raise ProblemError("validation_failed", detail, errors=errors)


def invalid_parameter(name: str, detail: str) -> ProblemError:
    """Return the problem of a query parameter with a value that is not allowed."""
    errors = [{"parameter": name, "detail": detail, "code": "invalid_parameter"}]
    return ProblemError("validation_failed", detail, errors=errors)


def invalid_field(name: str, detail: str, *, code: str = "invalid_value") -> ProblemError:
    """Return the problem of one field of the body."""
    errors = [{"pointer": f"#/{name}", "detail": detail, "code": code}]
    return ProblemError("validation_failed", detail, errors=errors)


def storable(name: str, text: str | None) -> str | None:
    """Return the text of a parameter; ProblemError when PostgreSQL could not hold it."""
    if text is not None and "\x00" in text:
        raise invalid_parameter(name, f"{name} has a NUL (U+0000)")
    return text


def epoch_ms(at: datetime) -> int:
    """Return a time as milliseconds since the epoch; one without offset is UTC."""
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)


def read_cursor(cursors: Cursors, kind: str, account_id: str, text: str) -> dict[str, Any]:
    """Return the place in a list; ProblemError for a text that is no cursor of it."""
    try:
        return cursors.read(kind, account_id, text)
    except CursorError as error:
        raise ProblemError("invalid_cursor", f"cursor: {error}") from None


async def read_json(request: Request, kind: type[_Body]) -> _Body:
    """Return the body as `kind`, whose unknown fields are refused; an empty body is an empty object."""
    headers = read_headers(request.scope["headers"])
    try:
        body = await read_body(
            request.receive, content_length=headers.content_length, max_octets=MAX_BODY_OCTETS
        )
    except BodyTooLargeError:
        detail = f"the body is above the limit of {MAX_BODY_OCTETS} octets"
        raise ProblemError("body_too_large", detail) from None
    media_type = headers.content_type.partition(";")[0].strip().lower()
    if body and media_type != "application/json":
        raise ProblemError("unsupported_media_type", "the body must be application/json")
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProblemError("invalid_json", "the body is not JSON") from None


def _explained(message: str) -> ProblemError:
    """Return the problem that msgspec's line describes, such as "Expected `str`, got `int` - at `$.url`"."""
    text, _, path = message.partition(" - at `$")
    detail = text.replace("`", "")
    if detail.startswith("Object contains unknown field "):
        name = detail.removeprefix("Object contains unknown field ")[:64]
        return invalid_field(name, f"unknown field {name!r}", code="unknown_field")
    if detail.startswith("Object missing required field "):
        name = detail.removeprefix("Object missing required field ")[:64]
        return invalid_field(name, f"{name} is missing", code="missing_field")
    name = path.rstrip("`").lstrip(".").replace(".", "/").replace("[", "/").replace("]", "")[:64]
    return invalid_field(name, detail, code="invalid_type")


def json_response(document: dict[str, Any] | None, *, status: int = 200, location: str = "") -> Response:
    """Return the answer; without a document an empty one."""
    if document is None:
        return Response(status_code=status)
    response = Response(msgspec.json.encode(document), status_code=status, media_type="application/json")
    if location:
        response.headers["location"] = location
    return response
