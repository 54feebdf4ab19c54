"""Group commit: who shares a transaction, and what happens to the others when one goes wrong."""

import asyncio
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest

from gateway.domain.message import Message, MessageClass
from gateway.intake.journal import (
    Journal,
    JournalLimits,
    Kept,
    KeyConflict,
    KeyInUse,
    NotKept,
    Submission,
    repeat_outcome,
)
from gateway.ports.intake_store import KeptAnswer, KeyedRequest, StoreDataError
from tests.support.intake import NOW_MS, Bench


def message(bench, **more):
    return Message(
        id=bench.new_id(NOW_MS),
        account_id="acme",
        message_class=MessageClass.OTP,
        recipient="525512345678",
        sender="ACME",
        text="hi",
        encoding="gsm7",
        segment_count=1,
        accepted_at=NOW_MS,
        valid_until=NOW_MS + 1000,
        carrier="telco_a",
        **more,
    )


def submission(bench, *, key=None, body=b"{}", count=1):
    keyed = KeyedRequest("acme", "/r", key, sha256(body).digest(), 202, body) if key else None
    return Submission(
        [message(bench) for _ in range(count)], account_id="acme", status=202, body=body, keyed=keyed
    )


@asynccontextmanager
async def running(bench):
    task = asyncio.create_task(bench.journal.run())
    try:
        yield bench.journal
    finally:
        bench.journal.close()
        await asyncio.wait_for(task, 5)


def bench(**limits):
    return Bench(limits=JournalLimits(**({"linger_ms": 1.0} | limits)))


