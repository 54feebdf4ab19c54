"""Deferred rows and lane leases: one suite, in memory and on PostgreSQL (rules in `gateway.ports.dispatch_store`)."""

import asyncio
from uuid import UUID

import pytest

from gateway.domain.message import MessageClass
from gateway.ports.dispatch_store import DeferredRow
from gateway.store.deferred import PostgresDeferred
from gateway.store.leases import PostgresLeases
from tests.support.memory_bus import MemoryDatabase, MemoryDeferred, MemoryLeases
from tests.support.postgres import database_url, db, postgres_server  # noqa: F401 - fixtures

TOPIC = f"lane.alpha.{MessageClass.OTP}"


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def deferred(request):
    if request.param == "memory":
        database = MemoryDatabase()
        return database, MemoryDeferred(database)
    database = request.getfixturevalue("db")
    return database, PostgresDeferred(database)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def leases(request):
    if request.param == "memory":
        store = MemoryLeases()

        async def pass_ms(duration_ms: int) -> None:
            store.now_ms += duration_ms

        return MemoryDatabase(), store, pass_ms

    async def wait_ms(duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)

    database = request.getfixturevalue("db")
    return database, PostgresLeases(database), wait_ms


def row(due_at: int, number: int = 0) -> DeferredRow:
    return DeferredRow(due_at, TOPIC, b"\x00key", f"value {number}".encode(), UUID(int=number))


async def test_1_rows_exist_when_their_transaction_commits(deferred):
    database, store = deferred
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            await store.add(tx, [row(1000)])
            raise RuntimeError
    assert await store.next_due_ms() is None
    async with database.transaction() as tx:
        await store.add(tx, [row(1_760_000_000_123)])
        await store.add(tx, [])
    assert await store.next_due_ms() == 1_760_000_000_123


async def test_2_due_rows_are_claimed_oldest_first_and_once(deferred):
    database, store = deferred
    rows = [row(3000, 3), row(1000, 1), row(2000, 2), row(2000, 4), row(9000, 9)]
    async with database.transaction() as tx:
        await store.add(tx, rows)
    async with database.transaction() as tx:
        first = await store.claim_due(tx, now_ms=3000, limit=3)
    async with database.transaction() as tx:
        second = await store.claim_due(tx, now_ms=3000, limit=3)
    assert first == [rows[1], rows[2], rows[3]]
    assert second == [rows[0]]
    assert await store.next_due_ms() == 9000


async def test_2_failed_claim_leaves_the_rows(deferred):
    database, store = deferred
    async with database.transaction() as tx:
        await store.add(tx, [row(1000)])
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            assert await store.claim_due(tx, now_ms=1000, limit=1) == [row(1000)]
            raise RuntimeError
    assert await store.next_due_ms() == 1000


@pytest.mark.postgres
async def test_2_two_claimers_never_get_the_same_row(db):  # noqa: F811
    store = PostgresDeferred(db)
    async with db.transaction() as tx:
        await store.add(tx, [row(1000 + number, number) for number in range(10)])
    async with db.transaction() as one, db.transaction() as two:
        first = await store.claim_due(one, now_ms=5000, limit=6)
        second = await store.claim_due(two, now_ms=5000, limit=6)
    assert [len(first), len(second)] == [6, 4]
    assert {found.message_id for found in first} & {found.message_id for found in second} == set()


async def test_3_lease_is_held_by_one_owner_until_it_expires(leases):
    _, store, pass_ms = leases
    mine = await store.acquire("alpha", shard=0, owner="host-a", ttl_ms=300)
    assert mine is not None
    assert await store.acquire("alpha", shard=0, owner="host-b", ttl_ms=300) is None
    assert await store.acquire("alpha", shard=1, owner="host-b", ttl_ms=300) is not None
    assert await store.renew(mine, ttl_ms=300)
    await pass_ms(350)
    theirs = await store.acquire("alpha", shard=0, owner="host-b", ttl_ms=10_000)
    assert theirs is not None
    assert theirs.epoch > mine.epoch
    assert not await store.renew(mine, ttl_ms=300)


async def test_3_same_owner_takes_over_at_once_and_fences_its_predecessor(leases):
    database, store, _ = leases
    before = await store.acquire("alpha", shard=0, owner="host-a", ttl_ms=60_000)
    after = await store.acquire("alpha", shard=0, owner="host-a", ttl_ms=60_000)
    assert after.epoch == before.epoch + 1
    async with database.transaction() as tx:
        assert await store.hold(tx, after)
        assert not await store.hold(tx, before)


async def test_3_released_lease_is_free_and_its_epoch_grows(leases):
    _, store, _ = leases
    mine = await store.acquire("alpha", shard=0, owner="host-a", ttl_ms=60_000)
    await store.release(mine)
    theirs = await store.acquire("alpha", shard=0, owner="host-b", ttl_ms=60_000)
    assert theirs.epoch == mine.epoch + 1
    await store.release(mine)  # too late: it is another's
    assert await store.renew(theirs, ttl_ms=60_000)


@pytest.mark.postgres
async def test_lease_cannot_change_hands_inside_a_transaction_that_holds_it(db):  # noqa: F811
    store = PostgresLeases(db)
    lease = await store.acquire("alpha", shard=0, owner="host-a", ttl_ms=60_000)
    async with db.transaction() as tx:
        assert await store.hold(tx, lease)
        taking = asyncio.create_task(store.acquire("alpha", shard=0, owner="host-a", ttl_ms=60_000))
        done, _ = await asyncio.wait({taking}, timeout=0.1)
        assert not done
    assert (await taking).epoch == lease.epoch + 1
