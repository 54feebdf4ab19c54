"""The Bus contract (`gateway.ports.bus`), rule by rule, on a real PostgreSQL and a real Apache Kafka."""

import asyncio
import os
import random
import secrets
import shutil
import signal

import pytest

from gateway.bus import postgres_sql
from gateway.bus.blocks import MAX_BLOCK_OCTETS
from gateway.bus.kafka import DAY_MS, KafkaBus, KafkaTopicSettings
from gateway.bus.kafka_client import KafkaAccess, KafkaClient
from gateway.bus.postgres import CHANNEL, PostgresBus
from gateway.bus.postgres_trim import MIN_DEAD_BLOCKS, TRIM_CHUNK
from gateway.ports.bus import Commit, Position, Record
from gateway.ports.intake_store import StoreUnavailableError
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.migrate import migrate
from gateway.store.pool import Database
from tests.support.postgres import short_directory, until

pytestmark = pytest.mark.postgres

LONG_S = 30.0


TOPICS = {"one": 1, "four": 4}


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def open_bus(request):
    """A maker of buses, each as another process would have it, on one log that is empty at first."""
    url = request.getfixturevalue("database_url")
    opened = []
    topics = KafkaTopicSettings(prefix=f"t{secrets.token_hex(4)}.")
    if request.param == "kafka":
        access = KafkaAccess(request.getfixturevalue("kafka_bootstrap"))

    async def make():
        database = await Database.connect(url, max_size=4, name=f"bus{len(opened)}")
        opened.append(database)
        if request.param == "kafka":
            made = KafkaBus(access, db=database, topics=topics)
            opened.append(made)
            await made.start()
        else:
            made = PostgresBus(database)
            await made.start()
            await until_listening(database)
        return made

    yield make
    for one in reversed(opened):
        await one.close()


@pytest.fixture
async def bus(open_bus):
    """A started bus with a topic of one partition and one of four."""
    bus = await open_bus()
    await bus.ensure_topics(TOPICS)
    return bus


@pytest.fixture
async def postgres_bus(db):
    """The same on PostgreSQL alone, for what only a transaction can promise."""
    bus = PostgresBus(db)
    await bus.start()
    await bus.ensure_topics(TOPICS)
    return bus


def records(topic, *values, key=b"k"):
    return [Record(topic, key, value) for value in values]


def commit(offset, *, group="g", topic="one", partition=0, completed=(), claimed=()):
    return Commit(group, topic, partition, Position(offset, completed, claimed))


async def read_all(bus, topic):
    """Return every record of a topic by partition, checking that the offsets have no gap."""
    found = {}
    for partition in range(bus.partitions(topic)):
        rows = []
        while batch := await bus.read(topic, partition, offset=len(rows), limit=1000):
            assert [row.offset for row in batch] == list(range(len(rows), len(rows) + len(batch)))
            rows += batch
        found[partition] = [row.value for row in rows]
    return found


async def until_listening(db):
    await until(lambda: db.is_listening)


# -- topics ----------------------------------------------------------------------------------------------------------


async def test_topics_are_made_once_and_keep_their_partitions(bus):
    await bus.ensure_topics({"four": 9, "new": 2})
    assert (bus.partitions("four"), bus.partitions("new")) == (4, 2)
    with pytest.raises(KeyError):
        bus.partitions("unheard")
    with pytest.raises(ValueError, match="none"):
        await bus.ensure_topics({"none": 0})


async def test_a_topic_can_be_widened_and_keeps_what_it_holds(bus):
    await bus.append(records("one", b"before"))
    await bus.widen_topics({"one": 3, "four": 2})
    assert (bus.partitions("one"), bus.partitions("four")) == (3, 4)
    await bus.append([Record("one", b"key%d" % n, b"%d" % n) for n in range(30)])
    found = await read_all(bus, "one")
    assert found[0][0] == b"before"
    assert all(found.values())
    assert sum(map(len, found.values())) == 31


