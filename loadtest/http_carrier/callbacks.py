"""Calls to the client's callback URL: receipts and replies, in order of their time, until they are acknowledged.

A few keep-alive connections share one bounded queue. What is not acknowledged with a 2xx comes again after a pause, as
often as the settings say; then it is counted as given up.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from loadtest.http_carrier.exchange import Kind, Notice
from loadtest.http_carrier.orders import Orders
from loadtest.http_client import HttpChannel, Target

MAX_PAUSE_S: Final = 60.0
MAX_PAUSING: Final = 1_000
"""Calls that failed and wait for their next try; with so many nothing new is told, it waits in the bounded queue."""


class Call(NamedTuple):
    """One call and how often it was tried."""

    notices: list[Notice]
    tries: int


@dataclass(slots=True)
class CallbackTally:
    """What became of the calls; `notices` are what they tell, the rest counts calls."""

    notices: int = 0
    dropped: int = 0
    calls: int = 0
    acknowledged: int = 0
    refused: int = 0
    unanswered: int = 0
    given_up: int = 0


class CallbackSender:
    """The queue and the connections. `on_done(notices, is_acknowledged)` is called after each last try, `on_failed()` after others."""

    def __init__(
        self,
        target: Target,
        kind: Kind,
        orders: Orders,
        *,
        unix_ns: Callable[[], int],
        connections: int,
        timeout_s: float,
        retry_s: float,
        max_tries: int,
        max_waiting: int,
        on_done: Callable[[list[Notice], bool], None],
        on_failed: Callable[[], None],
    ) -> None:
        self._target = target
        self._kind = kind
        self._orders = orders
        self._unix_ns = unix_ns
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._max_tries = max_tries
        self._max_waiting = max_waiting
        self._on_done = on_done
        self._on_failed = on_failed
        self._fresh: deque[Notice] = deque()
        self._again: deque[Call] = deque()
        self._pausing: dict[asyncio.TimerHandle, int] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._connections = connections
        self._tasks: list[asyncio.Task[None]] = []
        self.tally = CallbackTally()

    def start(self) -> None:
        """Begin to call."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._serve(), name=f"callbacks.{index}") for index in range(self._connections)
        ]

    async def stop(self) -> None:
        """End; what was not told is lost, as when a carrier dies."""
        for timer in self._pausing:
            timer.cancel()
        self._pausing.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def waiting_count(self) -> int:
        """Count the notices that wait to be told, or told again."""
        again = sum(len(call.notices) for call in self._again)
        return len(self._fresh) + again + sum(self._pausing.values())

    def put(self, notice: Notice) -> bool:
        """Queue a notice; False when too many wait, it is counted as dropped then."""
        if len(self._fresh) >= self._max_waiting:
            self.tally.dropped += 1
            return False
        self.tally.notices += 1
        self._fresh.append(notice)
        if self._idle:
            self._wake()
        return True

    def _wake(self) -> None:
        """Let one connection look at the queue."""
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def release(self) -> None:
        """Let every connection look at the queue: it may call again."""
        for _ in range(len(self._idle)):
            self._wake()

    def report(self) -> dict[str, Any]:
        """Return the counts."""
        return {**asdict(self.tally), "waiting": self.waiting_count}

    # -- inside ------------------------------------------------------------------------------------

    def _take(self) -> Call | None:
        """Return what to tell next: what failed before, then what is new."""
        if self._orders.holds_receipts:
            return None
        if self._again:
            return self._again.popleft()
        fresh = self._fresh
        if not fresh or len(self._pausing) >= MAX_PAUSING:
            return None
        limit = self._orders.receipt_batch
        notices = [fresh.popleft()]
        if notices[0].raw is None:
            while fresh and len(notices) < limit and fresh[0].raw is None:
                notices.append(fresh.popleft())
        return Call(notices, 0)

    async def _serve(self) -> None:
        channel = HttpChannel(self._target)
        loop = asyncio.get_running_loop()
        try:
            while True:
                call = self._take()
                if call is None:
                    waiter: asyncio.Future[None] = loop.create_future()
                    self._idle.append(waiter)
                    await waiter
                    continue
                if self._fresh and self._idle:
                    self._wake()
                await self._tell(channel, call)
        finally:
            channel.close()

    async def _tell(self, channel: HttpChannel, call: Call) -> None:
        tally = self.tally
        headers, body = self._kind.callback(call.notices, unix_ns=self._unix_ns())
        tally.calls += 1
        try:
            answer = await channel.request(
                "POST",
                self._target.path,
                headers=headers,
                body=body,
                timeout_s=self._timeout_s,
                is_repeatable=True,
            )
        except (OSError, TimeoutError):
            tally.unanswered += 1
        else:
            if 200 <= answer.status < 300:
                tally.acknowledged += 1
                self._on_done(call.notices, True)
                return
            tally.refused += 1
        tries = call.tries + 1
        if tries >= self._max_tries:
            tally.given_up += 1
            self._on_done(call.notices, False)
            return
        self._pause(Call(call.notices, tries))
        self._on_failed()

    def _pause(self, call: Call) -> None:
        """Bring a call back after a pause that doubles from try to try."""
        pause_s = min(self._retry_s * 2 ** (call.tries - 1), MAX_PAUSE_S)

        def again() -> None:
            del self._pausing[timer]
            self._again.append(call)
            self._wake()

        timer = asyncio.get_running_loop().call_later(pause_s, again)
        self._pausing[timer] = len(call.notices)
