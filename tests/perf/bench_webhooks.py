"""What webhooks cost: events per second to a quick endpoint, and what the recorder pays for telling.

A PostgreSQL of its own and an endpoint in a process of its own; CPU seconds per 1,000 are of this process and of the
database. Figures depend on the machine: compare only what one run printed.
`python -m tests.perf.bench_webhooks [--events N] [--messages N]`.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from dlr.aggregate import weigh
from dlr.webhooks.directory import Directory
from dlr.webhooks.schedule import Schedule
from gateway.bus.codec import encode
from gateway.bus.postgres import PostgresBus
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import ESME, EVENTS, RECEIPTS, WEBHOOK_GROUP, WEBHOOKS
from gateway.domain.events import Accepted, Receipted
from gateway.domain.ids import derived_uuid
from gateway.domain.lifecycle import State
from gateway.domain.notices import MessageFacts, message_notice
from gateway.ports.bus import Record
from gateway.ports.clock import SystemClock
from gateway.ports.webhook_store import Health
from gateway.recorder.consumer import Recorder, RecorderMetrics
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.messages import PostgresMessages
from gateway.store.migrate import migrate
from gateway.store.parked import PostgresParked
from gateway.store.partitions import Partitions
from gateway.store.pool import Database
from gateway.store.receipts import PostgresSubmissions
from gateway.store.webhook_delivery import PostgresDelivery
from tests.perf.report import Cell, Report, json_option
from tests.support.postgres import short_directory
from tests.support.records import a_message, attempted
from tests.support.webhooks import Rig

APPEND = 500
DEADLINE_S = 120.0


@dataclass
class Figures:
    seconds: float
    cpu_s: float
    database_cpu_s: float
    count: int

    def row(self, name: str) -> list[Cell]:
        per_1000 = 1000 / self.count
        return [name, self.count / self.seconds, self.cpu_s * per_1000, self.database_cpu_s * per_1000]


def _endpoint(pipe: Connection) -> None:
    """Answer 200 to everything, in a process of its own."""

    async def main() -> None:
        async def handle(request: web.Request) -> web.Response:
            await request.read()
            return web.Response()

        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    uvloop.run(main())


@contextmanager
def endpoint() -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_endpoint, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/"
    finally:
        process.kill()
        process.join()


@contextmanager
def postgres() -> Iterator[tuple[str, Any]]:
    folder: Path = short_directory()
    embedded = EmbeddedPostgres(folder / "var")
    try:
        yield embedded.start(), folder
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _database_cpu_s() -> float:
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # its parent counts what it used
            if child.name() == "postgres":
                times = child.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


class Meter:
    """CPU and wall time from here to `read`."""

    def __init__(self) -> None:
        self._at, self._cpu, self._database = time.perf_counter(), time.process_time(), _database_cpu_s()

    def read(self, count: int) -> Figures:
        return Figures(
            time.perf_counter() - self._at,
            time.process_time() - self._cpu,
            _database_cpu_s() - self._database,
            count,
        )


async def deliver(dsn: str, url: str, *, events: int, batch_max: int, max_in_flight: int) -> Figures:
    """Deliver events that are on the bus already."""
    db = await Database.connect(dsn, max_size=8, name="bench")
    rig = Rig(db, tick_s=0.5, linger_s=0.05, direct_wait_s=60.0, max_queue=10_000)
    clock = SystemClock()
    try:
        await rig.bus.start()
        await rig.bus.ensure_topics({WEBHOOKS: 1, ESME: 1})
        await rig.bus.register_group(WEBHOOK_GROUP, [WEBHOOKS])
        await Partitions(db).keep(now_ms=clock.now_ms())
        async with db.acquire() as connection:
            await connection.execute("DELETE FROM webhook_endpoints")
        await rig.endpoint(url, batch_max=batch_max, max_in_flight=max_in_flight)
        records = [_record(clock.now_ms()) for _ in range(events)]
        for start in range(0, events, APPEND):
            await rig.bus.append(records[start : start + APPEND])
        done = (await rig.bus.lag(WEBHOOK_GROUP))[0].records
        assert done == events
        meter = Meter()
        rig.run("bench", timeout_s=15.0)
        async with asyncio.timeout(DEADLINE_S):
            while (await rig.bus.lag(WEBHOOK_GROUP))[0].records:  # noqa: ASYNC110 - the database sets no event
                await asyncio.sleep(0.05)
        figures = meter.read(events)
        assert rig.metric("webhook_attempts_total", outcome="ok") == events
        await rig.stop()
        return figures
    finally:
        await rig.kill()
        await db.close()


def _record(now_ms: int) -> Record:
    message = a_message(accepted_at=now_ms, metadata={"team": "collections"}, client_ref="invoice-4711")
    values = {name: getattr(message, name) for name in MessageFacts._fields if hasattr(message, name)}
    facts = MessageFacts(
        **values, state="delivered", partial=False, submitted_at=now_ms, final_at=now_ms, error=""
    )
    return Record(WEBHOOKS, message.id.bytes, encode(message_notice(facts, "delivered")))


async def record(dsn: str, *, messages: int, is_told: bool, turns: int = 3) -> Figures:
    """Record the lives of messages: accepted in one batch, submitted in the next, delivered in a third."""
    db = await Database.connect(dsn, max_size=8, name="bench")
    clock = SystemClock()
    try:
        bus = PostgresBus(db)
        await bus.start()
        await bus.ensure_topics({EVENTS: 1, RECEIPTS: 1, WEBHOOKS: 1, ESME: 1})
        await Partitions(db).keep(now_ms=clock.now_ms())
        async with db.acquire() as connection:
            await connection.execute("DELETE FROM webhook_endpoints")
        if is_told:
            await Rig(db).endpoint("https://example.com/")
        best: Figures | None = None
        for _ in range(turns):
            registry = CollectorRegistry()
            recorder = Recorder(
                bus,
                db=db,
                messages=PostgresMessages(),
                submissions=PostgresSubmissions(),
                parked=PostgresParked(db),
                weigh=weigh,
                clock=clock,
                metrics=RecorderMetrics(registry),
                reader_metrics=ReaderMetrics(registry),
                audience=Directory(PostgresDelivery(db), clock=clock),
            )
            now_ms = clock.now_ms()
            those = [a_message(accepted_at=now_ms) for _ in range(messages)]
            total = Figures(0.0, 0.0, 0.0, messages)
            for step in (
                [Accepted(one) for one in those],
                [attempted(one, derived_uuid(one.id, "c").hex, at=now_ms) for one in those],
                [
                    Receipted(one.id, now_ms + 9, 1, 1, State.DELIVERED, State.DELIVERED, "applied")
                    for one in those
                ],
            ):
                records = [
                    Record(EVENTS, one.id.bytes, encode(event))
                    for one, event in zip(those, step, strict=True)
                ]
                for start in range(0, messages, APPEND):
                    await bus.append(records[start : start + APPEND])
                meter = Meter()
                await recorder.reader.drain()
                part = meter.read(messages)
                total.seconds += part.seconds
                total.cpu_s += part.cpu_s
                total.database_cpu_s += part.database_cpu_s
            if best is None or total.cpu_s + total.database_cpu_s < best.cpu_s + best.database_cpu_s:
                best = total
        assert best is not None
        return best
    finally:
        await db.close()


async def outage(dsn: str, url: str, *, events: int) -> tuple[Figures, Figures]:
    """Let events wait for an endpoint that is known to be dead, then drain them as fast as it takes them."""
    db = await Database.connect(dsn, max_size=8, name="bench")
    rig = Rig(db, tick_s=0.1, linger_s=0.05, drain_per_s=1e6, schedule=Schedule(probes_s=(0.2,)))
    clock = SystemClock()
    try:
        await rig.bus.start()
        await Partitions(db).keep(now_ms=clock.now_ms())
        async with db.acquire() as connection:
            await connection.execute("DELETE FROM webhook_endpoints")
        dead = await rig.endpoint("http://127.0.0.1:1/", batch_max=100, max_in_flight=4)
        async with db.transaction() as tx:
            await rig.delivery.note_health(tx, [Health(dead.id, clock.now_ms(), 9, 0, None, "connect")])
        records = [_record(clock.now_ms()) for _ in range(events)]
        for start in range(0, events, APPEND):
            await rig.bus.append(records[start : start + APPEND])
        meter = Meter()
        rig.run("bench", timeout_s=15.0)
        async with asyncio.timeout(DEADLINE_S):
            while (await rig.bus.lag(WEBHOOK_GROUP))[0].records:  # noqa: ASYNC110 - the database sets no event
                await asyncio.sleep(0.05)
        spilled = meter.read(events)
        await rig.store.update("acme", dead.id, replace(dead.settings, url=url), now_ms=clock.now_ms())
        meter = Meter()
        await rig.until_value(0, "SELECT count(*) FROM webhook_backlog", deadline_s=DEADLINE_S)
        drained = meter.read(events)
        await rig.stop()
        return spilled, drained
    finally:
        await rig.kill()
        await db.close()


async def main(events: int, messages: int, report: Report) -> None:
    head = ["", "per s", "CPU s per 1,000", "PostgreSQL, CPU s per 1,000"]
    found: list[list[Cell]] = []
    with postgres() as (dsn, _), endpoint() as url:
        await migrate(dsn)
        for name, count, batch_max, in_flight in (
            ("100 events a POST", events, 100, 4),
            ("1 event a POST", events // 4, 1, 32),
        ):
            figures = await deliver(dsn, url, events=count, batch_max=batch_max, max_in_flight=in_flight)
            found.append(figures.row(name))
        spilled, drained = await outage(dsn, url, events=events)
        found += [spilled.row("dead endpoint: to the backlog"), drained.row("back again: drained")]
        report.table("Events to an endpoint, from the bus on", head, found)
        turns = [
            (is_told, await record(dsn, messages=messages, is_told=is_told)) for is_told in (False, True) * 2
        ]
        cheapest = {
            told: min(
                (one for was, one in turns if was is told), key=lambda one: one.cpu_s + one.database_cpu_s
            )
            for told in (False, True)
        }
        report.table(
            "The recorder: messages accepted, submitted and delivered",
            head,
            [cheapest[False].row("nobody is told"), cheapest[True].row("the account is told")],
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--messages", type=int, default=5_000)
    json_option(parser)
    options = parser.parse_args()
    the_report = Report("webhooks")
    uvloop.run(main(options.events, options.messages, the_report))
    the_report.write(options.json)