async def test_a_topic_made_by_another_process_is_found(bus, open_bus):
    other = await open_bus()
    await other.ensure_topics({"later": 2})
    await bus.append(records("later", b"x"))
    assert sum(len(rows) for rows in (await read_all(bus, "later")).values()) == 1
    with pytest.raises(KeyError):
        await bus.append(records("unheard", b"x"))


# -- rules 1 to 3: order, keys, no gaps ------------------------------------------------------------------------------


async def test_records_keep_their_order_and_offsets_start_at_zero(bus):
    await bus.append(records("one", b"a", b"b"))
    await bus.append(records("one", b"c"))
    assert [tuple(row) for row in await bus.read("one", 0, offset=0, limit=10)] == [
        (0, b"a"),
        (1, b"b"),
        (2, b"c"),
    ]


async def test_read_honours_offset_and_limit_and_is_empty_at_the_end(bus):
    await bus.append(records("one", *(b"%d" % n for n in range(10))))
    assert [row.offset for row in await bus.read("one", 0, offset=4, limit=3)] == [4, 5, 6]
    assert await bus.read("one", 0, offset=10, limit=3) == []


async def test_one_call_may_fill_many_partitions_and_topics(bus):
    batch = [Record("four", b"key%d" % n, b"%d" % n) for n in range(200)] + records("one", b"x", b"y")
    random.Random(5).shuffle(batch)
    await bus.append(batch)
    found = await read_all(bus, "four")
    assert all(found.values())
    assert sorted(value for rows in found.values() for value in rows) == sorted(b"%d" % n for n in range(200))
    for rows in found.values():
        wanted = [record.value for record in batch if record.topic == "four" and record.value in set(rows)]
        assert rows == wanted


async def test_a_key_always_lands_in_the_same_partition(bus, open_bus):
    other = await open_bus()
    for n in range(10):
        await (bus if n % 2 else other).append(records("four", b"%d" % n, key=b"525512345678"))
    assert sorted(len(rows) for rows in (await read_all(bus, "four")).values()) == [0, 0, 0, 10]


async def test_concurrent_appenders_leave_no_gap_and_keep_the_order_of_each_key(bus, open_bus):
    other = await open_bus()
    written = {}

    async def appender(number, through):
        rng = random.Random(number)
        mine = [[] for _ in range(6)]
        for turn in range(40):
            batch = []
            for _ in range(rng.randint(1, 20)):
                key = rng.randrange(6)
                value = b"%d:%d:%d:%d" % (number, key, turn, len(mine[key]))
                mine[key].append(value)
                batch.append(Record("four", b"%d/%d" % (number, key), value))
            await through.append(batch)
        written[number] = mine

    reading = True
    seen = {partition: [] for partition in range(4)}

    async def reader():
        while True:
            last = not reading
            for partition, rows in seen.items():
                batch = await bus.read("four", partition, offset=len(rows), limit=50)
                assert [row.offset for row in batch] == list(range(len(rows), len(rows) + len(batch)))
                rows += batch
                last = last and not batch
            if last:
                return

    async with asyncio.TaskGroup() as group:
        group.create_task(reader())
        async with asyncio.TaskGroup() as appenders:
            for number in range(4):
                appenders.create_task(appender(number, bus if number % 2 else other))
        reading = False
    for number, keys in written.items():
        for key, values in enumerate(keys):
            tag = b"%d:%d:" % (number, key)
            assert [r.value for rows in seen.values() for r in rows if r.value.startswith(tag)] == values


async def test_what_is_not_committed_is_not_read_and_what_is_rolled_back_leaves_no_gap(postgres_bus, db):
    with pytest.raises(RuntimeError, match="undo"):
        async with db.transaction() as tx:
            await postgres_bus.append(records("one", b"lost"), tx=tx)
            assert await postgres_bus.read("one", 0, offset=0, limit=10) == []
            raise RuntimeError("undo")
    await postgres_bus.append(records("one", b"kept"))
    assert [tuple(row) for row in await postgres_bus.read("one", 0, offset=0, limit=10)] == [(0, b"kept")]


