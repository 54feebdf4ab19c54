"""Dead records: listed, brought back to their place, dropped."""

import pytest

from gateway.bus.postgres import PostgresBus
from gateway.ports.bus import Record
from gateway.ports.record_store import DeadRow
from gateway.store.dead import PostgresDead
from gateway.store.rows import insert_dead
from gateway.store.tallies import PostgresTallies

pytestmark = pytest.mark.postgres


@pytest.fixture
async def bus(db):
    bus = PostgresBus(db)
    await bus.start()
    await bus.ensure_topics({"one": 1, "four": 4})
    return bus


@pytest.fixture
async def dead(db):
    rows = [DeadRow("four", n % 4, n, b"value %d" % n, f"error {n}", 1_000 + n) for n in range(8)]
    rows.append(DeadRow("one", 0, 5, b"other", "why", 2_000))
    async with db.transaction() as tx:
        await insert_dead(tx, rows)
    return PostgresDead(db)


async def test_they_are_counted_to_a_limit(dead, db):
    tallies = PostgresTallies(db)
    assert (await tallies.dead_records(limit=100), await tallies.dead_records(limit=5)) == (9, 5)


async def test_a_list_says_where_and_why_and_never_what(dead):
    page = await dead.page(topic=None, before_id=None, limit=3)
    assert [(one.topic, one.partition, one.log_offset, one.error) for one in page] == [
        ("one", 0, 5, "why"),
        ("four", 3, 7, "error 7"),
        ("four", 2, 6, "error 6"),
    ]
    assert page[0].octets == 5
    assert b"value" not in str(page).encode()
    [after] = await dead.page(topic="four", before_id=page[2].id, limit=1)
    assert after.log_offset == 5
    assert await dead.counts() == {"four": 8, "one": 1}


async def test_replayed_records_are_in_their_partitions_in_order_and_no_longer_dead(dead, bus):
    assert await dead.replay(bus, topic="four") == 8
    found = {
        number: [row.value for row in await bus.read("four", number, offset=0, limit=9)]
        for number in range(4)
    }
    assert found == {number: [b"value %d" % number, b"value %d" % (number + 4)] for number in range(4)}
    assert await dead.counts() == {"one": 1}
    assert await dead.replay(bus, topic="four") == 0


async def test_single_records_are_replayed_by_id(dead, bus):
    [newest] = await dead.page(topic="one", before_id=None, limit=1)
    assert await dead.replay(bus, ids=[newest.id]) == 1
    assert [row.value for row in await bus.read("one", 0, offset=0, limit=9)] == [b"other"]


async def test_a_replay_that_fails_leaves_the_records_dead(dead, bus, monkeypatch):
    async def refuse(records: list[Record], **_: object) -> None:
        raise ConnectionError("the bus is away")

    monkeypatch.setattr(bus, "append", refuse)
    with pytest.raises(ConnectionError):
        await dead.replay(bus, topic="four")
    assert await dead.counts() == {"four": 8, "one": 1}


async def test_dropped_records_are_gone(dead):
    assert await dead.drop(topic="four") == 8
    assert await dead.drop() == 1
    assert await dead.counts() == {}