async def started(*coroutines):
    """Start the coroutines and let each run up to its first wait."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_concurrent_submissions_share_one_transaction():
    b = bench(linger_ms=20)
    async with running(b) as journal:
        outcomes = await asyncio.gather(*(journal.submit(submission(b)) for _ in range(50)))
    assert outcomes == [Kept(202, b"{}")] * 50
    assert b.database.commits == 1
    assert len(b.kept.records) == 100


async def test_a_full_group_does_not_wait_for_the_linger():
    b = bench(linger_ms=60_000, max_messages=4)
    async with running(b) as journal, asyncio.timeout(5):
        await asyncio.gather(*(journal.submit(submission(b, count=2)) for _ in range(2)))
    assert b.database.commits == 1


async def test_a_group_holds_at_most_max_messages_or_one_submission():
    b = bench(max_messages=3)
    b.database.hold = asyncio.Event()
    async with running(b) as journal:
        tasks = await started(*(journal.submit(submission(b, count=n)) for n in (1, 10, 1, 1, 1)))
        b.database.hold.set()
        await asyncio.gather(*tasks)
    assert b.database.commits == 2  # 1 + 10 opened below the bound, then the three others
    assert len(b.kept.records) == 28


async def test_a_cancelled_request_does_not_disturb_its_neighbours():
    b = bench()
    b.database.hold = asyncio.Event()
    async with running(b) as journal:
        first = await started(journal.submit(submission(b)))
        await b.database.held.wait()  # its flush has begun
        waiting, cancelled, other = await started(*(journal.submit(submission(b)) for _ in range(3)))
        cancelled.cancel()
        first[0].cancel()
        await asyncio.sleep(0)
        b.database.hold.set()
        assert await asyncio.gather(waiting, other) == [Kept(202, b"{}")] * 2
    # the one cancelled before its flush left no trace, the one cancelled within it is durable but unanswered
    assert len(b.kept.records) == 6
    assert b.journal.pending_messages == 0


async def test_a_failed_flush_fails_everyone_in_it_and_nobody_after():
    b = bench(linger_ms=10)
    b.database.fail_next = 1
    async with running(b) as journal:
        outcomes = await asyncio.gather(*(journal.submit(submission(b)) for _ in range(3)))
        assert outcomes == [NotKept("unavailable")] * 3
        assert b.kept.records == []
        assert await journal.submit(submission(b)) == Kept(202, b"{}")


async def test_a_flush_that_hangs_is_given_up_at_its_deadline():
    b = bench(flush_deadline_s=0.05)
    b.database.hold = asyncio.Event()
    async with running(b) as journal, asyncio.timeout(5):
        assert await journal.submit(submission(b)) == NotKept("timeout")
        b.database.hold.set()
        assert await journal.submit(submission(b)) == Kept(202, b"{}")


async def test_what_waited_too_long_is_given_up_without_a_transaction():
    b = bench(max_wait_s=0.2)
    b.database.hold = asyncio.Event()
    async with running(b) as journal:
        first = await started(journal.submit(submission(b)))
        await b.database.held.wait()
        late = await started(journal.submit(submission(b)))
        await asyncio.sleep(0.25)
        b.database.hold.set()
        assert await late[0] == NotKept("timeout")
        assert await first[0] == Kept(202, b"{}")
    assert b.database.commits == 1


async def test_equal_keys_never_share_a_flush_and_the_second_gets_the_first_answer():
    b = bench(linger_ms=10)
    async with running(b) as journal:
        outcomes = await asyncio.gather(
            journal.submit(submission(b, key="k", body=b"1")),
            journal.submit(submission(b, key="k", body=b"1")),
            journal.submit(submission(b, key="k", body=b"2")),
            journal.submit(submission(b, key="l", body=b"3")),
        )
    assert outcomes == [Kept(202, b"1"), Kept(202, b"1", replayed=True), KeyConflict(), Kept(202, b"3")]
    assert len(b.kept.records) == 4


async def test_the_bound_counts_messages_and_lets_one_large_submission_in():
    b = bench(max_pending_messages=5)
    b.database.hold = asyncio.Event()
    async with running(b) as journal:
        large = await started(journal.submit(submission(b, count=9)))
        assert await journal.submit(submission(b)) == NotKept("full")
        b.database.hold.set()
        assert await large[0] == Kept(202, b"{}")
        assert await journal.submit(submission(b)) == Kept(202, b"{}")


async def test_close_flushes_what_waits_and_takes_no_more():
    b = bench(linger_ms=60_000)
    async with running(b) as journal:
        waiting = await started(journal.submit(submission(b)))
        journal.close()
        assert await asyncio.wait_for(waiting[0], 5) == Kept(202, b"{}")
        assert await journal.submit(submission(b)) == NotKept("closed")


async def test_a_cancelled_loop_leaves_nobody_waiting():
    b = bench()
    b.database.hold = asyncio.Event()
    loop = asyncio.create_task(b.journal.run())
    in_flush = await started(b.journal.submit(submission(b)))
    await b.database.held.wait()
    waiting = await started(b.journal.submit(submission(b)))
    loop.cancel()
    assert [await task for task in (*in_flush, *waiting)] == [NotKept("unavailable"), NotKept("closed")]
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert isinstance(b.journal, Journal)
    assert b.kept.records == []


def test_a_kept_key_without_an_answer_is_in_use():
    request = KeyedRequest("acme", "/r", "k", b"f")
    assert repeat_outcome(request, KeptAnswer(b"f", 0, b"")) == KeyInUse()
    assert repeat_outcome(request, KeptAnswer(b"g", 202, b"")) == KeyConflict()
    assert repeat_outcome(request, KeptAnswer(b"f", 202, b"x")) == Kept(202, b"x", replayed=True)


async def test_values_the_database_refuses_harm_only_their_own_submission():
    b = bench(linger_ms=10)
    poison = submission(b, body=b"poison")
    append = b.bus.append

    async def picky(records, *, commits=(), tx=None):
        if any(record is poison.records[0] for record in records):
            raise StoreDataError("no")
        await append(records, commits=commits, tx=tx)

    b.bus.append = picky
    async with running(b) as journal:
        outcomes = await asyncio.gather(
            journal.submit(submission(b)), journal.submit(poison), journal.submit(submission(b))
        )
    assert outcomes == [Kept(202, b"{}"), NotKept("data"), Kept(202, b"{}")]
    assert len(b.kept.records) == 4