async def test_an_empty_append_does_nothing_and_its_commits_count(bus):
    await bus.register_group("g", ["one"])
    await bus.append(records("one", b"a"))
    await bus.append([], commits=[commit(1)])
    assert await bus.position("g", "one", 0) == Position(1)


async def test_values_of_any_size_and_content_come_back(bus):
    values = [b"", b"\x00\xff", os.urandom(3000), os.urandom(200_000)]
    await bus.append(records("one", *values))
    assert [row.value for row in await bus.read("one", 0, offset=0, limit=10)] == values


# -- rules 4 to 6: commits -------------------------------------------------------------------------------------------


async def test_a_group_starts_at_the_oldest_record_kept(bus):
    await bus.append(records("one", *[b"x"] * 10))
    await bus.register_group("first", ["one"])
    await bus.commit([commit(6, group="first")])
    await bus.trim()
    await bus.register_group("late", ["one"])
    assert await bus.position("late", "one", 0) == Position(6)
    assert await bus.position("never", "one", 0) == Position(6)


async def test_registering_again_keeps_the_position(bus):
    await bus.register_group("g", ["one"])
    await bus.append(records("one", b"a", b"b"))
    await bus.commit([commit(2)])
    await bus.register_group("g", ["one", "four"])
    assert await bus.position("g", "one", 0) == Position(2)


async def test_a_commit_comes_back_with_its_ranges(bus):
    position = Position(3, ((5, 7), (9, 10)), ((3, 5), (7, 8)))
    await bus.commit([Commit("g", "four", 2, position), Commit("h", "four", 2, Position(1))])
    assert await bus.position("g", "four", 2) == position
    assert await bus.position("h", "four", 2) == Position(1)
    await bus.commit([Commit("g", "four", 2, Position(4))])
    assert await bus.position("g", "four", 2) == Position(4)


async def test_a_late_commit_of_a_former_owner_changes_nothing(bus):
    await bus.commit([commit(8, completed=((9, 10),))])
    await bus.commit([commit(5, completed=((6, 7),))])
    assert await bus.position("g", "one", 0) == Position(8, ((9, 10),))


async def test_a_held_position_keeps_others_out_and_tells_who_comes_too_late(bus, open_bus, db):
    """Rule 9: two processes that have read the same records, and one of them writes."""
    await bus.register_group("g", ["four"])
    await bus.append([Record("four", b"key%d" % n, b"%d" % n) for n in range(20)])
    other = await open_bus()
    starts = dict.fromkeys(range(4), 0)
    async with db.transaction() as tx:
        assert await bus.hold("g", "four", starts, tx=tx)
        assert await bus.hold("g", "four", {}, tx=tx)

        async def come_second():
            async with db.transaction() as late:
                return await other.hold("g", "four", {2: 0, 3: 0}, tx=late)

        second = asyncio.create_task(come_second())
        await asyncio.sleep(0.1)
        assert not second.done()
        await bus.commit([commit(3, topic="four", partition=2)], tx=tx)
    assert await asyncio.wait_for(second, 10) is False
    async with db.transaction() as tx:
        assert await other.hold("g", "four", {2: 3, 3: 0}, tx=tx)
        assert not await other.hold("g", "four", {0: 1}, tx=tx)
        assert not await other.hold("nobody", "four", {0: 0}, tx=tx)


async def test_commits_of_an_append_take_effect_with_its_records_or_not_at_all(postgres_bus, db):
    with pytest.raises(RuntimeError, match="undo"):
        async with db.transaction() as tx:
            await postgres_bus.append(records("four", b"x"), commits=[commit(4)], tx=tx)
            raise RuntimeError("undo")
    assert await postgres_bus.position("g", "one", 0) == Position(0)
    await postgres_bus.append(
        records("four", b"x"), commits=[commit(4, claimed=((5, 6),)), commit(7, topic="four")]
    )
    assert await postgres_bus.position("g", "one", 0) == Position(4, (), ((5, 6),))
    assert await postgres_bus.position("g", "four", 0) == Position(7)
    assert sum(len(rows) for rows in (await read_all(postgres_bus, "four")).values()) == 1


