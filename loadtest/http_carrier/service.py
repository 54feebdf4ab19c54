"""The simulated HTTP carrier as a process: signals, one line that tells its ports, and an end within a second."""

import asyncio
import json
import signal
from typing import Final

from loadtest.http_carrier.carrier import HttpCarrier
from loadtest.http_carrier.settings import HttpCarrierSettings

FLUSH_S: Final = 1.0


async def _serve(settings: HttpCarrierSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with HttpCarrier(settings) as carrier:
        event = {
            "event": "listening",
            "kind": settings.kind,
            "port": carrier.port,
            "control_port": carrier.control_port,
        }
        print(json.dumps(event), flush=True)
        flusher = loop.create_task(_flush(carrier), name="http_carrier.flush")
        if settings.verifies_at_start:
            verifier = loop.create_task(_verify(carrier), name="http_carrier.verify")
        await stop.wait()
        flusher.cancel()
        if settings.verifies_at_start:
            verifier.cancel()


async def _flush(carrier: HttpCarrier) -> None:
    """Let the record file be at most a second behind."""
    while True:
        await asyncio.sleep(FLUSH_S)
        carrier.record.flush()


async def _verify(carrier: HttpCarrier) -> None:
    try:
        event = {"event": "verified", "verified": await carrier.verify()}
    except (OSError, TimeoutError, ValueError) as error:
        event = {"event": "verified", "verified": False, "error": str(error) or type(error).__name__}
    print(json.dumps(event), flush=True)


def serve(settings: HttpCarrierSettings) -> None:
    """Run until SIGTERM or SIGINT, on uvloop where there is one.

    Raises OSError when a port is taken, ValueError or TypeError for a knob that cannot be.
    """
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(settings))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
