"""Two groups of processes on one PostgreSQL and one Kafka, workers added and removed under load."""

import pytest

from tests.scenarios.scale_out import scale_out

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(300)]


async def test_processes_come_die_and_go_under_load_and_every_message_has_one_end(kafka_bootstrap):
    """P1, P2, P3, P6: shards and partitions change hands within 15 s; short form of the scenario `scale-out`."""
    figures = await scale_out(mps=120, seconds=5, bootstrap=kafka_bootstrap)
    print(figures)