async def test_a_commit_joins_the_callers_transaction(postgres_bus, db):
    async with db.transaction() as tx:
        await postgres_bus.commit([commit(5)], tx=tx)
        assert await postgres_bus.position("g", "one", 0) == Position(0)
    assert await postgres_bus.position("g", "one", 0) == Position(5)


# -- rule 7: wait ----------------------------------------------------------------------------------------------------


async def test_wait_returns_on_news_long_before_its_timeout(bus):
    await bus.wait(["one"], timeout_s=0)
    async with asyncio.timeout(LONG_S / 2), asyncio.TaskGroup() as group:
        group.create_task(bus.wait(["one"], timeout_s=LONG_S))
        group.create_task(bus.append(records("one", b"x")))


async def test_news_between_a_read_and_the_wait_is_not_missed(postgres_bus, db):
    await until_listening(db)
    await postgres_bus.wait(["one"], timeout_s=0)
    heard = asyncio.Event()
    await db.listen(CHANNEL, lambda payload: heard.set() if payload else None)
    await postgres_bus.append(records("one", b"x"))
    async with asyncio.timeout(LONG_S / 2):
        await heard.wait()
        await postgres_bus.wait(["one"], timeout_s=LONG_S)


async def test_two_waiters_for_one_topic_both_hear_the_news(bus):

    async def consumer(ready, go):
        await bus.wait(["one"], timeout_s=0)
        ready.set()
        await go.wait()
        await bus.wait(["one"], timeout_s=LONG_S)

    readies, go = [asyncio.Event(), asyncio.Event()], asyncio.Event()
    async with asyncio.timeout(LONG_S / 2), asyncio.TaskGroup() as group:
        for ready in readies:
            group.create_task(consumer(ready, go))
        for ready in readies:
            await ready.wait()
        await bus.append(records("one", b"x"))
        await bus.wait(["one"], timeout_s=LONG_S / 4)
        go.set()


async def test_wait_ends_at_its_timeout_without_news_of_its_topics(bus):
    await bus.wait(["one"], timeout_s=0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.append(records("four", b"x")))
        await bus.wait(["one"], timeout_s=0.2)
    assert 0.15 < loop.time() - started < LONG_S / 2


async def test_a_waiter_whose_every_call_is_a_new_task_does_not_spin(bus):
    await asyncio.create_task(bus.wait(["one"], timeout_s=0))
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.create_task(bus.wait(["one"], timeout_s=0.2))
    assert loop.time() - started > 0.15


async def test_without_notifications_a_waiter_looks_ten_times_a_second(db):
    class Deaf:
        acquire = db.acquire
        transaction = db.transaction
        is_listening = False

        async def listen(self, channel, callback):
            """Never calls back."""

    bus = PostgresBus(Deaf())
    await bus.start()
    await bus.ensure_topics({"one": 1})
    await bus.wait(["one"], timeout_s=LONG_S)
    async with asyncio.timeout(LONG_S / 2):
        await bus.wait(["one"], timeout_s=LONG_S)


async def test_what_another_process_appends_ends_a_wait(bus, open_bus):
    other = await open_bus()
    await bus.wait(["four"], timeout_s=0)
    async with asyncio.timeout(LONG_S / 2), asyncio.TaskGroup() as group:
        group.create_task(bus.wait(["four"], timeout_s=LONG_S))
        group.create_task(other.append(records("four", b"x")))


async def test_a_short_answer_means_the_end_however_large_the_records(bus):
    values = [os.urandom(40_000) for _ in range(100)]
    for start in range(0, 100, 10):
        await bus.append(records("one", *values[start : start + 10]))
    assert [row.value for row in await bus.read("one", 0, offset=0, limit=90)] == values[:90]
    assert [row.value for row in await bus.read("one", 0, offset=90, limit=90)] == values[90:]


