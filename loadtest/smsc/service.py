"""The simulator as a process: listeners, signals, and an end within a second."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from aiohttp import web

from loadtest.listening import Listener
from loadtest.smsc.centre import MessageCentre
from loadtest.smsc.esme import EsmeSession, session_config
from loadtest.smsc.http_api import make_app
from loadtest.smsc.settings import SmscSettings

HOUSEKEEPING_S: Final = 0.1
_HTTP_SHUTDOWN_S: Final = 0.2


class Smsc(NamedTuple):
    """A running simulator: where it listens, its inside, and its door."""

    smpp_port: int
    http_port: int | None
    centre: MessageCentre
    listener: Listener


@asynccontextmanager
async def running_smsc(settings: SmscSettings) -> AsyncIterator[Smsc]:
    """Listen inside the `async with`; raises OSError when a port is taken."""
    loop = asyncio.get_running_loop()
    centre = MessageCentre(settings)
    config = session_config(settings)
    listener = Listener(lambda: EsmeSession(centre, config))
    await listener.open(settings.host, settings.port)
    centre.refuse_connections = listener.refuse
    runner: web.AppRunner | None = None
    housekeeper = loop.create_task(_housekeep(centre), name="smsc.housekeep")
    try:
        http_port = None
        if settings.http_port is not None:
            runner = web.AppRunner(make_app(centre), access_log=None, shutdown_timeout=_HTTP_SHUTDOWN_S)
            await runner.setup()
            await web.TCPSite(runner, settings.host, settings.http_port).start()
            http_port = runner.addresses[0][1]
        centre.faults.begin()
        await listener.settled()
        yield Smsc(listener.port, http_port, centre, listener)
    finally:
        await listener.close()
        centre.stop()
        housekeeper.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeper
        if runner is not None:
            await runner.cleanup()


async def _housekeep(centre: MessageCentre) -> None:
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        centre.housekeep()


async def _serve(settings: SmscSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running_smsc(settings) as smsc:
        event = {"event": "listening", "smpp_port": smsc.smpp_port, "http_port": smsc.http_port}
        print(json.dumps(event), flush=True)
        await stop.wait()


def serve(settings: SmscSettings) -> None:
    """Run until SIGTERM or SIGINT, on uvloop where there is one. Raises OSError when a port is taken."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(settings))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
