"""Several processes of the role `back` on one database: who reads which partition, hand-over, growth of topics."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.bus import topics
from gateway.bus.postgres import PostgresBus
from gateway.bus.reader import BatchReader, MovedError, Taken
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import LeasedShare, PartitionShares
from gateway.ports.bus import Commit, Record
from gateway.ports.clock import SystemClock
from gateway.runtime.wiring import topics as wiring
from gateway.runtime.wiring.topics import open_topics
from gateway.settings import Settings, SettingsError
from gateway.store.leases import PostgresLeases, PostgresMembers
from gateway.store.messages import PostgresMessages
from gateway.store.pool import Database
from tests.support.heard import heard
from tests.support.postgres import until

pytestmark = pytest.mark.postgres

TOPIC, GROUP, PARTITIONS = "work", "workers", 4


class Process:
    """One process: its share of the topic, and a reader that notes what it got."""

    def __init__(self, owner: str, bus: PostgresBus, db: Database, *, work_s: float = 0.0) -> None:
        clock = SystemClock()
        self.bus = bus
        self.taken: list[tuple[int, int]] = []
        self.work_s = work_s
        self.working = asyncio.Event()
        self.shares = PartitionShares(
            owner,
            role="test",
            leases=PostgresLeases(db),
            members=PostgresMembers(db),
            clock=clock,
            lease_ttl_s=1.6,
            beat_s=0.2,
            look_s=0.1,
            dead_s=0.8,
            orphan_after_s=1.0,
        )
        self.share: LeasedShare = self.shares.share(GROUP, partitions=PARTITIONS)
        self.reader = BatchReader(
            bus,
            self,
            group=GROUP,
            topic=TOPIC,
            table="test",
            db=db,
            dead=PostgresMessages(),
            clock=clock,
            metrics=ReaderMetrics(CollectorRegistry()),
            share=self.share,
            linger_s=0.01,
            idle_s=0.05,
        )
        self.tasks: list[asyncio.Task[None]] = []

    async def handle(self, batch: Sequence[Taken], commits: Sequence[Commit]) -> None:
        async with self.reader.transaction(commits) as tx:
            self.working.set()
            await asyncio.sleep(self.work_s)
            await self.bus.commit(commits, tx=tx)
        self.taken += [(one.partition, one.offset) for one in batch]

    def start(self) -> "Process":
        self.tasks = [asyncio.create_task(self.shares.run()), asyncio.create_task(self.reader.run())]
        return self

    @property
    def partitions(self) -> set[int]:
        return set(self.share.partitions())

    async def stop(self) -> None:
        """SIGTERM."""
        self.reader.stop()
        self.shares.stop()
        async with asyncio.timeout(10):
            await asyncio.gather(*self.tasks)

    async def kill(self) -> None:
        """kill -9: nothing is given back, nobody is told."""
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@pytest.fixture
async def bus(db: Database) -> PostgresBus:
    bus = PostgresBus(db)
    await bus.start()
    await bus.ensure_topics({TOPIC: PARTITIONS})
    await bus.register_group(GROUP, [TOPIC])
    return bus


@pytest.fixture
async def start(bus: PostgresBus, db: Database) -> Any:
    started: list[Process] = []

    def start(owner: str, **more: Any) -> Process:
        started.append(Process(owner, bus, db, **more).start())
        return started[-1]

    yield start
    for process in started:
        await process.kill()


def records(count: int, *, start: int = 0) -> list[Record]:
    return [Record(TOPIC, b"key%d" % n, b"%d" % n) for n in range(start, start + count)]


def everything_once(*processes: Process) -> Counter[tuple[int, int]]:
    return Counter(place for process in processes for place in process.taken)


async def test_processes_share_the_partitions_evenly_and_nothing_is_read_twice(bus, start):
    a = start("a")
    await until(lambda: a.partitions == {0, 1, 2, 3})
    b = start("b")
    await until(lambda: len(a.partitions) == len(b.partitions) == 2 and not a.partitions & b.partitions)
    for n in range(20):
        await bus.append(records(20, start=20 * n))
    await until(lambda: len(a.taken) + len(b.taken) == 400)
    assert set(everything_once(a, b).values()) == {1}
    assert a.taken
    assert b.taken


async def test_a_dead_process_is_followed_when_its_leases_run_out_and_what_it_had_in_hand_comes_again(
    bus, start
):
    a, b = start("a", work_s=30.0), start("b")
    await until(lambda: len(a.partitions) == len(b.partitions) == 2)
    await bus.append(records(100))
    await asyncio.wait_for(a.working.wait(), 10)
    await a.kill()
    await until(lambda: b.partitions == {0, 1, 2, 3})
    await until(lambda: len(b.taken) == 100)
    assert set(everything_once(b).values()) == {1}


async def test_a_stop_hands_over_at_once_after_the_batch_in_hand(bus, start, db):
    a, b = start("a", work_s=0.5), start("b")
    await until(lambda: len(a.partitions) == len(b.partitions) == 2)
    await bus.append(records(100))
    await asyncio.wait_for(a.working.wait(), 10)
    await a.stop()
    assert a.taken  # its batch was ended, not cut
    leases = [one for one in await PostgresLeases(db).in_force() if one.owner == "a"]
    assert leases == []
    await until(lambda: len(a.taken) + len(b.taken) == 100)
    assert set(everything_once(a, b).values()) == {1}


async def test_a_partition_is_given_away_only_when_its_batch_is_done(bus, start, db):
    a = start("a", work_s=1.0)
    await until(lambda: a.partitions == {0, 1, 2, 3})
    await bus.append(records(100))
    await asyncio.wait_for(a.working.wait(), 10)
    b = start("b")
    await until(lambda: len(a.partitions) == 2)
    if not a.taken:  # the batch is still in hand: so are all four leases
        owners = Counter(one.owner for one in await PostgresLeases(db).in_force())
        assert owners == {"a": 4} or a.taken
    await until(lambda: len(b.partitions) == 2)
    await until(lambda: len(a.taken) + len(b.taken) == 100)
    assert set(everything_once(a, b).values()) == {1}


async def test_a_process_back_under_its_name_has_its_partitions_at_once(start):
    a = start("a")
    await until(lambda: a.partitions == {0, 1, 2, 3})
    await a.kill()
    again = start("a")
    await until(lambda: again.partitions == {0, 1, 2, 3})
    assert {lease.epoch for lease in again.share.owned.values()} == {2}  # taken over, not waited for


async def test_what_a_process_that_was_stopped_for_long_has_in_hand_is_no_longer_its_own(bus, db):
    """SIGSTOP beyond the lease: two hold the same records, and only one of them writes."""
    await bus.append(records(10))
    late, quick = Process("late", bus, db), Process("quick", bus, db)
    for process in (late, quick):
        await process.shares.look()
        process.share.owned = dict.fromkeys(range(PARTITIONS))  # as it believes
        process.share.changed()
        await process.reader._follow_share()
    batch, _ = await late.reader._read()
    commits = late.reader._commits({one.partition: one.offset + 1 for one in batch})
    assert await quick.reader.drain() == 10
    with pytest.raises(MovedError):
        await late.handle(batch, commits)
    assert late.taken == []
    assert await late.reader.drain() == 0


async def test_leases_of_another_are_neither_renewed_nor_released_nor_taken(db):
    leases = PostgresLeases(db)
    wanted = [("@g", n) for n in range(3)]
    ours = await leases.acquire_many(wanted, owner="a", ttl_ms=60_000)
    assert [(one.shard, one.epoch) for one in sorted(ours)] == [(0, 1), (1, 1), (2, 1)]
    assert await leases.acquire_many(wanted, owner="b", ttl_ms=60_000) == []
    assert sorted(await leases.renew_many(ours, ttl_ms=60_000)) == sorted(ours)
    await leases.release_many(ours[:1])
    taken = await leases.acquire_many(wanted, owner="b", ttl_ms=60_000)
    assert [(one.owner, one.epoch) for one in taken] == [("b", 2)]
    assert sorted(await leases.renew_many(ours, ttl_ms=60_000)) == sorted(ours[1:])
    await leases.release_many([one._replace(owner="a", epoch=1) for one in taken])
    assert len(await leases.in_force()) == 3


# -- topics: made in one place, grown only where that is safe ----------------------------------------------------------


def settings(**partitions: int) -> Settings:
    return Settings.model_validate({"database_url": "postgresql://x", "bus": {"partitions": partitions}})


async def opened(bus: PostgresBus, db: Database, owner: str, **partitions: int) -> None:
    await open_topics(bus, settings(**partitions), db=db, role="back", owner=owner)


async def test_topics_grow_where_nobody_else_runs_and_nothing_is_unread(bus, db):
    members = PostgresMembers(db)
    await opened(bus, db, "first")
    assert bus.partitions(topics.EVENTS) == 1
    with heard(wiring, logger="log") as logs:
        await opened(bus, db, "second", events=3)
    assert bus.partitions(topics.EVENTS) == 1
    assert [(one["event"], one["running"]) for one in logs] == [("bus.not_grown", ["back:first"])]
    await members.leave("back", owner="first")
    await members.leave("back", owner="second")

    await bus.append([Record(topics.EVENTS, b"k", b"v")])
    with heard(wiring, logger="log") as logs:
        await opened(bus, db, "third", events=3)
    assert [(one["event"], one["unread"]) for one in logs] == [("bus.not_grown", {topics.EVENTS: 1})]
    await members.leave("back", owner="third")
    async with db.acquire() as connection:
        await connection.execute("UPDATE bus_position SET next_offset = 1 WHERE topic = $1", topics.EVENTS)
    # The three roles of one start: the first makes it grow, the others find it so.
    await asyncio.gather(*(opened(bus, db, f"role{n}", events=3) for n in range(3)))
    assert bus.partitions(topics.EVENTS) == 3
    assert (await bus.position(topics.RECORDER_GROUP, topics.EVENTS, 2)).offset == 0


async def test_fewer_partitions_than_there_are_is_refused_with_both_numbers(bus, db):
    await opened(bus, db, "first", receipts=4)
    with pytest.raises(
        SettingsError, match=r"receipts has 4 partitions, 2 are configured.*configure 4 or more"
    ):
        await opened(bus, db, "second", receipts=2)