async def test_two_readers_of_one_partition_do_not_disturb_each_other(bus):
    await bus.append(records("one", *(b"%d" % n for n in range(1_000))))
    near, far = 0, 500
    for _ in range(50):
        near_rows = await bus.read("one", 0, offset=near, limit=7)
        far_rows = await bus.read("one", 0, offset=far, limit=9)
        assert [row.offset for row in near_rows] == list(range(near, near + 7))
        assert [row.offset for row in far_rows] == list(range(far, far + 9))
        near, far = near + 7, far + 9


# -- rule 8: lag and retention ---------------------------------------------------------------------------------------


async def test_lag_counts_what_is_not_done_and_dates_the_oldest(bus):
    await bus.register_group("g", ["one", "four"])
    await bus.append(records("one", *[b"x"] * 10))
    await bus.commit([commit(4, completed=((6, 9),))])
    lags = {(lag.topic, lag.partition): lag for lag in await bus.lag("g")}
    assert len(lags) == 5
    assert lags["one", 0].records == 3
    assert lags["one", 0].oldest_ms > 1_600_000_000_000
    assert lags["four", 1][2:] == (0, None)


async def test_retention_drops_only_what_every_registered_group_has_committed(bus):
    await bus.register_group("slow", ["one"])
    await bus.register_group("fast", ["one"])
    await bus.append(records("one", *[b"x"] * 10) + records("four", b"y"))
    await bus.commit([commit(10, group="fast"), commit(4, group="slow", completed=((6, 9),))])
    assert await bus.trim() == 4
    assert [row.offset for row in await bus.read("one", 0, offset=0, limit=100)] == list(range(4, 10))
    assert sum(len(rows) for rows in (await read_all(bus, "four")).values()) == 1
    assert await bus.trim() == 0
    await bus.append(records("one", b"next"))
    assert (await bus.read("one", 0, offset=10, limit=1))[0].value == b"next"


async def test_retention_works_in_chunks(bus):
    await bus.register_group("g", ["one"])
    count = TRIM_CHUNK + 7
    await bus.append(records("one", *[b"x"] * count))
    await bus.commit([commit(count)])
    assert await bus.trim() == count


async def test_appends_write_again_to_the_pages_of_what_was_deleted(postgres_bus, db):
    async def pages() -> int:
        async with db.acquire() as connection:
            return await connection.fetchval(postgres_sql.LOG_PAGES)

    await postgres_bus.register_group("g", ["one"])
    block = [b"x" * (MAX_BLOCK_OCTETS - 4)]
    end, sizes = 0, []
    for _ in range(3):
        end += MIN_DEAD_BLOCKS + 1
        await postgres_bus.append(records("one", *block * (MIN_DEAD_BLOCKS + 1)))
        await postgres_bus.commit([commit(end)])
        assert await postgres_bus.trim() == MIN_DEAD_BLOCKS + 1
        sizes.append(await pages())
    assert sizes[0] == sizes[1] == sizes[2] > MIN_DEAD_BLOCKS


async def test_few_pages_are_left_to_autovacuum(postgres_bus, db):
    await postgres_bus.register_group("g", ["one"])
    await postgres_bus.append(records("one", *[b"x" * (MAX_BLOCK_OCTETS - 4)] * 10))
    await postgres_bus.commit([commit(10)])
    async with db.acquire() as connection:
        before = await connection.fetchval("SELECT relpages FROM pg_class WHERE oid = 'bus_log'::regclass")
        await postgres_bus.trim()
        after = await connection.fetchval("SELECT relpages FROM pg_class WHERE oid = 'bus_log'::regclass")
    assert before == after


async def test_one_trims_and_the_others_have_nothing_to_do(postgres_bus, db):
    await postgres_bus.register_group("g", ["one"])
    await postgres_bus.append(records("one", b"x"))
    await postgres_bus.commit([commit(1)])
    async with db.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock($1)", postgres_sql.RETENTION_LOCK)
        assert await postgres_bus.trim() == 0
    assert await postgres_bus.trim() == 1


