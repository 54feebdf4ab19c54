"""A listening port that can be taken away and given back, so that a simulator refuses connections as a dead host does."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Final

BACKLOG: Final = 1_024
_CLOSING_TURNS: Final = 10
_AGAIN_S: Final = 0.1


class Listener:
    """Listens on one port; while it refuses, a bound socket that does not listen keeps the port."""

    def __init__(self, factory: Callable[[], asyncio.Protocol]) -> None:
        self._factory = factory
        self._server: asyncio.Server | None = None
        self._keeper: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._host = ""
        self._is_refusing = False
        self._is_closed = False
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one. Raises OSError naming the address when it is taken."""
        self._host = host
        try:
            self._server = await self._listen(port)
        except OSError as error:
            raise taken(error, host, port) from None
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def is_refusing(self) -> bool:
        """Tell whether connections are refused."""
        return self._is_refusing

    def refuse(self, is_refusing: bool) -> None:  # noqa: FBT001  # reads as a statement
        """Refuse new connections, or take them again; the ones that stand are not touched."""
        if is_refusing == self._is_refusing or self._is_closed:
            return
        self._is_refusing = is_refusing
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._settle(), name="listener.settle")

    async def settled(self) -> None:
        """Wait until what `refuse` asked for is so."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Stop listening for good."""
        self._is_closed = True
        await self.settled()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    async def _settle(self) -> None:
        """Follow the wish until it does not change meanwhile."""
        while not self._is_closed:
            if self._is_refusing and self._server is not None:
                self._server.close()
                self._server = None
                for _ in range(_CLOSING_TURNS):
                    await asyncio.sleep(0)  # uvloop closes the socket in a later turn
                    self._keeper = _bound(self._host, self.port)
                    if self._keeper is not None:
                        break
            elif not self._is_refusing and self._server is None:
                try:
                    self._server = await self._listen(self.port)
                except OSError:  # somebody else has the port for the moment
                    await asyncio.sleep(_AGAIN_S)
                    continue
                if self._keeper is not None:
                    self._keeper.close()
                    self._keeper = None
            else:
                return

    async def _listen(self, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._factory, self._host, port, backlog=BACKLOG)


def taken(error: OSError, host: str, port: int) -> OSError:
    """Return the error of a port that cannot be listened on, naming it."""
    why = os.strerror(error.errno) if error.errno else str(error)
    return OSError(f"cannot listen on {host}:{port}: {why}")


def _bound(host: str, port: int) -> socket.socket | None:
    """Return a socket that keeps the port without listening; None while the port is in use."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    keeper = socket.socket(family, kind, protocol)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        keeper.bind(address)
    except OSError as error:
        keeper.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return keeper
