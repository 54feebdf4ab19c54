"""Orders to log more or less, to a running process: `POST /logs/level` on its admin port, sent by `caudal logs level`.

The supervisor passes an order on to its roles and writes the audit; a role that runs alone writes it itself. An order
lasts until it ends or the process does: a role that is started again begins with the configured level.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from gateway.ports.clock import SystemClock
from gateway.ports.control_store import AuditEntry
from gateway.telemetry.logs import LEVELS

LEVEL_PATH: Final = "/logs/level"
LEVEL_NAMES: Final = ("debug", "info", "warning", "error")
END: Final = "default"
"""In the place of a level: end the order."""
MAX_FOR_S: Final = 7 * 86_400.0

_RELAY_S: Final = 5.0

log = structlog.get_logger()


class LevelOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is posted. `logger` is the first word of events, "" for all; `for_s` None lasts until the process ends."""

    level: str
    logger: str = ""
    for_s: float | None = None
    actor: str = "http"

    def check(self) -> None:
        """Raise ValueError, naming the value and the limit."""
        if self.level not in (*LEVEL_NAMES, END):
            raise ValueError(f"level {self.level!r} is not one of {', '.join((*LEVEL_NAMES, END))}")
        if len(self.logger) > 40 or (not self.logger.replace("_", "a").isalnum() and self.logger):
            raise ValueError(f"logger {self.logger[:40]!r} is not the first word of an event, such as bind")
        if self.for_s is not None and not 1 <= self.for_s <= MAX_FOR_S:
            raise ValueError(f"for_s {self.for_s:g} is not within 1..{MAX_FOR_S:g} s")
        if not self.actor or len(self.actor) > 100:
            raise ValueError("actor must have 1 to 100 characters")

    def entry(self) -> AuditEntry:
        """Return the line of the audit."""
        detail = {"level": self.level, "for_s": self.for_s}
        subject = f"logs of {self.logger}" if self.logger else "all logs"
        return AuditEntry(SystemClock().now_ms(), self.actor, "log_level", subject, "", detail)


class LevelDesk:
    """Takes orders for this process. `others` are asked at each order: admin addresses of processes by name."""

    def __init__(
        self,
        name: str,
        *,
        audit: Callable[[AuditEntry], Awaitable[None]] | None,
        others: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._name = name
        self._audit = audit
        self._others = others

    def show(self) -> dict[str, Any]:
        """Return the levels of this process."""
        return LEVELS.shown()

    async def take(self, told: dict[str, Any]) -> dict[str, Any]:
        """Follow an order and pass it on; return what each process has now. ValueError says what is wrong with it."""
        try:
            order = msgspec.convert(told, LevelOrder)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        order.check()
        LEVELS.order(None if order.level == END else order.level, logger=order.logger, for_s=order.for_s)
        others = self._others()
        answers = await asyncio.gather(*(_tell(url, told) for url in others.values()))
        if self._audit is not None:
            log.warning(
                "logs.level_ordered",
                logger=order.logger or "all",
                to=order.level,
                for_s=order.for_s,
                actor=order.actor,
            )
            await self._audit(order.entry())
        found = {self._name: self.show()}
        for name, answer in zip(others, answers, strict=True):
            found |= answer if "error" not in answer else {name: answer}
        return found


async def _tell(url: str, told: dict[str, Any]) -> dict[str, Any]:
    """Pass an order on; a process that does not answer is named with the reason."""
    timeout = aiohttp.ClientTimeout(total=_RELAY_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(url + LEVEL_PATH, json=told) as answer,
        ):
            found: dict[str, Any] = await answer.json()
    except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
        return {"error": type(error).__name__}
    return found
