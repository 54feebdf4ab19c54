"""The simulator's HTTP API: its ledger, its counts, its rates, and live faults.

GET  /healthz
GET  /stats
GET  /messages?after=N&limit=M&format=json|jsonl     after -1 starts at the oldest
GET  /rate?window_ms=1000&system_id=NAME&series=1
GET  /faults          POST /faults {"latency": "20ms", "mps": 50, "disconnect": true, ...}
GET  /timeline        POST /timeline [{"at": "1s", "for": "5s", "set": {"silence": "all"}}, ...]   [] ends it
POST /reset
POST /mo    {"source": NUMBER, "destination": NUMBER, "text": TEXT, "split": "udh8", "order": [3, 1, 2], ...}
"""

import asyncio
import json
from typing import Final

import msgspec
from aiohttp import web

from loadtest.faults import apply, parse_timeline
from loadtest.rates import WindowScan
from loadtest.smsc.centre import MessageCentre
from loadtest.smsc.originated import messages_of, read_wish

MAX_PAGE: Final = 10_000
_SLICE: Final = 250
MAX_WINDOW_MS: Final = 3_600_000
_CENTRE: Final = web.AppKey("centre", MessageCentre)


def make_app(centre: MessageCentre) -> web.Application:
    """Return the application; it runs in the simulator's own loop."""
    app = web.Application(client_max_size=65_536)
    app[_CENTRE] = centre
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/stats", _stats),
            web.get("/messages", _messages),
            web.get("/rate", _rate),
            web.get("/faults", _faults),
            web.post("/faults", _set_faults),
            web.get("/timeline", _timeline),
            web.post("/timeline", _set_timeline),
            web.post("/reset", _reset),
            web.post("/mo", _originate),
        ]
    )
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _stats(request: web.Request) -> web.Response:
    return web.json_response(request.app[_CENTRE].stats())


async def _reset(request: web.Request) -> web.Response:
    request.app[_CENTRE].reset()
    request.app[_CENTRE].originator.forget()
    return web.json_response({"status": "ok"})


async def _originate(request: web.Request) -> web.Response:
    """Send what people write, as `loadtest.smsc.originated.Wish` describes it."""
    centre = request.app[_CENTRE]
    try:
        wish = read_wish(await request.read())
        segment_count, messages = messages_of(wish)
        system_id = next(iter(centre.accounts)) if wish.system_id is None else wish.system_id
        if system_id not in centre.accounts:
            raise ValueError(f"system_id={system_id!r} is no account")
        centre.originator.put(centre.accounts[system_id], messages)
    except (ValueError, OverflowError) as error:
        raise _bad(str(error)) from None
    return web.json_response({"segments": segment_count, "queued": len(messages)})


async def _messages(request: web.Request) -> web.Response:
    """Answer a page, made in slices of some milliseconds: reading the ledger must not disturb what it records."""
    centre = request.app[_CENTRE]
    record = centre.record
    after = _integer(request, "after", -1, low=-1, high=1 << 62)
    limit = _integer(request, "limit", 1_000, low=1, high=MAX_PAGE)
    last = max(after, record.first_number - 1)
    encoded: list[bytes] = []
    while limit > len(encoded):
        rows = record.rows(after=last, limit=min(limit - len(encoded), _SLICE))
        if not rows:
            break
        last = rows[-1]["number"]
        for row in rows:
            row["message_id"] = centre.message_id(row["number"]) if row["status"] == "ESME_ROK" else None
            row["arrival_unix_ns"] = row["arrival_ns"] + centre.unix_offset_ns
            encoded.append(msgspec.json.encode(row))
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


async def _rate(request: web.Request) -> web.Response:
    """Scan the whole record, giving way to the traffic after each block (about 3 ms)."""
    centre = request.app[_CENTRE]
    window_ms = _integer(request, "window_ms", 1_000, low=1, high=MAX_WINDOW_MS)
    system_id = request.query.get("system_id")
    if system_id is not None and system_id not in centre.accounts:
        raise _bad(f"system_id={system_id!r} is no account")
    index = None if system_id is None else centre.accounts[system_id].index
    scan = WindowScan(window_ms * 1_000_000)
    for arrivals, systems in centre.record.arrivals():
        scan.feed(
            arrivals
            if index is None
            else [at for at, of in zip(arrivals, systems, strict=True) if of == index]
        )
        await asyncio.sleep(0)
    report = scan.report()
    if request.query.get("series") == "1":
        watch = centre.watch if system_id is None else centre.watches[system_id]
        report["per_second"] = watch.series()
    return web.json_response(report)


async def _faults(request: web.Request) -> web.Response:
    return web.json_response(request.app[_CENTRE].faults.knobs.standing())


async def _set_faults(request: web.Request) -> web.Response:
    """Apply all keys or none; `disconnect`, `unbind` and `half_open` act once."""
    centre = request.app[_CENTRE]
    try:
        apply(centre.faults.knobs, json.loads(await request.text()))
    except (ValueError, TypeError) as error:
        raise _bad(str(error)) from None
    return web.json_response(centre.faults.knobs.standing())


async def _timeline(request: web.Request) -> web.Response:
    return web.json_response(request.app[_CENTRE].faults.timeline.report())


async def _set_timeline(request: web.Request) -> web.Response:
    """Begin these steps now; those that run end."""
    centre = request.app[_CENTRE]
    try:
        steps = parse_timeline(json.loads(await request.text()), knobs=centre.faults.knobs)
    except (ValueError, TypeError) as error:
        raise _bad(str(error)) from None
    centre.faults.timeline.start(steps)
    return web.json_response(centre.faults.timeline.report())


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
