"""What a broker's trouble may cost: nothing that was acknowledged."""

import asyncio

import pytest

from gateway.bus.kafka import KafkaBus
from gateway.bus.kafka_client import KafkaAccess
from gateway.ports.bus import Commit, Position, Record
from gateway.ports.intake_store import StoreUnavailableError
from tests.support.kafka import kafka_server
from tests.support.stack import until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(180)]


@pytest.fixture
def server(kafka_bootstrap):
    """A broker of its own; the session's has fetched the jars."""
    with kafka_server() as server:
        yield server


async def test_kill_9_of_the_broker_amid_appends_loses_nothing_acknowledged_and_work_goes_on(server, db):
    bus = KafkaBus(KafkaAccess(server.bootstrap), db=db)
    await bus.start()
    try:
        await bus.ensure_topics({"four": 4})
        await bus.register_group("g", ["four"])
        acknowledged: list[bytes] = []
        failures = 0
        is_over = False

        async def appender(number: int) -> None:
            nonlocal failures
            turn = 0
            while not is_over:
                batch = [Record("four", b"%d" % n, b"%d:%d:%d" % (number, turn, n)) for n in range(20)]
                try:
                    await bus.append(batch, commits=[Commit("g", "four", number, Position(turn + 1))])
                except StoreUnavailableError:
                    failures += 1
                    await asyncio.sleep(0.2)
                else:
                    acknowledged.extend(record.value for record in batch)
                turn += 1

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(appender(number))
            await asyncio.sleep(1.5)
            await asyncio.to_thread(server.kill)
            before = len(acknowledged)
            await asyncio.sleep(1)
            await asyncio.to_thread(server.start)
            await until(lambda: len(acknowledged) >= before + 2_000, limit_s=60)
            is_over = True

        stored: set[bytes] = set()
        for partition in range(4):
            offset = 0
            while rows := await bus.read("four", partition, offset=offset, limit=1_000):
                assert [row.offset for row in rows] == list(range(offset, offset + len(rows)))
                stored.update(row.value for row in rows)
                offset = rows[-1].offset + 1
        print(f"{len(acknowledged)} acknowledged, {failures} appends failed, {len(stored)} stored")
        assert before > 0
        assert set(acknowledged) <= stored
    finally:
        await bus.close()


async def test_without_a_broker_the_bus_says_so_and_names_it(db):
    bus = KafkaBus(KafkaAccess("127.0.0.1:1"), db=db)
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"):
        await bus.start()
