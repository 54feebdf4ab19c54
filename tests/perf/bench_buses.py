"""`python -m tests.perf.bench --bus both`: what the life of a message costs on the Postgres bus and on Kafka, side by side.

Each bus has a gateway of its own, one at a time, in turns, so that what else the machine does falls on both. The
broker (one node on loopback) is a row of its own: on several hosts it is somebody else's machine.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from typing import Any

import psutil

from tests.perf.bench import Usage, post_batches, states, usage
from tests.perf.figures import Figures
from tests.perf.report import Report
from tests.support.kafka import kafka_server
from tests.support.ledger import Ledger, until_settled
from tests.support.stack import Stack, demo_tree
from tests.support.traffic import rows

POSTGRES, KAFKA = "postgres", "kafka"
_JAVA_HINT = "Debian: apt-get install default-jdk-headless maven"


async def side_by_side(bus: str, report: Report, *, count: int, single_count: int, turns: int = 3) -> None:
    """Measure one bus or both and print a column for each; says so when there can be no Kafka."""
    wanted = [POSTGRES, KAFKA] if bus == "both" else [bus]
    with _broker(KAFKA in wanted) as (kafka, broker):
        if kafka is None and KAFKA in wanted:
            wanted.remove(KAFKA)
        ways = {"batches of 100": (count, 100, 4), "single POSTs, 64 at once": (single_count, 1, 64)}
        found = {way: {one: Figures() for one in wanted} for way in ways}
        for turn in range(turns):
            for one in wanted if turn % 2 == 0 else wanted[::-1]:
                tree = demo_tree(rate="50000/s", window=500)
                if one == KAFKA:
                    tree["kafka"] = {**(kafka or {}), "prefix": f"b{secrets.token_hex(4)}."}
                async with Stack(tree) as stack:
                    await post_batches(stack, _messages(1_000), size=100, at_once=2)
                    await _until_final(stack)
                    for way, (messages, size, at_once) in ways.items():
                        await _measure(
                            stack,
                            found[way][one],
                            messages,
                            size=size,
                            at_once=at_once,
                            broker=broker if one == KAFKA else None,
                        )
    for way, (messages, _, _) in ways.items():
        report.beside(
            f"{way}: {messages} messages, median of {turns} turns, CPU in s per 1,000",
            {one: figures.rows() for one, figures in found[way].items()},
        )
    if bus == "both" and KAFKA not in wanted:
        report.note("Kafka was left out: there is no Java and Maven on the machine.")


def _messages(count: int) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key != "client_ref"}
        for row in rows(count, single_segment=True)
    ]


async def _measure(
    stack: Stack, figures: Figures, count: int, *, size: int, at_once: int, broker: psutil.Process | None
) -> None:
    before, broker_before, started = await usage(stack), _cpu_s(broker), time.perf_counter()
    latencies = await post_batches(stack, _messages(count), size=size, at_once=at_once)
    await _until_final(stack, more=count)
    seconds = time.perf_counter() - started
    after: dict[str, Usage] = await usage(stack)
    spent_s = {name: one.cpu_s - before[name].cpu_s for name, one in after.items()}
    if broker is not None:
        spent_s["broker"] = _cpu_s(broker) - broker_before
    figures.add(count, seconds, latencies, spent_s)


_expected: dict[int, int] = {}


async def _until_final(stack: Stack, *, more: int = 1_000) -> None:
    """Wait until this many messages more than before have their final state."""
    total = _expected[id(stack)] = _expected.get(id(stack), 0) + more
    ledger = Ledger(accepted={str(n): ("", "") for n in range(total)})
    await until_settled(stack, ledger, limit_s=300)
    assert sum((await states(stack)).values()) == total


def _cpu_s(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def _broker(is_wanted: bool) -> Iterator[tuple[dict[str, Any] | None, psutil.Process | None]]:
    """Give the settings of a cluster and its process: the one of CAUDAL_KAFKA_BOOTSTRAP, or one started for this."""
    given = os.environ.get("CAUDAL_KAFKA_BOOTSTRAP")
    missing = [one for one in ("java", "mvn") if shutil.which(one) is None]
    if not is_wanted:
        yield None, None
    elif given:
        yield {"bootstrap": given}, None
    elif missing:
        print(f"\n*** LEFT OUT: Kafka: {' and '.join(missing)} not installed ({_JAVA_HINT}) ***\n")
        yield None, None
    else:
        with kafka_server() as server:
            yield {"bootstrap": server.bootstrap}, _listener(server.port)


def _listener(port: int) -> psutil.Process | None:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "java" and any(
                one.laddr.port == port and one.status == psutil.CONN_LISTEN
                for one in process.net_connections(kind="tcp")
            ):
                return process
    return None
