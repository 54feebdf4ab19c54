"""What the dispatch loop costs without an SMPP session: a link that answers at once, a bus in memory.

`python -m tests.perf.bench_lane [--messages N] [--profile]` prints CPU seconds per 1,000 messages by class, and what
the parts cost by themselves: reading records, cutting texts, making event records. The figure of a class includes the
fake link and the bus in memory (shown as `rig`), which a real run has not.
"""

import argparse
import asyncio
import cProfile
import gc
import pstats
import time
from random import Random

import uvloop

from gateway.bus import topics
from gateway.bus.codec import decode_as, encode
from gateway.dispatch.conclude import all_submitted
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.references import References
from gateway.dispatch.work import Work
from gateway.domain.carried import replace
from gateway.domain.events import SegmentResult
from gateway.domain.lifecycle import State
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.ports.bus import Record
from tests.perf.report import Cell, Report, json_option
from tests.support.fake_link import FakeLink
from tests.support.lane_rig import LaneRig, a_message, now_ms

BUDGET_S = 0.06
RATE = "20000/s"
WINDOW = 200


def some_messages(count: int, message_class: MessageClass) -> list[Message]:
    """Messages of one segment from a few accounts to many recipients."""
    one = a_message(message_class, text="Su codigo es 123456. No lo comparta con nadie.", request_id="req_1")
    return [
        replace(
            one,
            id=a_message().id,
            account_id=f"account-{number % 5}",
            recipient=f"525512{number % 1_000_000:06}",
        )
        for number in range(count)
    ]


async def lane(messages: list[Message]) -> tuple[float, float]:
    """Return CPU and wall seconds from the first submit to the last event."""
    async with LaneRig(rate=RATE, window=WINDOW, settings=DispatchSettings()) as rig:
        rig.link.keep_written = False
        await rig.put(*messages)
        events = rig.bus.logs[topics.EVENTS][0]
        began, cpu = time.perf_counter(), time.process_time()
        await rig.start()
        while len(events) < len(messages):  # noqa: ASYNC110 - a log has no event for it
            await asyncio.sleep(0.01)
        return time.process_time() - cpu, time.perf_counter() - began


async def rig_alone(messages: list[Message]) -> float:
    """Return the CPU seconds of fake link and memory bus without any dispatch between them."""
    rig = LaneRig(rate=RATE, window=WINDOW)
    link = FakeLink(window=WINDOW)
    link.keep_written = False
    segments = [OutboundSegment(message, 1, 0, None, lambda *_: None) for message in messages]  # type: ignore[arg-type]
    values = [b"x" * 300] * 200
    cpu = time.process_time()
    await link.start(_Deaf())  # type: ignore[arg-type]
    link.go_up()
    for segment in segments:
        while link.ready(0).wait_ns:  # noqa: ASYNC110 - the answers come within one turn
            await asyncio.sleep(0)
        link.submit(segment, now_ns=0)
    for _ in range(len(messages) // len(values)):
        await rig.bus.append([Record(topics.EVENTS, b"k", value) for value in values])
    return time.process_time() - cpu


class _Deaf:
    def on_ready(self) -> None: ...

    def on_bind_changed(self, event: object) -> None: ...


def parts(messages: list[Message]) -> dict[str, float]:
    """Return the CPU seconds of single steps, each by itself."""
    found = {}
    values = [encode(message) for message in messages]
    cpu = time.process_time()
    for value in values:
        decode_as(Message, value)
    found["read records"] = time.process_time() - cpu

    cutter = Cutter(LaneRig().plan, References(Random(1)))
    works = [Work(message, lane=1, offset=number) for number, message in enumerate(messages)]
    cpu = time.process_time()
    for work in works:
        cutter.cut(work)
    found["cut texts"] = time.process_time() - cpu

    at = now_ms()
    cpu = time.process_time()
    for number, work in enumerate(works):
        work.submitted.append(
            SegmentResult(1, State.SUBMITTED, at, "submitted", "", "trx1", number, 5, f"{number:x}")
        )
        event = all_submitted(work, now_ms=at)
        Record(topics.EVENTS, event.message_id.bytes, encode(event))
    found["make events"] = time.process_time() - cpu
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the time of one round goes")
    json_option(parser)
    options = parser.parse_args()
    report = Report("lane")
    found: list[list[Cell]] = []
    gc.collect()
    gc.freeze()
    gc.set_threshold(3_000, 3, 100)  # as in the dispatch role
    thousands = options.messages / 1000
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        own = min(
            runner.run(rig_alone(some_messages(options.messages, MessageClass.TRANSACTIONAL)))
            for _ in range(2)
        )
        found.append(["rig alone", own / thousands, None, None])
        for message_class in (MessageClass.TRANSACTIONAL, MessageClass.MARKETING):
            messages = some_messages(options.messages, message_class)
            rounds = [runner.run(lane(messages)) for _ in range(options.rounds)]
            cpu_s, wall_s = min(rounds)
            name = f"a lane of {message_class.value}"
            found.append([name, cpu_s / thousands, (cpu_s - own) / thousands, options.messages / wall_s])
        for name, cpu_s in parts(some_messages(options.messages, MessageClass.TRANSACTIONAL)).items():
            found.append([f"{name} alone", cpu_s / thousands, None, None])
        report.table(
            "The dispatch loop over a link that answers at once",
            ["", "CPU s per 1,000", "without the rig", "messages/s"],
            found,
            note=f"The budget of a lane without the rig is {BUDGET_S}.",
        )
        report.write(options.json)
        if options.profile:
            profile = cProfile.Profile()
            profile.enable()
            runner.run(lane(some_messages(options.messages, MessageClass.TRANSACTIONAL)))
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
