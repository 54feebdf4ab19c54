"""`POST /v1/messages`, `:batch` and `:validate` as plain ASGI endpoints: no framework between octets and intake (D15)."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from gateway.ingress.at_once import AtOnce
from gateway.ingress.auth import CHALLENGE, SEND, Denied, Gate
from gateway.ingress.exchange import (
    REQUEST_ID,
    TRACE,
    BodyTooLargeError,
    Headers,
    RequestHeaders,
    read_body,
    read_headers,
    send_json,
    send_problem,
)
from gateway.ingress.problems import CATALOGUE, MEDIA_TYPE, fault_errors, problem_body
from gateway.intake.outcomes import Answer, Refusal, Request
from gateway.policy.admission import Allowance
from gateway.ports.intake_store import StoreUnavailableError

MAX_IDEMPOTENCY_KEY = 255
RETRY_AFTER = (b"retry-after", b"2")
_CLOSE = (b"connection", b"close")
UNAVAILABLE = "the store does not answer now"

Handler = Callable[[bytes, Request], Awaitable[Answer | Refusal]]


class HotEndpoint:
    """One endpoint with a JSON body that a scope is needed for. `path` names the route in metrics."""

    def __init__(
        self, path: str, handle: Handler, *, gate: Gate, max_body_octets: int, body_deadline_s: float = 30.0
    ) -> None:
        self.path = path
        self._handle = handle
        self._gate = gate
        self._max_body_octets = max_body_octets
        self._body_deadline_s = body_deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope["headers"])
        try:
            admitted = await self._gate.admit(headers.authorization, SEND)
        except (StoreUnavailableError, TimeoutError):
            await send_problem(scope, send, "unavailable", UNAVAILABLE, headers=(RETRY_AFTER,))
            return
        if isinstance(admitted, Denied):
            extra = (CHALLENGE,) if CATALOGUE[admitted.code].status == 401 else ()
            await send_problem(scope, send, admitted.code, admitted.detail, headers=extra)
            return
        wrong = _wrong_headers(headers)
        if wrong is not None:
            await send_problem(scope, send, *wrong)
            return
        try:
            reading = AtOnce(
                read_body(receive, content_length=headers.content_length, max_octets=self._max_body_octets)
            )
            if reading.is_done:
                body = reading.result()
            else:
                async with asyncio.timeout(self._body_deadline_s):
                    body = await reading
        except BodyTooLargeError:
            detail = f"the body is above the limit of {self._max_body_octets} octets"
            await send_problem(scope, send, "body_too_large", detail)
            return
        except TimeoutError:
            detail = f"the body did not arrive within {self._body_deadline_s:g} s"
            await send_problem(scope, send, "request_timeout", detail, headers=(_CLOSE,))
            return
        key = headers.idempotency_key
        request = Request(
            admitted, scope[REQUEST_ID], None if key is None else key.decode("ascii"), scope.get(TRACE)
        )
        outcome = await self._handle(body, request)
        if isinstance(outcome, Answer):
            await send_json(send, outcome.status, outcome.body, headers=answer_headers(outcome))
        else:
            status, problem, more = refusal_answer(outcome, path=scope["path"], request_id=scope[REQUEST_ID])
            await send_json(send, status, problem, headers=more, media_type=MEDIA_TYPE)


def _wrong_headers(headers: RequestHeaders) -> tuple[str, str] | None:
    """Return (code, detail) of what is wrong with the headers, or None."""
    media_type = headers.content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        said = f"not {media_type[:64]!r}" if media_type else "and there is no Content-Type"
        return "unsupported_media_type", f"the body must be application/json, {said}"
    if headers.content_encoding not in ("", "identity"):
        return "unsupported_media_type", "the body must not be compressed (Content-Encoding)"
    key = headers.idempotency_key
    if key is not None:
        if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY:
            detail = f"the Idempotency-Key has {len(key)} characters, 1 to {MAX_IDEMPOTENCY_KEY} are allowed"
            return "invalid_idempotency_key", detail
        if not key.isascii() or not key.decode("ascii").isprintable():
            return "invalid_idempotency_key", "the Idempotency-Key must be printable ASCII"
    return None


def answer_headers(answer: Answer) -> Headers:
    """Return what an accepted request is told beside its body."""
    headers: Headers = []
    if answer.message_id is not None:
        headers.append((b"location", f"/v1/messages/{answer.message_id}".encode()))
    if answer.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    if answer.allowance is not None:
        headers += rate_limit_headers(answer.allowance)
    return headers


def rate_limit_headers(allowance: Allowance) -> Headers:
    """Return the RateLimit fields (draft 11): messages, not requests, in windows of one second."""
    return [
        (b"ratelimit-policy", f'"messages";q={allowance.quota};w=1'.encode()),
        (b"ratelimit", f'"messages";r={allowance.remaining};t={allowance.reset_s}'.encode()),
    ]


def refusal_answer(refusal: Refusal, *, path: str, request_id: str) -> tuple[int, bytes, Headers]:
    """Return the status, the body and the headers beside it of a refused request."""
    headers: Headers = []
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    if refusal.allowance is not None:
        headers += rate_limit_headers(refusal.allowance)
    body = problem_body(
        refusal.code,
        detail=refusal.detail,
        instance=path,
        request_id=request_id,
        errors=fault_errors(refusal.faults),
        results=refusal.results,
    )
    return CATALOGUE[refusal.code].status, body, headers
