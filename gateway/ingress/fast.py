"""The short way of a single message: from the octets of a whole request to those of its answer (D15, decision 57).

`gateway.runtime.http_protocol` offers every whole `POST /v1/messages`. What is not the usual message with a key that is
known is left to `gateway.ingress.hot`, which answers the same to the octet; a test holds the two together.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Final, Protocol

from gateway.ingress.auth import SEND, Caller, Gate
from gateway.ingress.exchange import Headers, HttpMetrics, log_crash
from gateway.ingress.hot import answer_headers, refusal_answer
from gateway.ingress.problems import MEDIA_TYPE
from gateway.intake.outcomes import Answer, Refusal, Request

_JSON: Final = b"application/json"
_FIELDS: Final = b"content-type: %b\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n"
_JSON_TYPES: Final = frozenset({_JSON, b"application/json; charset=utf-8"})
_UNUSUAL: Final = frozenset({b"idempotency-key", b"content-encoding"})
_INTERNAL: Final = Refusal("internal_error", "the request failed; it is in our logs")


class Exchange(Protocol):
    """One request that waits for its answer."""

    def answer(self, status: int, fields: bytes, body: bytes) -> None:
        """Write the answer, once; `fields` are header lines with their ends. A client that is gone gets nothing."""


Begin = Callable[[bytes, Request, Callable[[Answer | Refusal], None]], bool]


class FastPath:
    """One endpoint. `begin` is that of `gateway.intake.single`; `path` names the route in metrics and problems."""

    def __init__(
        self, path: str, begin: Begin, *, gate: Gate, metrics: HttpMetrics, max_body_octets: int
    ) -> None:
        self._path = path
        self._begin = begin
        self._gate = gate
        self._metrics = metrics
        self._max_body_octets = max_body_octets
        self._random_bits = random.Random().getrandbits
        self._answered: list[tuple[int, float]] = []

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
        """Return who sends requests with these headers, None where they are not the usual ones of a JSON body."""
        authorization = media_type = b""
        for name, value in headers:
            if name == b"authorization":
                authorization = value
            elif name == b"content-type":
                media_type = value
            elif name in _UNUSUAL:
                return None
        return self._gate.caller(authorization, SEND) if media_type in _JSON_TYPES else None

    def take(self, caller: Caller, body: bytes, exchange: Exchange) -> bool:
        """Take a request and answer it once its message is durable; False: nothing was done, go the ordinary way."""
        if len(body) > self._max_body_octets:
            return False
        principal = caller.principal()
        if principal is None:
            return False
        request_id = f"req_{self._random_bits(64):016x}"
        started = perf_counter()

        def answer(outcome: Answer | Refusal) -> None:
            # Whatever goes wrong here must not reach the flush, which has others to answer.
            try:
                written = _written(outcome, self._path, request_id)
            except Exception as error:  # noqa: BLE001 - see above
                log_crash(error, request_id)
                written = _written(_INTERNAL, self._path, request_id)
            self._count_soon(written[0], started)
            try:
                exchange.answer(*written)
            except Exception as error:  # noqa: BLE001 - see above
                log_crash(error, request_id)

        self._metrics.in_flight += 1
        try:
            is_taken = self._begin(body, Request(principal, request_id), answer)
        except Exception:  # noqa: BLE001 - nothing is begun when it raises; the ordinary way says what is wrong
            is_taken = False
        if not is_taken:
            self._metrics.in_flight -= 1
        return is_taken

    def _count_soon(self, status: int, started: float) -> None:
        """Count an answer together with those that leave in the same turn of the loop."""
        self._metrics.in_flight -= 1
        if not self._answered:
            asyncio.get_running_loop().call_soon(self._count)
        self._answered.append((status, perf_counter() - started))

    def _count(self) -> None:
        durations: dict[int, list[float]] = {}
        for status, duration_s in self._answered:
            durations.setdefault(status, []).append(duration_s)
        self._answered.clear()
        for status, ended in durations.items():
            self._metrics.finished_many(self._path, "POST", status, ended)


def _written(outcome: Answer | Refusal, path: str, request_id: str) -> tuple[int, bytes, bytes]:
    """Return the status, the header lines and the body of an answer."""
    more: Headers
    if type(outcome) is Answer and outcome.allowance is None and not outcome.replayed:
        return outcome.status, _usual_fields(outcome, request_id), outcome.body
    if isinstance(outcome, Answer):
        status, body, more, media_type = outcome.status, outcome.body, answer_headers(outcome), _JSON
    else:
        status, body, more = refusal_answer(outcome, path=path, request_id=request_id)
        media_type = MEDIA_TYPE
    fields = b"".join([b"%b: %b\r\n" % field for field in more])
    return status, _FIELDS % (media_type, len(body), fields, request_id.encode()), body


def _usual_fields(answer: Answer, request_id: str) -> bytes:
    """Return the header lines of most answers, at a third of the price."""
    return (
        f"content-type: application/json\r\ncontent-length: {len(answer.body)}\r\n"
        f"location: /v1/messages/{answer.message_id}\r\nx-request-id: {request_id}\r\n"
    ).encode()
