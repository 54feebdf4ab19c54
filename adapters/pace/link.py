"""The binds of one carrier as one thing: whose turn it is, wishes, drain, reconnecting. Base of every link.

The rules of a link are in `gateway.ports.links`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Generic, TypeVar

from adapters.pace.bind import PacedBind
from adapters.pace.reconnect import Rebinding
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Submitted
from gateway.ports.clock import Clock
from gateway.ports.links import (
    GO,
    WAIT_FOR_EVENT,
    BindChanged,
    BindFigures,
    BindState,
    Inbound,
    LinkSink,
    LinkWish,
    Permit,
)

UNBIND_SHARE_S: Final = 1.0
MIXED_WAIT_NS: Final = 50_000_000

Bind = TypeVar("Bind", bound=PacedBind)


def shard_binds(bind_count: int, *, shares: int, shard: int) -> range:
    """Return the numbers of the binds that shard `shard` of `shares` opens; the first shards have one more.

    Raises ValueError when there is not a bind for every shard, or no such shard.
    """
    if not 0 <= shard < shares:
        raise ValueError(f"shard {shard} is not within 0 to {shares - 1}")
    if bind_count < shares:
        raise ValueError(
            f"binds {bind_count} is below the limit of {shares}: every one of {shares} shards needs one"
        )
    part, rest = divmod(bind_count, shares)
    first = shard * part + min(shard, rest) + 1
    return range(first, first + part + (shard < rest))


class PacedLink(ABC, Generic[Bind]):
    """A link made of binds; who extends it adds binds to `_binds`.

    `window_slots` is the configured window of a bind, `rebind_limit_s` the longest that making one anew may take.
    """

    def __init__(
        self, carrier: str, *, kind: str, clock: Clock, window_slots: int, rebind_limit_s: float
    ) -> None:
        self._carrier = carrier
        self._kind = kind
        self._clock = clock
        self._window_slots = window_slots
        self._binds: list[Bind] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sink: LinkSink | None = None
        self._chosen: Bind | None = None
        self._turn = 0
        self._turn_ns = 0
        self._is_draining = False
        self._wish = LinkWish()
        self._is_quiet = asyncio.Event()
        self._rebinding = Rebinding(carrier, limit_s=rebind_limit_s, find=self._bind_of)

    def __repr__(self) -> str:
        binds = ", ".join(f"{bind.name} {bind.state.value}" for bind in self._binds)
        return f"<{type(self).__name__} {self._carrier} in flight {self.in_flight}: {binds}>"

    # -- CarrierLink -----------------------------------------------------------------------------

    @property
    def carrier(self) -> str:
        """Configured id of the carrier."""
        return self._carrier

    @property
    def in_flight(self) -> int:
        """Submits without an answer, over all binds."""
        return sum([bind.in_flight for bind in self._binds])

    async def start(self, sink: LinkSink) -> None:
        """Begin connecting; returns at once."""
        if self._sink is not None:
            raise RuntimeError(f"link {self.carrier} is started already")
        self._sink = sink
        for bind in self._binds:
            self._start_bind(bind)

    def ready(self, now_ns: int) -> Permit:
        """Tell whether a submit could be written now, and what to wait for if not. Takes nothing."""
        if self._is_draining:
            return Permit(WAIT_FOR_EVENT, "draining")
        if now_ns != self._turn_ns:
            # What is submitted at one instant goes on one bind, in one write, as far as it takes it.
            self._turn_ns = now_ns
            self._turn += 1
        binds = self._binds
        count = len(binds)
        event, wait_ns, why = "", 0, ""
        for step in range(count):
            bind = binds[(self._turn + step) % count]
            if not bind.can_submit:
                continue
            if bind.free_slots <= 0:
                event = "window_full"
                continue
            breaker = bind.health.breaker
            if breaker.has_trouble and not breaker.would_allow(now_ns):
                own_ns, own_why = breaker.wait_ns(now_ns) or WAIT_FOR_EVENT, "breaker"
            else:
                own_ns, own_why = bind.pace.ask(now_ns)
                if own_ns == 0:
                    self._chosen = bind
                    return GO
            if own_ns < 0:
                event = event or own_why
            elif not wait_ns or own_ns < wait_ns:
                wait_ns, why = own_ns, own_why
        if not wait_ns:
            return Permit(WAIT_FOR_EVENT, event or self._absence())
        # A timer hides events: what one bind waits for by the clock must not hold up another that waits for an answer.
        return Permit(min(wait_ns, MIXED_WAIT_NS) if event else wait_ns, why)

    @abstractmethod
    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        """Write one segment on the bind that `ready` found; raises RuntimeError without a GO just before."""

    def figures(self) -> tuple[BindFigures, ...]:
        """Return the live figures of every bind."""
        return tuple([bind.figures() for bind in self._binds])

    def control(self, wish: LinkWish) -> None:
        """Follow an operator's wish; repeating it changes nothing."""
        self._wish = wish
        for bind in self._binds:
            bind.follow(wish, window_slots=self._window_slots)
        self.on_slots()

    def reconnect(self, bind: str = "") -> None:
        """Let one bind, or each in turn, empty its window, unbind and bind again; returns at once.

        One leaves only when the one before it is back; where that does not come back, the rest stay. A bind that is
        down tries again at once.
        """
        if self._is_draining or self._sink is None or self._wish.is_drained:
            return
        names = [one.name for one in self._binds if bind in ("", one.name)]
        if self._rebinding.add(names):
            self._own(self._rebinding.run(), name=f"{self._kind}.reconnect.{self.carrier}")

    async def drain(self, *, deadline_s: float) -> int:
        """Stop submitting, wait for answers, unbind, close; return how many stayed without answer.

        Receipts that the sink still holds are waited for as well, so that their acknowledgements leave.
        """
        self._is_draining = True
        ambiguous_before = self._ambiguous_count
        for bind in self._binds:
            bind.stop()
        unbind_s = min(UNBIND_SHARE_S, deadline_s / 4)
        try:
            async with asyncio.timeout(max(0.0, deadline_s - unbind_s)):
                self._note_quiet()
                await self._is_quiet.wait()
        except TimeoutError:
            pass
        closing = [future for bind in self._binds if (future := bind.closing()) is not None]
        for bind in self._binds:
            bind.unbind()
        if closing:
            await asyncio.wait(closing, timeout=unbind_s)
        self.abort()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1.0)
        return self._ambiguous_count - ambiguous_before

    def abort(self) -> None:
        """Close at once; open submits are settled as Ambiguous."""
        self._is_draining = True
        for bind in self._binds:
            bind.stop()
            bind.abort()
        for task in self._tasks:
            task.cancel()

    # -- BindOwner -------------------------------------------------------------------------------

    def on_slots(self) -> None:
        """A slot became free or a bind came up."""
        if self._is_draining:
            self._note_quiet()
        elif self._sink is not None:
            self._sink.on_ready()

    def on_inbound(self, batch: Sequence[Inbound]) -> None:
        """Hand receipts and MO to the sink."""
        assert self._sink is not None
        self._sink.on_inbound(batch)

    def on_late_answer(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """Hand a late answer to the sink."""
        assert self._sink is not None
        self._sink.on_late_answer(segment, outcome)

    def on_bind_changed(self, event: BindChanged) -> None:
        """Tell the sink; one bind that stands again is news for those that wait to try."""
        if event.state is BindState.BOUND:
            for bind in self._binds:
                bind.presence.hurry()
        if self._sink is not None:
            self._sink.on_bind_changed(event)

    # -- inside ----------------------------------------------------------------------------------

    def _take_chosen(self) -> Bind:
        bind, self._chosen = self._chosen, None
        if bind is None:
            raise RuntimeError(f"submit on link {self.carrier} without a GO from ready")
        return bind

    @property
    def _ambiguous_count(self) -> int:
        return sum([bind.counts.ambiguous for bind in self._binds])

    def _start_bind(self, bind: Bind) -> None:
        if self._is_draining:
            return
        self._own(bind.run(), name=f"{self._kind}.bind.{self.carrier}.{bind.name}")

    def _own(self, work: Coroutine[Any, Any, None], *, name: str) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._bind_ended)
        return task

    def _bind_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bind ends by `stop` or by a bug; a bug must be seen, and the loop's handler logs it.
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"bind task of {self.carrier} failed", "exception": error, "task": task}
            )

    def _bind_of(self, name: str) -> Bind | None:
        return next((bind for bind in self._binds if bind.name == name), None)

    def _absence(self) -> str:
        """Return why no bind takes submits."""
        if self._wish.is_drained:
            return "drained"
        if any(bind.state is BindState.PAUSED for bind in self._binds):
            return "paused"
        return "no_bind"

    def _note_quiet(self) -> None:
        if self._is_draining and not any(bind.in_flight or bind.unacknowledged_count for bind in self._binds):
            self._is_quiet.set()
