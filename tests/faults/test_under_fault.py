"""The short form of the fault suite: one seeded run of each fault that no other test of this folder does, then the books."""

import pytest

from tests.faults.harness import FAULTS, under_fault
from tests.support.kafka import kafka_server

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(240)]

ON_POSTGRES = ("stop dispatch", "kill postgres", "lock postgres", "half-open link", "corrupt link")
ON_KAFKA = ("kill dispatch", "kill back")


@pytest.fixture(scope="module")
def broker(kafka_bootstrap):
    """A broker that a test may kill."""
    with kafka_server() as server:
        yield server


@pytest.mark.parametrize("name", ON_POSTGRES)
async def test_nothing_is_lost_and_repeats_stay_within_the_bound(name):
    outcome = await under_fault(FAULTS[name], seed=1)
    print(outcome)
    outcome.check()


@pytest.mark.kafka
@pytest.mark.parametrize("name", ON_KAFKA)
async def test_the_same_on_kafka(name, broker):
    outcome = await under_fault(FAULTS[name], seed=1, bus="kafka", broker=broker)
    print(outcome)
    outcome.check()
