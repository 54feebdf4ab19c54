"""The control API of a simulated HTTP carrier: its ledger, its counts, its rates, live faults and timelines.

GET  /healthz
GET  /stats
GET  /messages?after=N&limit=M&format=json|jsonl     after -1 starts at the oldest
GET  /repeats?by=ref|text&limit=M                     what was taken more than once
GET  /order?destination=NUMBER                        one recipient's messages as they arrived
GET  /requests                                        the newest requests, whole (kind generic)
GET  /rate?window_ms=1000&series=1
GET  /faults          POST /faults {"latency": "20ms", "mps": 50, "disconnect": true, ...}
GET  /timeline        POST /timeline [{"at": "1s", "for": "5s", "set": {"silence": "all"}}, ...]   [] ends it
POST /mo              what a person writes, in the words of the kind
POST /callback        a body to be signed and sent to the callback URL as it is
POST /verify          the GET verification of the callback URL
POST /reset
"""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from aiohttp import web

from loadtest.faults import apply, parse_timeline
from loadtest.http_carrier.generic import Generic
from loadtest.http_carrier.record import Repeats
from loadtest.rates import WindowScan

if TYPE_CHECKING:
    from loadtest.http_carrier.carrier import HttpCarrier

MAX_PAGE: Final = 10_000
MAX_WINDOW_MS: Final = 3_600_000
MAX_EXAMPLES: Final = 1_000
_SLICE: Final = 250
_CARRIER: Final = web.AppKey("carrier", object)


def make_app(carrier: "HttpCarrier") -> web.Application:
    """Return the application; it runs in the simulator's own loop."""
    app = web.Application(client_max_size=1 << 20)
    app[_CARRIER] = carrier
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/stats", _stats),
            web.get("/messages", _messages),
            web.get("/repeats", _repeats),
            web.get("/order", _order),
            web.get("/requests", _requests),
            web.get("/rate", _rate),
            web.get("/faults", _faults),
            web.post("/faults", _set_faults),
            web.get("/timeline", _timeline),
            web.post("/timeline", _set_timeline),
            web.post("/mo", _tell),
            web.post("/callback", _tell_raw),
            web.post("/verify", _verify),
            web.post("/reset", _reset),
        ]
    )
    return app


def _carrier(request: web.Request) -> "HttpCarrier":
    return cast("HttpCarrier", request.app[_CARRIER])


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _stats(request: web.Request) -> web.Response:
    return web.json_response(_carrier(request).stats())


async def _reset(request: web.Request) -> web.Response:
    _carrier(request).reset()
    return web.json_response({"status": "ok"})


async def _messages(request: web.Request) -> web.Response:
    """Answer a page, made in slices of some milliseconds: reading the ledger must not disturb what it records."""
    carrier = _carrier(request)
    record = carrier.record
    after = _integer(request, "after", -1, low=-1, high=1 << 62)
    limit = _integer(request, "limit", 1_000, low=1, high=MAX_PAGE)
    last = max(after, record.first_number - 1)
    encoded: list[bytes] = []
    while limit > len(encoded):
        rows = record.rows(after=last, limit=min(limit - len(encoded), _SLICE))
        if not rows:
            break
        last = rows[-1]["number"]
        encoded += [msgspec.json.encode(_shown(carrier, row)) for row in rows]
        await asyncio.sleep(0)
    if request.query.get("format") == "jsonl":
        return web.Response(
            body=b"".join(row + b"\n" for row in encoded), content_type="application/x-ndjson"
        )
    page = {
        "messages": [msgspec.Raw(row) for row in encoded],
        "next_after": last,
        "has_more": last + 1 < record.next_number,
        "forgotten": record.forgotten_count,
    }
    return web.Response(body=msgspec.json.encode(page), content_type="application/json")


def _shown(carrier: "HttpCarrier", row: dict[str, Any]) -> dict[str, Any]:
    row["message_id"] = carrier.message_id(row["number"]) if row["is_taken"] else None
    row["arrival_unix_ns"] = row["arrival_ns"] + carrier.unix_offset_ns
    return row