# -- the planner -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (postgres_sql.READ, (1, 0, 500)),
        (postgres_sql.TRIM, (1, 0, 500)),
        (postgres_sql.LAG, ("g",)),
        (postgres_sql.APPEND, ([1], [1], [1], [0], [1], [b"x"], CHANNEL, "1")),
        (postgres_sql.COMMIT, (["g"], ["one"], [0], [1], ["{}"], ["{}"])),
    ],
    ids=["read", "trim", "lag", "append", "commit"],
)
async def test_no_statement_scans_a_table_even_without_statistics(postgres_bus, db, statement, arguments):
    async with db.acquire() as connection:
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *arguments))
    assert "Seq Scan" not in plan
    assert "Sort Key: bus_log" not in plan


# -- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_kill_9_of_the_server_amid_appends_loses_nothing_acknowledged():
    folder = short_directory()
    server = EmbeddedPostgres(folder / "var")
    database = None
    try:
        dsn = server.start()
        await migrate(dsn)
        database = await Database.connect(dsn, max_size=6, name="crash")
        bus = PostgresBus(database)
        await bus.start()
        await bus.ensure_topics({"four": 4})
        await bus.register_group("g", ["four"])
        acknowledged = []

        async def appender(number):
            turn = 0
            while True:
                batch = [Record("four", b"%d" % n, b"%d:%d:%d" % (number, turn, n)) for n in range(20)]
                commits = [Commit("g", "four", number, Position(turn + 1))]
                try:
                    await bus.append(batch, commits=commits)
                except (StoreUnavailableError, TimeoutError):
                    return turn
                acknowledged.extend(record.value for record in batch)
                turn += 1

        for _ in range(2):
            tasks = [asyncio.create_task(appender(number)) for number in range(3)]
            enough = len(acknowledged) + 1500
            await until(lambda enough=enough: len(acknowledged) >= enough)
            os.kill(server.pid, signal.SIGKILL)
            turns = await asyncio.wait_for(asyncio.gather(*tasks), LONG_S)
            server.start()
            found = await read_all(bus, "four")
            stored = [value for rows in found.values() for value in rows]
            assert set(acknowledged) <= set(stored)
            # One append of each may have been durable without its answer; nothing was written in part.
            assert len(stored) % 20 == 0
            assert len(stored) - len(acknowledged) <= 20 * 3 * 2
            for number, turn in enumerate(turns):
                assert (await bus.position("g", "four", number)).offset >= turn
            await until_listening(database)
    finally:
        if database is not None:
            await database.close()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


# -- what only a cluster can get wrong -------------------------------------------------------------------------------


@pytest.mark.kafka
async def test_topics_are_made_well_and_judged_as_the_cluster_keeps_them(kafka_bootstrap, db):
    prefix = f"t{secrets.token_hex(4)}."
    bus = KafkaBus(KafkaAccess(kafka_bootstrap), db=db, topics=KafkaTopicSettings(prefix=prefix))
    await bus.start()
    try:
        await bus.ensure_topics({"good": 2})
        assert await bus.judge_topics({"good": 2}, keep_ms=4 * DAY_MS) == []
        [trouble] = await bus.judge_topics({"good": 2}, keep_ms=8 * DAY_MS)
        assert (trouble.topic, trouble.is_fatal) == (prefix + "good", False)
        assert f"retention.ms is {7 * DAY_MS}; below {8 * DAY_MS}" in trouble.text
        [trouble] = await bus.judge_topics({"good": 5}, keep_ms=0)
        assert (trouble.is_fatal, trouble.text) == (True, "it has 2 partitions, 5 are needed")
        # As somebody else made it.
        bad = {"cleanup.policy": "compact", "min.insync.replicas": "3", "retention.ms": "1000"}
        client = KafkaClient(KafkaAccess(kafka_bootstrap))
        await client.start()
        await client.create_topics({prefix + "bad": 1}, replication=1, settings=bad)
        await client.close()
        found = await bus.judge_topics({"bad": 1}, keep_ms=4 * DAY_MS)
        assert [one.is_fatal for one in found] == [True, True, False]
        assert "cleanup.policy is compact" in found[0].text
        assert "min.insync.replicas is 3, but it has 1 replicas" in found[1].text
    finally:
        await bus.close()
