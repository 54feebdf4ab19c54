"""The clients that `bench_smpp` compares, each run as a process of its own and reporting one JSON line.

`python -m tests.perf.smpp_clients caudal|aiosmpplib PORT COUNT WINDOW [--receipts]`: bind as transceiver, submit COUNT
segments with at most WINDOW open, and, with receipts, wait until each was received and acknowledged. The segments are
built before the clock starts; the figures are CPU (user + system) and wall seconds from the first submit to the end.
"""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

RECIPIENT, SENDER, TEXT = "525512345678", "12345", "Su codigo es 123456. No lo comparta con nadie."
BOUND_WITHIN_S = 10.0


class Stopwatch:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        # What was built beforehand is no garbage; scanning it again and again would be charged to the clients.
        gc.collect()
        gc.freeze()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return both."""
        return {"cpu_s": time.process_time() - self._cpu, "wall_s": time.perf_counter() - self._wall}


# --- ours ----------------------------------------------------------------------------------------------


class _Dispatch:
    """What a dispatch worker does with a link, and nothing else: submit while it may, acknowledge, count."""

    def __init__(self, link: Any, *, count: int, receipts: int, clock_ns: Any) -> None:
        self.link, self._clock_ns = link, clock_ns
        self.todo: list[Any] = []
        self._answers_missing, self._receipts_missing = count, receipts
        self.is_started = False
        self.bound, self.done = asyncio.Event(), asyncio.Event()
        self.refused = 0

    def on_ready(self) -> None:
        self.bound.set()
        if self.is_started:
            self.submit()

    def submit(self) -> None:
        """Submit until the link says wait."""
        todo, link, clock_ns = self.todo, self.link, self._clock_ns
        while todo:
            now_ns = clock_ns()
            if link.ready(now_ns).wait_ns:
                return
            link.submit(todo.pop(), now_ns=now_ns)

    def settle(self, segment: Any, outcome: Any) -> None:
        """Count an outcome."""
        if type(outcome).__name__ != "Submitted":
            self.refused += 1
        self._answers_missing -= 1
        self._look()

    def on_inbound(self, batch: Sequence[Any]) -> None:
        """Acknowledge at once, as if stored."""
        self.link.acknowledge(batch, stored=True)
        self._receipts_missing -= len(batch)
        self._look()

    def on_late_answer(self, segment: Any, outcome: Any) -> None:
        """Late answers do not happen here."""

    def on_bind_changed(self, event: Any) -> None:
        """Not counted."""

    def _look(self) -> None:
        if self._answers_missing <= 0 and self._receipts_missing <= 0:
            self.done.set()


async def _caudal(port: int, count: int, window: int, *, receipts: bool) -> dict[str, Any]:
    from adapters.smpp.link import SmppLink
    from adapters.smpp.profile import CarrierProfile
    from gateway.domain.message import Message, MessageClass, OutboundSegment
    from gateway.domain.segmentation import segment_text
    from gateway.ports.clock import SystemClock

    clock = SystemClock()
    profile = CarrierProfile(
        carrier="sink",
        host="127.0.0.1",
        port=port,
        system_id="caudal",
        password="secret",
        window_slots=window,
    )
    link = SmppLink(profile, clock=clock)
    now_ms = clock.now_ms()
    cut = segment_text(TEXT)
    dispatch = _Dispatch(link, count=count, receipts=count if receipts else 0, clock_ns=clock.monotonic_ns)
    for _ in range(count):
        message = Message(
            id=uuid4(),
            account_id="bench",
            message_class=MessageClass.TRANSACTIONAL,
            recipient=RECIPIENT,
            sender=SENDER,
            text=TEXT,
            encoding=cut.encoding,
            segment_count=1,
            accepted_at=now_ms,
            valid_until=now_ms + 300_000,
            carrier="sink",
        )
        dispatch.todo.append(
            OutboundSegment(
                message, 1, cut.data_coding, cut.segments[0], dispatch.settle, wants_receipt=receipts
            )
        )
    await link.start(dispatch)
    await asyncio.wait_for(dispatch.bound.wait(), BOUND_WITHIN_S)
    watch = Stopwatch()
    dispatch.is_started = True
    dispatch.submit()
    await dispatch.done.wait()
    figures = watch.read()
    await link.drain(deadline_s=2)
    return {**figures, "refused": dispatch.refused}


# --- aiosmpplib ----------------------------------------------------------------------------------------


async def _aiosmpplib(port: int, count: int, window: int, *, receipts: bool) -> dict[str, Any]:
    from aiosmpplib import ESME, AbstractHook, PhoneNumber, SubmitSm
    from aiosmpplib.broker import SimpleBroker
    from aiosmpplib.correlator import SimpleCorrelator
    from aiosmpplib.state import SmppCommand

    class Correlator(SimpleCorrelator):
        async def _remove_expired(self) -> None:
            """Its search for expired entries is quadratic: left out, in its favour."""

    bound, done = asyncio.Event(), asyncio.Event()
    slots = asyncio.Semaphore(window)
    missing = {SmppCommand.SUBMIT_SM_RESP: count, SmppCommand.DELIVER_SM: count if receipts else 0}

    class Hook(AbstractHook):
        async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
            """Nothing to do."""

        async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
            command = smpp_message.smpp_command
            if command in missing:
                missing[command] -= 1
                if command is SmppCommand.SUBMIT_SM_RESP:
                    slots.release()
                if not any(missing.values()):
                    done.set()
            else:
                bound.set()

        async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
            raise error

    class WindowedBroker(SimpleBroker):
        """Its own broker, and a window in front: the library has none."""

        async def dequeue(self) -> Any:
            message = await super().dequeue()
            await slots.acquire()
            return message

    broker = WindowedBroker(maxsize=count + 1)
    esme = ESME(
        "127.0.0.1",
        port,
        "caudal",
        "secret",
        log_level="CRITICAL",
        hook=Hook(),
        broker=broker,
        correlator=Correlator("bench"),
    )
    messages = [
        SubmitSm(
            short_message=TEXT,
            source=PhoneNumber(SENDER),
            destination=PhoneNumber(RECIPIENT),
            registered_delivery=int(receipts),
        )
        for _ in range(count)
    ]
    task = asyncio.create_task(esme.start(), name="aiosmpplib")
    await asyncio.wait_for(bound.wait(), BOUND_WITHIN_S)
    watch = Stopwatch()
    for message in messages:
        await broker.enqueue(message)
    await done.wait()
    figures = watch.read()
    task.cancel()
    await asyncio.wait([task], timeout=2)
    return {**figures, "refused": 0}


CLIENTS = {"caudal": _caudal, "aiosmpplib": _aiosmpplib}


def main() -> None:
    """Run one client; our own way of running it is uvloop, and so is the other's, in its favour."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("client", choices=sorted(CLIENTS))
    for name in ("port", "count", "window"):
        parser.add_argument(name, type=int)
    parser.add_argument("--receipts", action="store_true")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(
            CLIENTS[given.client](given.port, given.count, given.window, receipts=given.receipts)
        )
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