async def _repeats(request: web.Request) -> web.Response:
    limit = _integer(request, "limit", 100, low=1, high=MAX_EXAMPLES)
    try:
        repeats = Repeats(request.query.get("by", "ref"))
    except ValueError as error:
        raise _bad(str(error)) from None
    async for row in _rows(_carrier(request)):
        repeats.feed(row)
    examples = [{"key": key, "numbers": numbers} for key, numbers in islice(repeats.numbers.items(), limit)]
    return web.json_response(
        {"groups": len(repeats.numbers), "surplus": repeats.surplus_count, "examples": examples}
    )


async def _order(request: web.Request) -> web.Response:
    carrier = _carrier(request)
    destination = request.query.get("destination", "")
    if not destination:
        raise _bad("destination is missing")
    return web.json_response(
        [_shown(carrier, row) async for row in _rows(carrier) if row["destination"] == destination]
    )


async def _rows(carrier: "HttpCarrier") -> AsyncIterator[dict[str, Any]]:
    """Yield the whole record, giving way to the traffic after each slice."""
    for index, row in enumerate(carrier.record.held_rows()):
        yield row
        if index % _SLICE == 0:
            await asyncio.sleep(0)


async def _requests(request: web.Request) -> web.Response:
    kind = _carrier(request).kind
    return web.json_response(list(kind.requests) if isinstance(kind, Generic) else [])


async def _rate(request: web.Request) -> web.Response:
    """Scan the whole record, giving way to the traffic after each block (about 3 ms)."""
    carrier = _carrier(request)
    window_ms = _integer(request, "window_ms", 1_000, low=1, high=MAX_WINDOW_MS)
    scan = WindowScan(window_ms * 1_000_000)
    for arrivals in carrier.record.arrivals():
        scan.feed(arrivals)
        await asyncio.sleep(0)
    report = scan.report()
    if request.query.get("series") == "1":
        report["per_second"] = carrier.watch.series()
    return web.json_response(report)


async def _faults(request: web.Request) -> web.Response:
    return web.json_response(_carrier(request).orders.standing())


async def _set_faults(request: web.Request) -> web.Response:
    """Apply all keys or none; `disconnect` and `half_open` act once."""
    carrier = _carrier(request)
    try:
        apply(carrier.orders, json.loads(await request.text()))
    except (ValueError, TypeError) as error:
        raise _bad(str(error)) from None
    return web.json_response(carrier.orders.standing())


async def _timeline(request: web.Request) -> web.Response:
    return web.json_response(_carrier(request).faults.timeline.report())


async def _set_timeline(request: web.Request) -> web.Response:
    """Begin these steps now; those that run end."""
    carrier = _carrier(request)
    try:
        steps = parse_timeline(json.loads(await request.text()), knobs=carrier.orders)
    except (ValueError, TypeError) as error:
        raise _bad(str(error)) from None
    carrier.faults.timeline.start(steps)
    return web.json_response(carrier.faults.timeline.report())


async def _tell(request: web.Request) -> web.Response:
    try:
        wish = json.loads(await request.text())
        if not isinstance(wish, dict):
            raise TypeError("the body is not an object")
        _carrier(request).tell(wish)
    except (ValueError, TypeError) as error:
        raise _bad(str(error)) from None
    return web.json_response({"queued": 1})


async def _tell_raw(request: web.Request) -> web.Response:
    try:
        _carrier(request).tell_raw(await request.read())
    except ValueError as error:
        raise _bad(str(error)) from None
    return web.json_response({"queued": 1})


async def _verify(request: web.Request) -> web.Response:
    try:
        is_verified = await _carrier(request).verify()
    except (OSError, TimeoutError) as error:
        return web.json_response({"verified": False, "error": str(error) or type(error).__name__}, status=502)
    except ValueError as error:
        raise _bad(str(error)) from None
    return web.json_response({"verified": is_verified})


def _integer(request: web.Request, name: str, default: int, *, low: int, high: int) -> int:
    text = request.query.get(name, str(default))
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise _bad(f"{name}={text!r} is not an integer within {low}..{high}")
    return value


def _bad(detail: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": detail}), content_type="application/json")
