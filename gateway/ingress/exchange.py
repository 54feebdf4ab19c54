"""Plain ASGI for the hot endpoints: headers read once, a bounded body, an answer in two events (D15).

Also the envelope around every request of the API: its request id, its metrics, and the last catch.
"""

import random
import traceback
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.ingress.problems import CATALOGUE, MEDIA_TYPE, problem_body
from gateway.intake.tracing import IntakeTracing
from gateway.telemetry.metrics import counter, gauge, histogram, observe_many

_log = structlog.get_logger()

Headers = list[tuple[bytes, bytes]]
REQUEST_ID = "caudal.request_id"
TRACE = "caudal.trace"
_JSON = b"application/json"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class RequestHeaders(NamedTuple):
    """The headers that endpoints look at; empty where not sent. `content_length` None: not known beforehand."""

    authorization: str
    content_type: str
    content_encoding: str
    content_length: int | None
    idempotency_key: bytes | None


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> RequestHeaders:
    """Return what endpoints look at of a request's headers, whose names are lower case; of repeated ones the last."""
    authorization = content_type = content_encoding = b""
    content_length: int | None = None
    idempotency_key: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            authorization = value
        elif name == b"content-type":
            content_type = value
        elif name == b"content-length":
            content_length = int(value) if value.isdigit() else None
        elif name == b"idempotency-key":
            idempotency_key = value
        elif name == b"content-encoding":
            content_encoding = value
    return RequestHeaders(
        authorization.decode("latin-1"),
        content_type.decode("latin-1"),
        content_encoding.decode("latin-1"),
        content_length,
        idempotency_key,
    )


class BodyTooLargeError(Exception):
    """The body is above the limit; what was not read yet is left unread."""


class ClientGoneError(Exception):
    """The client closed the connection before its body was complete: there is nobody to answer."""


async def read_body(receive: Receive, *, content_length: int | None, max_octets: int) -> bytes:
    """Return the body; BodyTooLargeError before reading where Content-Length tells, else at the first octet too many."""
    if content_length is not None and content_length > max_octets:
        raise BodyTooLargeError
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > max_octets:
            raise BodyTooLargeError
        return body
    chunks, size = [body], len(body)
    while True:
        if size > max_octets:
            raise BodyTooLargeError
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if not message.get("more_body", False):
            break
    if size > max_octets:
        raise BodyTooLargeError
    return b"".join(chunks)


async def send_json(
    send: Send,
    status: int,
    body: bytes,
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    media_type: bytes = _JSON,
) -> None:
    """Answer with a JSON body."""
    length = str(len(body)).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", media_type), (b"content-length", length), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_problem(
    scope: Scope, send: Send, code: str, detail: str, *, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a problem that has no field errors."""
    body = problem_body(code, detail=detail, instance=scope["path"], request_id=scope[REQUEST_ID])
    await send_json(send, CATALOGUE[code].status, body, headers=headers, media_type=MEDIA_TYPE)


class HttpMetrics:
    """What the API counts of requests, with the children of known labels kept."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = counter(registry, "http_requests_total")
        self._durations = histogram(registry, "http_request_duration_seconds")
        self.in_flight = 0
        gauge(registry, "http_requests_in_flight").set_function(lambda: self.in_flight)
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def touch(self, route: str, method: str, codes: Iterable[int]) -> None:
        """Make series exist before the first request."""
        for code in codes:
            self._pair(route, method, code)

    def finished(
        self, route: str, method: str, code: int, duration_s: float, exemplar: dict[str, str] | None = None
    ) -> None:
        """Count one request that was answered."""
        requests, durations = self._pair(route, method, code)
        requests.inc()
        durations.observe(duration_s, exemplar)

    def finished_many(self, route: str, method: str, code: int, durations_s: Sequence[float]) -> None:
        """Count requests that were answered alike."""
        requests, durations = self._pair(route, method, code)
        requests.inc(len(durations_s))
        observe_many(durations, durations_s)

    def _pair(self, route: str, method: str, code: int) -> tuple[Counter, Histogram]:
        key = (route, method, code)
        pair = self._children.get(key)
        if pair is None:
            requests = self._requests.labels(route, method, str(code))
            pair = self._children[key] = (requests, self._durations.labels(route, method))
        return pair


class Envelope:
    """The outermost layer: gives every request an id, answers what nobody caught, counts what was answered.

    `route` is the template for the metrics where no router finds it. `tracing` is there where requests are traced.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: HttpMetrics,
        route: str | None = None,
        random_bits: Callable[[int], int] | None = None,
        tracing: IntakeTracing | None = None,
    ) -> None:
        self._tracing = tracing
        self._app = app
        self._metrics = metrics
        self._route = route
        self._random_bits = random_bits or random.Random().getrandbits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{self._random_bits(64):016x}"
        scope[REQUEST_ID] = request_id
        id_header = (b"x-request-id", request_id.encode())
        trace = None
        if self._tracing is not None:
            trace = scope[TRACE] = self._tracing.begin(scope["headers"])
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header]
                if trace is not None and trace.trace_id:
                    message["headers"].append((b"traceresponse", trace.response))
            await send(message)

        started = perf_counter()
        metrics = self._metrics
        metrics.in_flight += 1
        try:
            await self._app(scope, receive, send_with_id)
        except ClientGoneError:
            status = status or 499
        except Exception as error:
            log_crash(error, request_id, trace_id=trace.trace_id if trace is not None else "")
            if status:
                raise
            await send_problem(scope, send_with_id, "internal_error", "the request failed; it is in our logs")
        finally:
            metrics.in_flight -= 1
            route = self._route or _template(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            exemplar = None
            if trace is not None and trace.trace_id:
                exemplar = {"trace_id": trace.trace_id}
                trace.finished(method=method, route=route, status=status or 500, request_id=request_id)
            metrics.finished(route, method, status or 500, perf_counter() - started, exemplar)


def _template(scope: Scope) -> str:
    """Return the route's template: never the raw path, which holds ids and has no bound."""
    route = scope.get("route")
    if route is None:
        route = scope.get("endpoint")
    return getattr(route, "path", None) or "unmatched"


def log_crash(error: Exception, request_id: str, *, trace_id: str = "") -> None:
    """Log what nobody caught."""
    # Where it happened, not what it said: an exception's text may quote a message or a number.
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}:{frame.name}" for frame in frames]
    traced = {"trace_id": trace_id} if trace_id else {}
    _log.error("http.crashed", request_id=request_id, error=type(error).__name__, where=where, **traced)
