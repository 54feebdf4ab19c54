"""The supervisor's ear and mouth: orders and other processes' reports in, own reports and signs of life out.

Nothing here is needed to submit messages: while the store does not answer, everything stands as last known.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from gateway.bus.members import Membership
from gateway.dispatch.board import CarrierBoard
from gateway.dispatch.holds import HELD_FROM_MS
from gateway.dispatch.orders import OrderBook
from gateway.dispatch.plan import DispatchSettings
from gateway.ports.clock import Clock
from gateway.ports.control_store import CarrierReport, ControlStore
from gateway.ports.dispatch_store import DeferredStore, LeaseStore, Lifeline

_log = structlog.get_logger()

_STEP_TIMEOUT_S: Final = 3.0
_HEAR_BACK_MS: Final = 60_000
_RELEASE_BATCH: Final = 5000
_MAX_RELEASE_BATCHES: Final = 200
_FIRST_READ_S: Final = 10.0
_FIRST_RETRY_S: Final = 0.5


class Steered(Protocol):
    """What the control tasks ask of the supervisor."""

    def review(self) -> None:
        """Orders or members may have changed: follow them."""

    def reports(self) -> list[CarrierReport]:
        """Return what to report of the shards worked here."""

    def cut_off(self) -> None:
        """The lifeline is cut: stop soon what is not renewed."""

    def held_dues(self) -> list[int]:
        """Return the due times of messages that are to stay aside."""


class Control:
    """Runs beside the shards; every failure is noted once, and once when it is over."""

    def __init__(
        self,
        store: ControlStore,
        *,
        steered: Steered,
        book: OrderBook,
        membership: Membership,
        board: CarrierBoard,
        leases: LeaseStore,
        deferred: DeferredStore,
        clock: Clock,
        settings: DispatchSettings,
        lifeline: Lifeline | None = None,
    ) -> None:
        self._store = store
        self._lifeline = lifeline
        self._steered = steered
        self._book = book
        self._membership = membership
        self._board = board
        self._leases = leases
        self._deferred = deferred
        self._clock = clock
        self._settings = settings
        self._failing: set[str] = set()

    async def open(self) -> None:
        """Read the orders before anything is submitted; without them after 10 s, go on as if there were none."""
        for _ in range(int(_FIRST_READ_S / _FIRST_RETRY_S)):
            if await self._step("orders", self._book.refresh):
                break
            await asyncio.sleep(_FIRST_RETRY_S)
        else:
            _log.error("orders.unknown", action="submitting without them")
        await self._step("members", self._meet)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="dispatch.control.follow")
            group.create_task(self._live(), name="dispatch.control.live")
            if self._lifeline is not None:
                self._lifeline.on_cut = self._cut
                group.create_task(self._lifeline.run(), name="dispatch.control.lifeline")
                group.create_task(self._watch(self._lifeline), name="dispatch.control.watch")

    async def leave(self) -> None:
        """Say that this process goes."""
        await self._step("leave", lambda: self._store.leave(self._membership.owner))

    async def _follow(self) -> None:
        """About once a second: orders in, reports out and in."""
        while True:
            await self._step("orders", self._book.refresh)
            self._steered.review()
            await self._step("report", self._report)
            if not self._membership.is_alone:
                await self._step("reports", self._hear)
            await asyncio.sleep(self._settings.control_poll_s)

    async def _live(self) -> None:
        """Every other second: who lives; and what is aside without need comes back."""
        while True:
            await self._step("members", self._meet)
            self._steered.review()
            await self._step("release", self._release)
            await asyncio.sleep(self._settings.member_beat_s)

    async def _watch(self, lifeline: Lifeline) -> None:
        """A few times a second, while there are others: whose lifeline is cut is gone, and its shards are free soon."""
        while True:
            if not self._membership.is_alone and lifeline.held_s >= self._settings.cut_trust_s:
                await self._step("cut", self._bury)
            await asyncio.sleep(self._settings.cut_look_s)

    def _cut(self) -> None:
        _log.warning("lifeline.cut")
        self._steered.cut_off()

    async def _bury(self) -> None:
        grace_ms = int(self._settings.cut_grace_s * 1000)
        gone = await self._leases.cut_short(owner=self._membership.owner, grace_ms=grace_ms)
        missed = [owner for owner in gone if owner in self._membership.members]
        for owner in missed:
            # It says so again within a beat if it lives.
            await self._store.leave(owner)
        if missed:
            _log.warning("member.cut_off", count=len(missed))
            await self._meet()
            self._steered.review()

    async def _meet(self) -> None:
        now_ms = self._clock.now_ms()
        await self._store.beat(self._membership.owner, now_ms=now_ms)
        alive_ms = now_ms - int(self._settings.member_dead_s * 1000)
        members = await self._store.members(since_ms=alive_ms)
        self._membership.see(members, leases=await self._leases.in_force())

    async def _report(self) -> None:
        reports = self._steered.reports()
        if reports:
            await self._store.report(reports)

    async def _hear(self) -> None:
        reports = await self._store.reports(since_ms=self._clock.now_ms() - _HEAR_BACK_MS)
        own = self._membership.owner
        self._board.hear([report for report in reports if report.owner != own])

    async def _release(self) -> None:
        """Bring back what no hold keeps; also what another process set aside, so that no end of a hold is missed."""
        if not self._book.is_read:
            return
        for _ in range(_MAX_RELEASE_BATCHES):
            count = await self._deferred.make_due(
                from_ms=HELD_FROM_MS,
                keep=self._steered.held_dues(),
                now_ms=self._clock.now_ms(),
                limit=_RELEASE_BATCH,
            )
            if count < _RELEASE_BATCH:
                return

    async def _step(self, name: str, work: Callable[[], Awaitable[object]]) -> bool:
        try:
            async with asyncio.timeout(_STEP_TIMEOUT_S):
                await work()
        except Exception as error:  # noqa: BLE001 - what is known stands, whatever the store does
            if name not in self._failing:
                self._failing.add(name)
                _log.warning("control.failed", step=name, error=type(error).__name__)
            return False
        if name in self._failing:
            self._failing.discard(name)
            _log.info("control.recovered", step=name)
        return True


def reports_of(pictures: Sequence[dict[str, object]], *, owner: str, now_ms: int) -> list[CarrierReport]:
    """Return one report per picture of a shard."""
    return [
        CarrierReport(str(picture["carrier"]), int(str(picture["shard"])), owner, now_ms, picture)
        for picture in pictures
    ]
