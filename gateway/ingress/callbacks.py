"""`/callbacks/{carrier}`: where HTTP carriers bring receipts and replies. A plain route: they come one by one (D15).

What a call says is read by the carrier's `CallbackReader`; it is answered only once that is durable on the bus (P7).
Where it cannot be made durable the carrier gets 503 and calls again. `gateway.runtime.wiring` gives the readers, and
new ones at a reload.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

import structlog
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from gateway.bus.inbound import inbound_record
from gateway.domain.receipts import MobileOriginated, Receipt
from gateway.ingress.exchange import BodyTooLargeError, read_body, read_headers, send_json, send_problem
from gateway.ingress.group_append import Appended, GroupAppend
from gateway.ports.callbacks import CallbackFault, CallbackReader, CallbackReading, CallbackRequest
from gateway.ports.clock import Clock
from gateway.telemetry.metrics import counter

_log = structlog.get_logger()

CALLBACK_PREFIX: Final = "/callbacks/"
CALLBACK_ROUTE: Final = CALLBACK_PREFIX + "{carrier}"
CALLBACK_METHODS: Final = ("GET", "POST")

OUTCOMES: Final = ("stored", "partial", "empty", "unavailable", "too_large", "timeout", *CallbackFault)
"""stored: all of it; partial: a part was not understood; empty: nothing to store, as where a carrier only asks.

A call with a word for a state that nobody explained is stored as well, and counted as unknown_state.
"""

_RETRY_AFTER: Final = (b"retry-after", b"5")
_CLOSE: Final = (b"connection", b"close")
_TELL_EVERY_NS: Final = 60_000_000_000
_MAX_PARAMETERS: Final = 200


class CarrierCalls(NamedTuple):
    """How the calls of one carrier are read."""

    reader: CallbackReader
    max_body_octets: int = 262_144


class CallbackMetrics:
    """What is counted of calls. One bundle per process; `carriers` are those that have a reader."""

    def __init__(self, registry: CollectorRegistry, *, carriers: Iterable[str] = ()) -> None:
        self._calls = counter(registry, "carrier_callbacks_total")
        self._mo = counter(registry, "mo_segments_received_total")
        self.touch(carriers)

    def touch(self, carriers: Iterable[str]) -> None:
        """Make the series of these carriers exist."""
        for carrier in carriers:
            self._mo.labels(carrier)
            for outcome in OUTCOMES:
                self._calls.labels(carrier, outcome)

    def called(self, carrier: str, outcome: str) -> None:
        """Count one call."""
        self._calls.labels(carrier, outcome if outcome in OUTCOMES else CallbackFault.SHAPE.value).inc()

    def stored(self, items: Sequence[Receipt | MobileOriginated]) -> None:
        """Count the messages of people among what was stored; a call may speak of another carrier of ours."""
        for item in items:
            if item.__class__ is MobileOriginated:
                self._mo.labels(item.carrier).inc()


class Callbacks:
    """The endpoint, an ASGI application; `running` is its life."""

    def __init__(
        self,
        calls: Mapping[str, CarrierCalls],
        *,
        appends: GroupAppend,
        clock: Clock,
        metrics: CallbackMetrics,
        body_deadline_s: float = 10.0,
    ) -> None:
        self._calls = dict(calls)
        self._appends = appends
        self._clock = clock
        self._metrics = metrics
        self._body_deadline_s = body_deadline_s
        self._tell_due_ns: dict[str, int] = {}
        metrics.touch(self._calls)

    def use(self, calls: Mapping[str, CarrierCalls]) -> None:
        """Read by these from now on; carriers that are not among them get 404."""
        self._calls = dict(calls)
        self._tell_due_ns.clear()
        self._metrics.touch(self._calls)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let calls be stored while the block runs."""
        async with self._appends.running():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        carrier = scope["path"].removeprefix(CALLBACK_PREFIX)
        calls = self._calls.get(carrier)
        if calls is None:
            await send_problem(scope, send, "not_found", "no carrier of that name calls here")
            return
        headers = read_headers(scope["headers"])
        try:
            async with asyncio.timeout(self._body_deadline_s):
                body = await read_body(
                    receive, content_length=headers.content_length, max_octets=calls.max_body_octets
                )
        except BodyTooLargeError:
            self._metrics.called(carrier, "too_large")
            detail = f"the body is above the limit of {calls.max_body_octets} octets"
            await send_problem(scope, send, "body_too_large", detail, headers=(_CLOSE,))
            return
        except TimeoutError:
            self._metrics.called(carrier, "timeout")
            detail = f"the body did not arrive within {self._body_deadline_s:g} s"
            await send_problem(scope, send, "request_timeout", detail, headers=(_CLOSE,))
            return
        reading = calls.reader.read(_request(scope, body, now_ms=self._clock.now_ms()))
        if reading.items:
            appended = await self._appends.append([inbound_record(item) for item in reading.items])
            if appended is not Appended.STORED:
                await self._send_not_stored(scope, send, carrier, appended)
                return
            self._metrics.stored(reading.items)
        self._count(carrier, reading)
        answer = reading.answer
        more = () if answer.status != 405 else ((b"allow", _other(scope["method"])),)
        await send_json(
            send, answer.status, answer.body, headers=more, media_type=answer.content_type.encode("latin-1")
        )

    async def _send_not_stored(self, scope: Scope, send: Send, carrier: str, appended: Appended) -> None:
        if appended is Appended.REFUSED:
            self._metrics.called(carrier, "too_large")
            await send_problem(scope, send, "body_too_large", "an item is larger than the queue takes")
            return
        self._metrics.called(carrier, "unavailable")
        detail = "what the call says cannot be kept now; call again"
        await send_problem(scope, send, "unavailable", detail, headers=(_RETRY_AFTER,))

    def _count(self, carrier: str, reading: CallbackReading) -> None:
        if reading.fault:
            is_partial = bool(reading.items) and reading.fault != CallbackFault.UNKNOWN_STATE
            self._metrics.called(carrier, "partial" if is_partial else reading.fault)
            self._tell(carrier, reading)
        else:
            self._metrics.called(carrier, "stored" if reading.items else "empty")

    def _tell(self, carrier: str, reading: CallbackReading) -> None:
        """Log what was not understood, at most once a minute and carrier: whoever calls decides how often it is."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._tell_due_ns.get(carrier, 0):
            self._tell_due_ns[carrier] = now_ns + _TELL_EVERY_NS
            _log.warning(
                "callbacks.not_understood",
                carrier=carrier,
                fault=str(reading.fault),
                understood=len(reading.items),
                status=reading.answer.status,
            )


def _request(scope: Scope, body: bytes, *, now_ms: int) -> CallbackRequest:
    client = scope.get("client")
    return CallbackRequest(
        method=scope["method"],
        query=_query(scope["query_string"]) if scope["query_string"] else {},
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        received_at=now_ms,
        source=client[0] if client else "",
    )


def _query(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("utf-8", "replace"),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        return {}
    return dict(pairs)


def _other(method: str) -> bytes:
    return b"POST" if method != "POST" else b"GET"
