"""What a message costs on its way to an HTTP carrier, from the segment in hand to its outcome.

The link with a mapped dialect runs here, the carrier (`http_sink`) in a process of its own that is not counted: single
requests over kept-alive connections, and bulk requests. Figures depend on the machine and on what else runs: compare
only what one run printed. `python -m tests.perf.bench_http [--messages N] [--rounds N] [--profile]`.
"""

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import uvloop

from adapters.http.answers import AnswerMapping
from adapters.http.link import HttpLink
from adapters.http.mapping import HttpMapping, MappedDialect
from adapters.http.profile import HttpProfile
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.domain.outcomes import SubmitOutcome, Submitted
from gateway.domain.segmentation import SegmentPayload
from gateway.ports.clock import SystemClock
from tests.perf.report import Cell, Report, json_option

TARGET_SINGLE_S = 0.35
WINDOW = 20
BULK = 50
BOUND_WITHIN_S = 10.0
DEADLINE_S = 300.0
TEXT = "Su codigo es 123456. No lo comparta con nadie."
CLOCK = SystemClock()


class Pump:
    """Submits as dispatch does, whenever the link is ready; `done` is set with the last outcome."""

    def __init__(self, link: HttpLink, count: int) -> None:
        self.link = link
        self.todo = [self._segment(number) for number in range(count)]
        self.left = count
        self.failed = 0
        self.is_started = False
        self.bound = asyncio.Event()
        self.done = asyncio.Event()

    def _segment(self, number: int) -> OutboundSegment:
        now_ms = CLOCK.now_ms()
        message = Message(
            id=UUID(int=(now_ms << 80) + number),
            account_id="bench",
            message_class=MessageClass.TRANSACTIONAL,
            recipient="525512345678",
            sender="12345",
            text=TEXT,
            encoding="gsm7",
            segment_count=1,
            accepted_at=now_ms,
            valid_until=now_ms + 300_000,
            carrier="sink",
        )
        return OutboundSegment(message, 1, 0, SegmentPayload(0, b"", TEXT.encode()), self.settle)

    def submit(self) -> None:
        """Submit what the link takes."""
        link, todo = self.link, self.todo
        now_ns = CLOCK.monotonic_ns()
        while todo and link.ready(now_ns).wait_ns == 0:
            link.submit(todo.pop(), now_ns=now_ns)

    def settle(self, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        """Count an outcome."""
        del segment
        self.failed += type(outcome) is not Submitted
        self.left -= 1
        if not self.left:
            self.done.set()

    def on_ready(self) -> None:
        """Go on."""
        if self.is_started:
            self.submit()
        else:
            self.bound.set()

    def on_inbound(self, batch: Any) -> None:
        """Nothing comes this way."""

    def on_late_answer(self, segment: Any, outcome: Any) -> None:
        """Nor this way."""

    def on_bind_changed(self, event: Any) -> None:
        """Not counted."""


def a_link(port: int, *, bulk: int) -> HttpLink:
    """Return a link to the sink with a mapping as carriers have it."""
    url = f"http://127.0.0.1:{port}/v1/messages"
    item = {"to": "{to_plus}", "from": "{from}", "text": "{text}", "reference": "{message_id}"}
    mapping = HttpMapping(
        "sink",
        url,
        auth="bearer",
        secret="token",
        body={"messages": [item]} if bulk > 1 else item,
        bulk_limit=bulk,
        bulk_list="/messages",
        answer=AnswerMapping(
            list_pointer="/messages", reference_pointer="/reference", code_pointers=("/error/code",)
        ),
    )
    profile = HttpProfile("sink", url, window_slots=WINDOW * bulk, connections=WINDOW, linger_ms=1.0)
    return HttpLink(profile, MappedDialect(mapping), clock=CLOCK)


async def one_round(port: int, count: int, *, bulk: int) -> tuple[float, float]:
    """Return CPU and wall seconds from the first submit to the last outcome."""
    link = a_link(port, bulk=bulk)
    pump = Pump(link, count)
    await link.start(pump)
    await asyncio.wait_for(pump.bound.wait(), BOUND_WITHIN_S)
    began, cpu = time.perf_counter(), time.process_time()
    pump.is_started = True
    pump.submit()
    await asyncio.wait_for(pump.done.wait(), DEADLINE_S)
    spent = time.process_time() - cpu, time.perf_counter() - began
    await link.drain(deadline_s=2)
    if pump.failed:
        raise SystemExit(f"{pump.failed} of {count} messages were not taken")
    return spent


@contextmanager
def a_sink() -> Iterator[int]:
    """Give the port of a carrier in a process of its own."""
    command = [sys.executable, "-m", "tests.perf.http_sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["port"]
        finally:
            process.stdin.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the time of one round goes")
    json_option(parser)
    options = parser.parse_args()
    report = Report("http")
    found: list[list[Cell]] = []
    gc.collect()
    gc.freeze()
    gc.set_threshold(3_000, 3, 100)  # as in the dispatch role
    thousands = options.messages / 1000
    with a_sink() as port, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(one_round(port, 200, bulk=1))  # imports, first connections
        for name, bulk in (("single", 1), (f"bulk of {BULK}", BULK)):
            cpu_s, wall_s = min(
                runner.run(one_round(port, options.messages, bulk=bulk)) for _ in range(options.rounds)
            )
            found.append([name, cpu_s / thousands, options.messages / wall_s])
        report.table(
            "A message to an HTTP carrier, from the segment in hand to its outcome",
            ["", "CPU s per 1,000", "messages/s"],
            found,
            note=f"The budget of single requests is {TARGET_SINGLE_S}.",
        )
        report.write(options.json)
        if options.profile:
            profile = cProfile.Profile()
            profile.enable()
            runner.run(one_round(port, options.messages, bulk=1))
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
