"""One load sent by a generator process, seen from the process that watches it."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from loadtest.running.children import Child, ChildError, Facts
from loadtest.running.orders import Account, Order, Tick
from loadtest.running.texts import Kind, kinds
from loadtest.scenario import LoadSettings

START_S: Final = 120.0
MAX_TICKS: Final = 1_000
DEFAULT_OPEN: Final = 1_000

_read = msgspec.json.Decoder(Tick | Account).decode


def order_of(
    load: LoadSettings, *, target: str, key: str, nonce: str, seed: int, first: int, path: Path, max_open: int
) -> Order:
    """Return the order of a scenario's load."""
    return Order(
        target=target,
        key=key,
        accepted_path=str(path),
        nonce=nonce,
        stages=[(one.start_per_s, one.rate_per_s, one.duration_s) for one in load.load().stages],
        arrivals=load.arrivals,
        batch=load.batch,
        seed=seed,
        mix={str(name): share for name, share in load.mix.items()},
        gsm7=load.text.gsm7,
        segments=dict(load.text.segments),
        duplicates=load.duplicates,
        recipients=load.recipients,
        first=first,
        max_open=max_open,
    )


def kinds_of(order: Order) -> list[Kind]:
    """Return what the indexes in the order's file mean."""
    return kinds(order.mix, gsm7=order.gsm7, segments=order.segments)[0]


class LoadProcess:
    """A generator. `ticks` are what it did second by second, `account` what in all, once it has ended."""

    def __init__(self, order: Order, *, name: str = "generator") -> None:
        self.order = order
        self.child = Child(name, self._hear)
        self._facts = Facts("ready")
        self._ticks: asyncio.Queue[Tick] = asyncio.Queue(MAX_TICKS)
        self.account: Account | None = None

    async def start(self) -> None:
        """Start the process, which waits for `begin`. Raises ChildError."""
        await self.child.start([sys.executable, "-m", "loadtest.running.generator"])
        self.child.say(self.order)
        await self._facts.wait(self.child, START_S)

    def begin(self, start_ns: int) -> None:
        """Have the load begin at that moment of the monotonic clock."""
        self.child.say({"start_ns": start_ns})

    def stop(self) -> None:
        """Begin no more requests; those that are open get their answer."""
        self.child.say({"stop": True})

    def give_up(self) -> None:
        """End also what waits for an answer."""
        self.child.say({"end": True})

    def _hear(self, line: bytes) -> None:
        if self._facts.feed(line) or not line.startswith(b"{"):
            return
        with suppress(msgspec.DecodeError):
            said = _read(line)
            if isinstance(said, Account):
                self.account = said
            else:
                with suppress(asyncio.QueueFull):
                    self._ticks.put_nowait(said)

    @property
    def has_ended(self) -> bool:
        """Tell whether everything that was due has been sent and answered, or the process is gone."""
        return self.account is not None or not self.child.is_running

    def taken_ticks(self) -> Tick:
        """Return what was done since the last call, added up; the percentiles are those of its last second."""
        total = Tick()
        while not self._ticks.empty():
            tick = self._ticks.get_nowait()
            for name in ("offered", "sent", "requests", "accepted", "refused", "errors"):
                setattr(total, name, getattr(total, name) + getattr(tick, name))
            total.open = tick.open
            if tick.accept_ms is not None:
                total.accept_ms, total.accept_hdr = tick.accept_ms, tick.accept_hdr
            total.lateness_p99_ms = max(total.lateness_p99_ms or 0.0, tick.lateness_p99_ms or 0.0) or None
        return total

    async def finish(self, *, limit_s: float) -> Account:
        """Give up what is open and return the account. Raises ChildError where the process died without one."""
        if self.account is None:
            self.give_up()
        code = await self.child.wait(limit_s)
        if self.account is None:
            await self.child.stop(limit_s=1.0)
            raise ChildError(f"no account of the load (exit code {code}): {self.child.trouble()}")
        return self.account
