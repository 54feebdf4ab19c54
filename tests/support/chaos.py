"""A TCP proxy that misbehaves on order: between us and a carrier, or any other server."""

import asyncio
import contextlib
import random
from typing import Self


class Chaos:
    """Forwards to `port` until told otherwise. Use `async with Chaos(port) as chaos`, and connect to `chaos.port`.

    `slice_octets` writes that many octets at a time, `corrupt_share` flips a bit in that share of the chunks,
    `is_frozen` lets nothing through but keeps the connections (a half-open link), `delay_s` holds every chunk back.
    """

    def __init__(self, port: int, *, seed: int = 0) -> None:
        self._target = port
        self._random = random.Random(seed)
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self.port = 0
        self.slice_octets = 0
        self.corrupt_share = 0.0
        self.delay_s = 0.0
        self.is_refusing = False
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def cut(self) -> None:
        """End every connection with a reset, whatever is underway."""
        for writer in list(self._links):
            writer.transport.abort()

    def freeze(self) -> None:
        """Let nothing through any more; connections stay up."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Let everything through again, what was held back first."""
        self._thawed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.is_refusing:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self._target), 5)
        except OSError:
            writer.transport.abort()
            return
        self._links |= {writer, back}
        ways = [
            asyncio.create_task(self._forward(reader, back), name="chaos.there"),
            asyncio.create_task(self._forward(there, writer), name="chaos.back"),
        ]
        self._tasks.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            self._tasks.difference_update(ways)
            for one in (writer, back):
                self._links.discard(one)
                one.close()
                with contextlib.suppress(OSError):
                    await one.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while octets := await reader.read(65_536):
                await self._thawed.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.corrupt_share and self._random.random() < self.corrupt_share:
                    spoilt = bytearray(octets)
                    spoilt[self._random.randrange(len(spoilt))] ^= 1 << self._random.randrange(8)
                    octets = bytes(spoilt)
                size = self.slice_octets or len(octets)  # as it was when we began: it may change meanwhile
                for start in range(0, len(octets), size):
                    writer.write(octets[start : start + size])
                    await writer.drain()
                    if size < len(octets):
                        await asyncio.sleep(0)
