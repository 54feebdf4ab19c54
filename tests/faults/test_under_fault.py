"""The short form of the fault suite: one seeded run of those faults that no other test of this folder does, then the books."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.books import Outcome, look_back
from tests.faults.catalogue import FAULTS
from tests.faults.clocks import need_faketime
from tests.faults.harness import under_fault
from tests.faults.rig import Rig, a_broker, a_rig

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]

ON_POSTGRES = ("cut link", "disk full: postgres", "kill gateway")
ON_KAFKA = ("kill dispatch", "cut broker", "exhaust postgres")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """A gateway on the bus in PostgreSQL, which lives through all of its faults."""
    async with a_rig(seed=1) as rig:
        yield rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked_rig() -> AsyncIterator[Rig]:
    """The same with clocks that can be set."""
    need_faketime()
    async with a_rig(seed=1, clocked=True) as rig:
        yield rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka_rig(kafka_bootstrap) -> AsyncIterator[Rig]:
    """The same on a broker of its own, behind a proxy."""
    async with a_broker() as broker, a_rig(seed=1, broker=broker) as rig:
        yield rig


async def judge(name: str, rig: Rig) -> None:
    outcome: Outcome = await under_fault(FAULTS[name], rig, seed=1)
    await look_back(rig)
    print(outcome)
    outcome.check()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ON_POSTGRES)
async def test_nothing_is_lost_and_repeats_stay_within_the_bound(name, rig):
    await judge(name, rig)


@pytest.mark.asyncio(loop_scope="module")
async def test_clocks_that_step_by_hours_lose_and_repeat_nothing(clocked_rig):
    await judge("step clock of the machine", clocked_rig)


@pytest.mark.kafka
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ON_KAFKA)
async def test_the_same_on_kafka(name, kafka_rig):
    await judge(name, kafka_rig)
