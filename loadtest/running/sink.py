"""Where the gateway's webhooks of a run go, as a process of its own: takes every batch and notes what it told when.

`python -m loadtest.running.sink RECORD DELAY SEED`, started by `loadtest.running.bench`. It prints where it listens and
then a `Heard` a second. A line of the record is `[monotonic ns, [message id, ...]]`: final states alone.
"""

import asyncio
import signal
import sys
from pathlib import Path
from time import monotonic_ns
from typing import BinaryIO, Final

import msgspec
from aiohttp import web

from loadtest.delays import Delay
from loadtest.parents import die_with_parent
from loadtest.running.lines import say
from loadtest.running.orders import Heard

MAX_BODY_OCTETS: Final = 4 << 20
FINAL_TYPES: Final = (
    "message.delivered",
    "message.undeliverable",
    "message.rejected",
    "message.expired",
    "message.failed",
    "message.cancelled",
    "message.unknown",
)


class _Message(msgspec.Struct):
    id: str | None = None


class _Event(msgspec.Struct):
    type: str
    data: _Message


class _Body(msgspec.Struct):
    type: str
    data: list[_Event] | _Message


class Sink:
    """Takes the POSTs. The delay of an answer is drawn for each."""

    def __init__(self, record: BinaryIO, *, delay: Delay) -> None:
        self._record = record
        self._delay = delay
        self._read = msgspec.json.Decoder(_Body).decode
        self._encode = msgspec.json.Encoder().encode
        self.heard = Heard()

    async def take(self, request: web.Request) -> web.Response:
        """Note the final states of one POST and answer it after the delay; 400 for what is no event."""
        try:
            body = self._read(await request.read())
        except msgspec.DecodeError:
            return web.Response(status=400)
        if isinstance(body.data, _Message):
            told = [body.data.id] if body.type in FINAL_TYPES else []
        else:
            told = [event.data.id for event in body.data if event.type in FINAL_TYPES]
        wait_ns = self._delay.draw_ns()
        if wait_ns:
            start_ns = monotonic_ns()
            await asyncio.sleep(wait_ns / 1e9)
            self.heard.waited_s += (monotonic_ns() - start_ns) / 1e9
        self.heard.requests += 1
        self.heard.events += len(told)
        self._record.write(self._encode((monotonic_ns(), told)) + b"\n")
        return web.Response()

    def flush(self) -> Heard:
        """Write what is in memory and return the counts since the last call."""
        self._record.flush()
        heard, self.heard = self.heard, Heard()
        return heard


async def _main(record_path: Path, delay: Delay) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with record_path.open("ab", buffering=1 << 18) as record:
        sink = Sink(record, delay=delay)
        app = web.Application(client_max_size=MAX_BODY_OCTETS)
        app.router.add_post("/hook", sink.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            say({"event": "listening", "port": runner.addresses[0][1]})
            while not stop.is_set():
                try:
                    await asyncio.wait_for(stop.wait(), 1.0)
                except TimeoutError:
                    say(sink.flush())
        finally:
            await runner.cleanup()
            sink.flush()


def main() -> None:
    """Run as a process; it ends with the one that started it."""
    path, delay, seed = sys.argv[1:4]
    if sys.platform.startswith("linux"):
        die_with_parent()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(Path(path), Delay(delay, seed=f"callbacks:{seed}")))


if __name__ == "__main__":
    main()
