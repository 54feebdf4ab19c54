"""A transport that shows the octets of its session, both ways, to somebody who writes them down.

For `caudal carriers test`, through `SmppLink(tap=...)`; links that carry traffic have none.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from adapters.smpp.transport import SmppTransport

Tap = Callable[[str, bytes], None]
"""Called with "out" or "in" and octets as they are written or read, behind TLS where there is TLS."""


class TappedTransport(SmppTransport):
    """An `SmppTransport` whose octets go through `tap` as well."""

    def __init__(self, *arguments: Any, tap: Tap, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._tap = tap

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        super().connection_made(cast(asyncio.BaseTransport, _Writer(transport, self._tap)))

    def data_received(self, data: bytes) -> None:
        """Feed the core."""
        self._tap("in", data)
        super().data_received(data)


class _Writer:
    """The socket's transport, with its writes shown."""

    def __init__(self, transport: asyncio.BaseTransport, tap: Tap) -> None:
        self._transport = transport
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, and show what."""
        self._tap("out", bytes(data))
        cast(asyncio.WriteTransport, self._transport).write(data)
