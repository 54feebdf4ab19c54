"""Receipts from the table to the customers that are bound here, and what became of them back (sms-domain H14, H15).

One task per process. It never waits for a customer: sending is done where slots become free, and only the database is
awaited, so that a customer who does not answer fills his own window and nothing else.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import structlog

from gateway.ports.clock import Clock
from gateway.ports.smpp_store import ReceiptQueue
from gateway.smppd.customers import FETCH_RECEIPTS, Customer

_log = structlog.get_logger()

LEASE_MS: Final = 9_000
_RENEW_NS: Final = 3_000_000_000
_POLL_NS: Final = 5_000_000_000
_AGAIN_NS: Final = 1_100_000_000
_TICK_S: Final = 0.5
_LINGER_S: Final = 0.01
_RETRY_S: Final = 1.0
_CHUNK: Final = 5_000


class Deliverer:
    """Owns the drains of this process. `customers` is the server's own table, read at every round."""

    def __init__(
        self,
        queue: ReceiptQueue,
        customers: Mapping[str, Customer],
        *,
        owner: str,
        clock: Clock,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._queue = queue
        self._customers = customers
        self._owner = owner
        self._clock = clock
        self._lease_ms = lease_ms
        self._news = asyncio.Event()
        self._renew_due_ns = 0
        self._poll_due_ns = 0
        self._held: set[str] = set()
        self._asked: set[str] = set()
        self._leftover: list[int] = []
        self._is_hushed = False

    def wake(self, system_id: str = "") -> None:
        """Look again: a notification came for a system_id ("" for any), or slots became free."""
        if system_id:
            customer = self._customers.get(system_id)
            if customer is None:
                return
            customer.receipts.is_dirty = True
            if system_id not in self._held:
                self._renew_due_ns = 0  # perhaps its drain was given up
        else:
            for customer in self._customers.values():
                customer.receipts.is_dirty = True
        self._news.set()

    def nudge(self) -> None:
        """Look again soon: there is something to write or to fetch."""
        self._news.set()

    def hush(self) -> None:
        """Send nothing more; what is on its way is still acknowledged and written."""
        self._is_hushed = True

    def gone(self, customer: Customer) -> None:
        """Take over what the last session of a system_id has left to write."""
        self._leftover += customer.receipts.done
        customer.receipts.done = []
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled; then give up the drains."""
        failing = False
        try:
            while True:
                try:
                    await self.round()
                    failing = False
                except Exception as error:  # noqa: BLE001 - the receipts wait in the database, and so do we
                    if not failing:
                        _log.warning("smppd.delivery_failed", error=type(error).__name__)
                    failing = True
                    await asyncio.sleep(_RETRY_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_S):
                        await self._news.wait()
                self._news.clear()
                # Company: one statement for all that is acknowledged meanwhile.
                await asyncio.sleep(_LINGER_S)
        finally:
            await self._finish()

    async def round(self) -> None:
        """Write what was acknowledged, keep the drains, fetch and send; once."""
        await self._settle()
        await self._hold()
        if self._is_hushed:
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._poll_due_ns:  # notifications can be lost, and put-off receipts become due
            self._poll_due_ns = now_ns + _POLL_NS
            for customer in self._customers.values():
                customer.receipts.is_dirty = True
        for system_id, customer in list(self._customers.items()):
            receipts = customer.receipts
            if receipts.is_hungry(now_ns):
                await self._fetch(system_id, customer)
            if receipts.waiting:
                receipts.pump(now_ns=self._clock.monotonic_ns(), now_ms=self._clock.now_ms())

    async def _fetch(self, system_id: str, customer: Customer) -> None:
        receipts = customer.receipts
        receipts.is_dirty = False  # before the question: what comes during it makes it true again
        room = FETCH_RECEIPTS - len(receipts.waiting)
        try:
            found = await self._queue.fetch(
                system_id, limit=room, leave_out=receipts.in_hand(), now_ms=self._clock.now_ms()
            )
        except BaseException:
            receipts.is_dirty = True
            raise
        if len(found) == room:
            receipts.is_dirty = True
            self._news.set()
        in_hand = set(receipts.in_hand())  # a session may have given some back meanwhile
        receipts.waiting.extend(one for one in found if one.id not in in_hand)

    async def _settle(self) -> None:
        done, self._leftover = self._leftover, []
        again: list[tuple[int, int]] = []
        taken: list[tuple[Customer, int, int]] = []
        for customer in list(self._customers.values()):
            receipts = customer.receipts
            if receipts.done or receipts.again:
                taken.append((customer, len(receipts.done), len(receipts.again)))
                done += receipts.done
                again += receipts.again
        if not done and not again:
            return
        try:
            for start in range(0, max(len(done), 1), _CHUNK):
                await self._queue.settle(done=done[start : start + _CHUNK], again=again if start == 0 else ())
        except BaseException:
            mine = sum(count for _, count, _ in taken)
            self._leftover += done[: len(done) - mine]
            raise
        if again:
            self._poll_due_ns = min(self._poll_due_ns, self._clock.monotonic_ns() + _AGAIN_NS)
        for customer, done_count, again_count in taken:
            del customer.receipts.done[:done_count]
            del customer.receipts.again[:again_count]

    async def _hold(self) -> None:
        """Take or keep the drains of those who receive here; give up the others."""
        now_ns = self._clock.monotonic_ns()
        wanted = {name for name, customer in self._customers.items() if customer.receipts.receivers}
        gone = self._held - wanted
        if gone:
            for name in gone:
                if name in self._customers:
                    self._customers[name].receipts.let_go()
            await self._queue.release(sorted(gone), owner=self._owner)
            self._held -= gone  # only now: what ends us on the way gives up all that is still noted here
            self._asked -= gone
        # A system_id that bound again before we missed it: the drain is ours, its new table does not know yet.
        is_new = any(not self._customers[name].receipts.held_until_ns for name in wanted & self._held)
        if not wanted or (now_ns < self._renew_due_ns and wanted <= self._asked and not is_new):
            return
        self._renew_due_ns = now_ns + _RENEW_NS
        self._asked = wanted
        held = await self._queue.hold(sorted(wanted), owner=self._owner, ttl_ms=self._lease_ms)
        self._held = held
        # Counted from before the question, so that it ends here before another may take over.
        until_ns = now_ns + self._lease_ms * 1_000_000
        for name in wanted:
            customer = self._customers.get(name)
            if customer is None:
                continue
            if name in held:
                if customer.receipts.held_until_ns <= now_ns:
                    customer.receipts.let_go()  # another may have delivered meanwhile what waits here
                customer.receipts.held_until_ns = until_ns
            else:
                customer.receipts.let_go()

    async def _finish(self) -> None:
        with contextlib.suppress(Exception):
            await self._settle()
            if self._held:
                await self._queue.release(sorted(self._held), owner=self._owner)
