"""`python -m tests.perf.bench_kannel`: the whole life of messages through Caudal and through Kannel, in turns.

Both get the same texts to the same numbers, one segment each, over 64 kept-alive connections; both hold two transceiver
binds of window 100 to a simulator of their own (`loadtest smsc`, same delays, a receipt for each); both tell the
customer of each delivery: Kannel by its dlr-url (one GET each), Caudal by webhooks (up to 100 events a POST). Kannel
takes one message a request; Caudal is measured so too, and in batches of 100. Time runs until the last callback has come
and CPU until a second after it. A run counts only when every message came to the simulator once, with its text, and
every one was called back.
"""

import argparse
import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvloop

from tests.perf.bench import usage
from tests.perf.figures import Figures
from tests.perf.kannel import Kannel, a_kannel, cpu_s, programs
from tests.perf.raw_load import Request, in_parallel
from tests.perf.raw_sink import RawSink
from tests.perf.report import Report, json_option
from tests.support.smsc import Smsc
from tests.support.stack import Stack
from tests.support.traffic import batches, rows

KANNEL, BATCH, SINGLE = "Kannel, single", "Caudal, batches of 100", "Caudal, single"
AT_ONCE = 64
BATCHES_AT_ONCE = 4
BINDS, WINDOW = 2, 100
WARM_UP = 500
LATENCY, RECEIPT_DELAY = "2ms", "300ms"
SENDER = "12345"
SETTLE_S = 1.0
QUIET_S = 30.0

Sender = Callable[[list[dict[str, str]]], Any]
Spent = Callable[[], Any]


@dataclass
class Told:
    """What the sink heard: the name of each message that was called back, with how often."""

    names: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def hear(self, path: str, body: bytes) -> None:
        """Take a callback of either gateway."""
        self.requests += 1
        if body:
            tree = msgspec.json.decode(body)
            for event in tree["data"] if tree["type"] == "batch" else [tree]:
                self.names[event["data"]["id"]] += 1
        else:
            query = parse_qs(urlsplit(path).query)
            assert query["type"] == ["1"], f"Kannel says that a message was not delivered: {path}"
            self.names[query["id"][0]] += 1


async def one_turn(
    figures: Figures,
    messages: list[dict[str, str]],
    *,
    port: int,
    requests: list[Request],
    at_once: int,
    smsc: Smsc,
    told: Told,
    spent: Spent,
) -> None:
    """Send, wait for the last callback, add the figures; AssertionError where anything is missing or too much."""
    await smsc.reset()
    told.names.clear()
    before, before_smsc, began = await spent(), cpu_s(smsc.pid), time.perf_counter()
    latencies, _ = await in_parallel(port, requests, at_once=at_once)
    await until_told(told, len(messages), smsc)
    seconds = time.perf_counter() - began
    await asyncio.sleep(SETTLE_S)
    after = await spent()
    used = {name: after[name] - before[name] for name in after}
    figures.add(len(messages), seconds, latencies, used | {"simulator": cpu_s(smsc.pid) - before_smsc})
    assert len(told.names) == len(messages), f"{len(told.names)} of {len(messages)} were called back"
    await check_taken(smsc, messages)


async def until_told(told: Told, count: int, smsc: Smsc) -> None:
    """Wait until every message has been called back; AssertionError once nothing has come for long."""
    heard, quiet_since = -1, time.monotonic()
    while len(told.names) < count:
        await asyncio.sleep(0.02)
        if len(told.names) != heard:
            heard, quiet_since = len(told.names), time.monotonic()
        if time.monotonic() - quiet_since > QUIET_S:
            stats = await smsc.get("/stats")
            raise AssertionError(
                f"{heard} of {count} were called back, then nothing for {QUIET_S:.0f} s; simulator: "
                f"{stats['statuses']}, receipts {stats['receipts']}, waiting {stats['waiting']}"
            )


async def check_taken(smsc: Smsc, messages: list[dict[str, str]]) -> None:
    """Compare what the simulator took with what was sent, by number and text."""
    sent = Counter((one["to"].lstrip("+"), one["text"]) for one in messages)
    taken = Counter(
        (one["destination"], one["text"]) for one in await smsc.messages() if one["status"] == "ESME_ROK"
    )
    assert taken == sent, (
        f"the simulator lacks {(sent - taken).total()} and has {(taken - sent).total()} too many"
    )


async def kannel_turn(figures: dict[str, Figures], messages: list[dict[str, str]]) -> None:
    """Measure Kannel once."""
    told = Told()
    async with (
        a_smsc() as smsc,
        RawSink(told.hear) as sink,
        a_kannel(smsc.port, binds=BINDS, window=WINDOW) as kannel,
    ):

        async def spent() -> dict[str, float]:
            return {name: cpu_s(pid) for name, pid in kannel.pids.items()}

        for part, into in ((messages[:WARM_UP], Figures()), (messages, figures[KANNEL])):
            await one_turn(
                into,
                part,
                port=kannel.sendsms_port,
                requests=[Request("GET", path) for path in _kannel_paths(part, sink.port)],
                at_once=AT_ONCE,
                smsc=smsc,
                told=told,
                spent=spent,
            )
        assert kannel.stored() == 0, f"{kannel.stored()} messages are left in Kannel's spool"


