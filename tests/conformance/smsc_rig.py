"""Our message-centre role as the conformance tests run it: the simulator in process, with its ledger at hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loadtest.smsc.centre import MessageCentre
from loadtest.smsc.service import running_smsc
from loadtest.smsc.settings import SmscSettings

PATIENCE_S = 10.0
SYSTEM_ID = "caudal"
PASSWORD = "secret"
NUMBER = "525512345678"
"""Delivered at once; with the last two digits replaced, the simulator does something else."""

# Every code of the default alphabet but the escape, in order, then the extension table (sms-domain A1, A2).
DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
EMOJI = "Código 👍🏽 válido aquí 👨‍👩‍👧"


def number(suffix: str) -> str:
    """Return the number whose last two digits order a behaviour (05: throttled twice, 06: no such number, ...)."""
    return NUMBER[:-2] + suffix


class SmscRig:
    """A running simulator, its port and what it recorded."""

    def __init__(self, port: int, centre: MessageCentre) -> None:
        self.port = port
        self.centre = centre

    def rows(self) -> list[dict[str, Any]]:
        """Return every segment it received, oldest first."""
        return self.centre.record.rows(after=-1, limit=10_000)

    def texts(self) -> list[str]:
        """Return the text of every segment."""
        return [row["text"] for row in self.rows()]

    def stats(self) -> dict[str, Any]:
        """Return its counts."""
        return self.centre.stats()

    def unbind_all(self) -> None:
        """Ask every ESME to leave."""
        for session in tuple(self.centre.sessions.values()):
            session.unbind()

    async def until(self, condition: Callable[[], Any], *, limit_s: float = PATIENCE_S) -> None:
        """Wait for a condition on what it recorded."""
        try:
            async with asyncio.timeout(limit_s):
                while not condition():  # noqa: ASYNC110  # conditions are about many things
                    await asyncio.sleep(0.005)
        except TimeoutError:
            pytest.fail(f"not within {limit_s} s: {self.stats()}")

    async def acknowledged(self, count: int) -> None:
        """Wait until so many receipts are acknowledged."""
        await self.until(lambda: self.centre.tally.receipts_acknowledged >= count)


@asynccontextmanager
async def a_smsc(**settings: Any) -> AsyncIterator[SmscRig]:
    """Give a running simulator with one account; `settings` are those of SmscSettings."""
    defaults: dict[str, Any] = {"accounts": {SYSTEM_ID: PASSWORD}, "http_port": None}
    async with running_smsc(SmscSettings(**(defaults | settings))) as smsc:
        yield SmscRig(smsc.smpp_port, smsc.centre)
