"""The simulator's HTTP API: its ledger, its counts, its rates, and live faults.

GET  /healthz
GET  /stats
GET  /messages?after=N&limit=M&format=json|jsonl     after -1 starts at the oldest
GET  /rate?window_ms=1000&system_id=NAME&series=1
GET  /faults          POST /faults {"latency": "20ms", "mps": 50, "disconnect": true, ...}
POST /reset
POST /mo    {"source": NUMBER, "destination": NUMBER, "text": TEXT, "split": "udh8", "order": [3, 1, 2], ...}
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from adapters.smpp.wire import constants as c
from loadtest.smsc.behaviour import HiddenLimit, parse_errors, status_code
from loadtest.smsc.centre import MessageCentre
from loadtest.smsc.delays import Delay
from loadtest.smsc.originated import messages_of, read_wish
from loadtest.smsc.rates import WindowScan

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
    return web.json_response(_standing_orders(request.app[_CENTRE]))


async def _set_faults(request: web.Request) -> web.Response:
    """Apply all keys or none; `disconnect` and `unbind` act once."""
    centre = request.app[_CENTRE]
    try:
        wanted = json.loads(await request.text())
        if not isinstance(wanted, dict):
            raise TypeError("the body is not an object")
        changes = [_change(centre, name, value) for name, value in wanted.items()]
    except (ValueError, TypeError) as error:
        raise _bad(str(error)) from None
    for change in changes:
        change()
    return web.json_response(_standing_orders(centre))


def _standing_orders(centre: MessageCentre) -> dict[str, Any]:
    silence = "all" if centre.is_silent else "none" if centre.answers_submits else "submits"
    refusal = centre.refuses_binds_with
    return {
        "latency": centre.latency.text,
        "receipt_delay": centre.receipt_delay.text,
        "errors": {c.status_name(status): share for status, share in centre.behaviour.errors.items()},
        "mps": centre.mps,
        "magic": centre.behaviour.is_magic,
        "receipts": centre.sends_receipts,
        "hold_receipts": centre.holds_receipts,
        "refuse_binds": c.status_name(refusal) if refusal else False,
        "silence": silence,
    }


def _change(centre: MessageCentre, name: str, value: Any) -> Callable[[], None]:
    """Return the change that `name: value` asks for, fully checked. Raises ValueError or TypeError."""
    make = _CHANGES.get(name)
    if make is None:
        raise ValueError(f"fault {name!r} is not one of {', '.join(_CHANGES)}")
    return make(centre, value)


def _set_delay(attribute: str) -> Callable[[MessageCentre, Any], Callable[[], None]]:
    def make(centre: MessageCentre, value: Any) -> Callable[[], None]:
        delay = Delay(str(value), seed=f"{attribute}:{centre.settings.seed}")
        return lambda: setattr(centre, attribute, delay)

    return make


def _set_errors(centre: MessageCentre, value: Any) -> Callable[[], None]:
    text = (
        ",".join(f"{name}={share}" for name, share in value.items())
        if isinstance(value, dict)
        else str(value)
    )
    errors = parse_errors(text)
    return lambda: centre.behaviour.set_errors(errors)


def _set_mps(centre: MessageCentre, value: Any) -> Callable[[], None]:
    mps = None if value is None else float(value)
    if mps is not None:
        HiddenLimit(mps)

    def change() -> None:
        centre.mps = mps
        for account in centre.accounts.values():
            account.limit = None if mps is None else HiddenLimit(mps)

    return change


def _set_receipts(centre: MessageCentre, value: Any) -> Callable[[], None]:
    wanted = _boolean("receipts", value)
    return lambda: setattr(centre, "sends_receipts", wanted)


def _set_hold(centre: MessageCentre, value: Any) -> Callable[[], None]:
    wanted = _boolean("hold_receipts", value)
    return lambda: centre.hold_receipts(wanted)


def _set_magic(centre: MessageCentre, value: Any) -> Callable[[], None]:
    wanted = _boolean("magic", value)
    return lambda: setattr(centre.behaviour, "is_magic", wanted)


def _set_refusal(centre: MessageCentre, value: Any) -> Callable[[], None]:
    status = c.ESME_RBINDFAIL if value is True else 0 if not value else status_code(str(value))
    return lambda: setattr(centre, "refuses_binds_with", status)


def _set_silence(centre: MessageCentre, value: Any) -> Callable[[], None]:
    """`true` or "submits": submits get no answer; "all": connections hang, enquire_link included."""
    silence = {True: "submits", False: "none"}.get(value, value) if isinstance(value, bool) else value
    if silence not in {"none", "submits", "all"}:
        raise ValueError(f"silence {value!r} is not none, submits or all")

    def change() -> None:
        centre.answers_submits = silence != "submits"
        centre.fall_silent(silence == "all")

    return change


def _disconnect(centre: MessageCentre, value: Any) -> Callable[[], None]:
    def change() -> None:
        if wanted:
            for session in tuple(centre.sessions.values()):
                session.drop()

    wanted = _boolean("disconnect", value)
    return change


def _unbind(centre: MessageCentre, value: Any) -> Callable[[], None]:
    def change() -> None:
        if wanted:
            for session in tuple(centre.sessions.values()):
                session.unbind()

    wanted = _boolean("unbind", value)
    return change


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} {value!r} is not true or false")
    return value


_CHANGES: Final[dict[str, Callable[[MessageCentre, Any], Callable[[], None]]]] = {
    "latency": _set_delay("latency"),
    "receipt_delay": _set_delay("receipt_delay"),
    "errors": _set_errors,
    "mps": _set_mps,
    "magic": _set_magic,
    "receipts": _set_receipts,
    "hold_receipts": _set_hold,
    "refuse_binds": _set_refusal,
    "silence": _set_silence,
    "disconnect": _disconnect,
    "unbind": _unbind,
}


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
