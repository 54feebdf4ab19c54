"""What one process of several does: a round is left to another while it is not ours."""

import asyncio

from dlr.silence import SilenceSweeper
from gateway.ports.clock import SystemClock
from gateway.ports.record_store import SilentPage
from gateway.recorder.housekeeping import Housekeeper
from tests.support.memory_bus import MemoryBus, MemoryDatabase


class Chore:
    """Counts rounds; `is_mine` is whether this process may do them."""

    def __init__(self) -> None:
        self.rounds = 0
        self.is_mine = False
        self.done = asyncio.Event()

    async def keep(self, *, now_ms: int) -> None:
        self.rounds += 1
        self.done.set()

    async def open_days(self, *, before_ms: int) -> list[int]:
        self.rounds += 1
        self.done.set()
        return [0, 86_400_000]

    async def silent_page(self, day_at, *, after, valid_before_ms, limit) -> SilentPage:
        self.is_mine = False  # lost in the middle of a day
        return SilentPage([], 1, None)


async def test_a_housekeeper_leaves_its_rounds_to_the_process_that_has_the_chores():
    chore = Chore()
    keeper = Housekeeper(chore, clock=SystemClock(), every_s=0.01, is_mine=lambda: chore.is_mine)
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(0.05)
    assert chore.rounds == 0
    chore.is_mine = True
    await asyncio.wait_for(chore.done.wait(), 10)
    keeper.stop()
    await asyncio.wait_for(running, 10)


async def test_silence_is_swept_by_one_process_and_left_when_it_is_another_ones():
    chore = Chore()
    bus = MemoryBus(MemoryDatabase())
    sweeper = SilenceSweeper(
        bus, store=chore, clock=SystemClock(), every_s=0.01, is_mine=lambda: chore.is_mine
    )
    running = asyncio.create_task(sweeper.run())
    await asyncio.sleep(0.05)
    assert chore.rounds == 0
    chore.is_mine = True
    await asyncio.wait_for(chore.done.wait(), 10)
    await asyncio.sleep(0.05)
    assert chore.rounds == 1  # the day after was left alone, and so was every round since
    sweeper.stop()
    await asyncio.wait_for(running, 10)