def _kannel_paths(messages: list[dict[str, str]], sink_port: int) -> list[str]:
    return [
        Kannel.path(one, report_url=f"http://127.0.0.1:{sink_port}/dlr?id={number}&type=%d")
        for number, one in enumerate(messages)
    ]


async def caudal_turn(figures: dict[str, Figures], messages: list[dict[str, str]]) -> None:
    """Measure Caudal once both ways."""
    told = Told()
    async with a_smsc() as smsc, RawSink(told.hear) as sink:
        tree = {
            "api": {"port": 0},
            "admin": {"port": 0},
            "webhooks": {"allow_loopback": True},
            "carriers": {"bench": smsc.carrier(rate="50000/s", binds=BINDS, window=WINDOW)},
            "routes": [{"carriers": ["bench"]}],
        }
        async with Stack(tree) as stack:
            await stack.caudal(
                *("webhooks", "create", "--account", "demo", "--url", f"http://127.0.0.1:{sink.port}/"),
                *("--batch-max", "100", "--type", "message.delivered"),
            )

            async def spent() -> dict[str, float]:
                return {name: one.cpu_s for name, one in (await usage(stack)).items() if name != "generator"}

            port = urlsplit(stack.api).port
            assert port is not None
            for part, into in ((messages[:WARM_UP], Figures()), (messages, figures[BATCH])):
                posts = [
                    _post(stack, "/v1/messages:batch", {"messages": [_body(one) for one in some]})
                    for some in batches(part, 100)
                ]
                await one_turn(
                    into,
                    part,
                    port=port,
                    requests=posts,
                    at_once=BATCHES_AT_ONCE,
                    smsc=smsc,
                    told=told,
                    spent=spent,
                )
            posts = [_post(stack, "/v1/messages", _body(one)) for one in messages]
            await one_turn(
                figures[SINGLE],
                messages,
                port=port,
                requests=posts,
                at_once=AT_ONCE,
                smsc=smsc,
                told=told,
                spent=spent,
            )


def _body(message: dict[str, str]) -> dict[str, Any]:
    return {
        "to": message["to"],
        "from": message["from"],
        "class": "transactional",
        "content": {"text": message["text"]},
    }


def _post(stack: Stack, path: str, tree: Any) -> Request:
    headers = f"Authorization: Bearer {stack.key}\r\nContent-Type: application/json\r\n".encode()
    return Request("POST", path, headers, msgspec.json.encode(tree))


@asynccontextmanager
async def a_smsc() -> AsyncIterator[Smsc]:
    """Give a simulator as each gateway gets it."""
    async with Smsc("--latency", LATENCY, "--receipt-delay", RECEIPT_DELAY, "--no-magic") as smsc:
        yield smsc


async def side_by_side(count: int, turns: int, report: Report) -> None:
    """Measure in turns and print the medians and their ratios."""
    messages = [
        {"to": one["to"], "from": SENDER, "text": one["content"]["text"]}
        for one in rows(count, single_segment=True)
    ]
    figures = {KANNEL: Figures(), BATCH: Figures(), SINGLE: Figures()}
    for turn in range(turns):
        for one in (kannel_turn, caudal_turn) if turn % 2 == 0 else (caudal_turn, kannel_turn):
            await one(figures, messages)
    report.beside(
        f"{count} messages, receipts, a callback for each delivery: median of {turns} turns, CPU in s per 1,000",
        {name: one.rows() for name, one in figures.items()},
        note="Every message came to the simulator once with its text, and every delivery to the sink.",
    )
    ratios = {name: _ratio(figures[name], figures[KANNEL]) for name in (BATCH, SINGLE)}
    report.table(
        "Times as good as Kannel",
        ["", "messages/s", "CPU per message"],
        [[name, *(f"{one:.2f}" for one in pair)] for name, pair in ratios.items()],
    )
    report.headline(
        f"Beside Kannel, with receipts and callbacks: in batches of 100 {ratios[BATCH][0]:.1f} times the rate at 1/{ratios[BATCH][1]:.1f}"
        f" of the CPU per message; one message a request, as Kannel takes them, {ratios[SINGLE][0]:.1f} times the rate at"
        f" 1/{ratios[SINGLE][1]:.1f} of the CPU."
    )
    report.note(
        "Not the same guarantee: Caudal commits every message, receipt and callback to PostgreSQL with fsync; Kannel writes"
        " a file per message without fsync and keeps its receipt map in memory."
    )


def _ratio(ours: Figures, theirs: Figures) -> tuple[float, float]:
    """Return how many times the rate, and how many times less CPU per message."""
    rate = statistics.median(ours.per_s) / statistics.median(theirs.per_s)
    return rate, theirs.gateway() / ours.gateway()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=8_000, help="messages of each turn and way")
    parser.add_argument("--turns", type=int, default=3)
    json_option(parser)
    chosen = parser.parse_args()
    if programs() is None:
        print(
            "\n*** LEFT OUT: Kannel: bearerbox and smsbox are not installed (Debian: apt-get install kannel) ***\n"
        )
        return
    report = Report("kannel")
    uvloop.run(side_by_side(chosen.count, chosen.turns, report))
    report.write(chosen.json)


if __name__ == "__main__":
    main()
