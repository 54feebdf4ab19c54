"""A keyed request that is posted again after a flush of unknown end keeps its ids, and its repeats are dropped."""

import asyncio
from contextlib import asynccontextmanager
from hashlib import sha256
from uuid import UUID

from gateway.bus.codec import decode, decode_as
from gateway.bus.topics import EVENTS
from gateway.dispatch.repeats import Repeats
from gateway.domain.carried import replace
from gateway.domain.events import Accepted
from gateway.domain.ids import format_id
from gateway.domain.message import APPENDED_AGAIN, Message, MessageClass
from gateway.intake.doubts import Doubts
from gateway.intake.journal import Journal, JournalLimits, Kept, KeyConflict, KeyInUse, NotKept, Submission
from gateway.ports.intake_store import KeyedRequest, StoreUnavailableError
from tests.support.intake import (
    NOW_MS,
    MemoryBus,
    MemoryDatabase,
    MemoryDeferred,
    MemoryIdempotency,
    SetClock,
)


class LogBus(MemoryBus):
    """A bus beside the database: what was appended stays when the transaction is rolled back."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.log = []
        self.lost_answers = 0

    async def append(self, records, *, commits=(), tx=None) -> None:
        self.log.extend(records)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreUnavailableError("no answer in time")

    def lane_messages(self) -> list[Message]:
        return [decode_as(Message, one.value) for one in self.log if one.topic != EVENTS]


def a_message(number: int) -> Message:
    return Message(
        id=UUID(int=number),
        account_id="acme",
        message_class=MessageClass.COLLECTIONS,
        recipient="525512345678",
        sender="ACME",
        text="hola",
        encoding="gsm7",
        segment_count=1,
        accepted_at=NOW_MS,
        valid_until=NOW_MS + 60_000,
        carrier="telco_a",
    )


def answer_of(*numbers: int) -> bytes:
    ids = b",".join(b'{"id":"%s"}' % format_id("msg", UUID(int=number)).encode() for number in numbers)
    return b'{"results":[' + ids + b"]}"


def a_submission(
    *numbers: int, key: str | None = "k", body: bytes = b"a", client_ref: str | None = None
) -> Submission:
    answer = answer_of(*numbers)
    keyed = KeyedRequest("acme", "/r", key, sha256(body).digest(), 202, answer) if key else None
    return Submission(
        [replace(a_message(one), client_ref=client_ref) for one in numbers],
        account_id="acme",
        status=202,
        body=answer,
        keyed=keyed,
        claim_client_refs=client_ref is not None,
    )


class Process:
    """What lives on when a process dies: the database and the log."""

    def __init__(self) -> None:
        self.database = MemoryDatabase()
        self.bus = LogBus(self.database)

    @asynccontextmanager
    async def journal(self, *, outlive: bool = True):
        journal = Journal(
            transactions=self.database,
            bus=self.bus,
            idempotency=MemoryIdempotency(self.database),
            deferred=MemoryDeferred(),
            clock=SetClock(),
            limits=JournalLimits(linger_ms=1.0),
            appends_outlive_transactions=outlive,
        )
        task = asyncio.create_task(journal.run())
        try:
            yield journal
        finally:
            journal.close()
            await asyncio.wait_for(task, 30)

    def status(self, key: str = "k") -> int:
        return self.database.durable.keys["acme", "/r", key][0].status


def left_of(messages: list[Message]) -> list[Message]:
    """Return what whoever reads the lane goes on with."""
    sift = Repeats().sift
    return [one for message in messages if (one := sift(message)) is not None]


async def test_p2_a_request_whose_append_was_in_doubt_goes_by_its_first_ids():
    process = Process()
    async with process.journal() as journal:
        process.bus.lost_answers = 1
        assert await journal.submit(a_submission(1, 2)) == NotKept("unavailable")
        assert process.status() == -202
        assert await journal.submit(a_submission(3, 4)) == Kept(202, answer_of(1, 2), replayed=True)
    found = process.bus.lane_messages()
    assert [(one.id.int, one.attempt) for one in found] == [
        (1, 1),
        (2, 1),
        (1, APPENDED_AGAIN),
        (2, APPENDED_AGAIN),
    ]
    assert left_of(found) == [a_message(1), a_message(2)]
    events = [decode(one.value) for one in process.bus.log if one.topic == EVENTS]
    assert events == [Accepted(a_message(1)), Accepted(a_message(2))] * 2


async def test_p1_p2_the_same_when_the_process_died_in_between():
    process = Process()
    async with process.journal() as journal:
        process.bus.lost_answers = 1
        await journal.submit(a_submission(1))
    async with process.journal() as journal:
        assert await journal.submit(a_submission(2)) == Kept(202, answer_of(1), replayed=True)
    assert left_of(process.bus.lane_messages()) == [a_message(1)]
    assert process.status() == 202


async def test_a_key_whose_messages_are_appended_answers_from_the_database_and_appends_nothing():
    process = Process()
    async with process.journal() as journal:
        assert await journal.submit(a_submission(1)) == Kept(202, answer_of(1))
    assert process.status() == 202
    async with process.journal() as journal:
        assert await journal.submit(a_submission(2)) == Kept(202, answer_of(1), replayed=True)
        assert await journal.submit(a_submission(3, body=b"b")) == KeyConflict()
    assert process.bus.lane_messages() == [a_message(1)]


async def test_p2_however_often_it_fails_the_ids_stay():
    process = Process()
    async with process.journal() as journal:
        for number in (1, 2, 3):
            process.bus.lost_answers = 1
            await journal.submit(a_submission(number))
        assert await journal.submit(a_submission(4)) == Kept(202, answer_of(1), replayed=True)
    assert {one.id.int for one in process.bus.lane_messages()} == {1}


async def test_another_body_without_a_key_or_under_another_key_is_new():
    process = Process()
    async with process.journal() as journal:
        process.bus.lost_answers = 1
        await journal.submit(a_submission(1))
        assert await journal.submit(a_submission(2, body=b"b")) == KeyConflict()
        assert await journal.submit(a_submission(3, key=None)) == Kept(202, answer_of(3))
        assert await journal.submit(a_submission(4, key="other")) == Kept(202, answer_of(4))
    assert [one.id.int for one in process.bus.lane_messages()] == [1, 3, 4]


async def test_an_answer_about_other_messages_than_are_asked_for_now_is_not_adopted():
    process = Process()
    async with process.journal() as journal:
        process.bus.lost_answers = 1
        await journal.submit(a_submission(1, 2))
    async with process.journal() as journal:
        assert await journal.submit(a_submission(3)) == KeyInUse()


async def test_p2_what_claims_a_reference_is_remembered_by_the_process():
    process = Process()
    async with process.journal() as journal:
        process.bus.lost_answers = 1
        assert await journal.submit(a_submission(1, client_ref="r")) == NotKept("unavailable")
        assert process.database.durable.keys == {}
        outcome = await journal.submit(a_submission(2, client_ref="r"))
        assert outcome == Kept(202, answer_of(1), replayed=True)
    assert left_of(process.bus.lane_messages()) == [replace(a_message(1), client_ref="r")]


async def test_where_a_rollback_undoes_the_append_nothing_is_remembered():
    process = Process()
    async with process.journal(outlive=False) as journal:
        process.bus.lost_answers = 1
        await journal.submit(a_submission(1))
        assert await journal.submit(a_submission(2)) == Kept(202, answer_of(2))
    assert [one.attempt for one in process.bus.lane_messages()] == [1, 1]


def test_what_is_in_doubt_is_bounded_in_messages_and_in_age():
    doubts = Doubts(max_messages=4, kept_s=10)
    for number in range(5):
        doubts.add(a_submission(number, key=str(number)), now_s=float(number))
    assert len(doubts) == 4
    assert doubts.find(a_submission(9, key="0"), now_s=5.0) is None
    found = doubts.find(a_submission(9, key="1"), now_s=5.0)
    assert found is not None
    assert found.messages == [a_message(1)]
    assert doubts.find(a_submission(9, key="1"), now_s=12.0) is None
    assert len(doubts) == 3
    doubts.resolve(a_submission(9, key="3"))
    doubts.resolve(a_submission(9, key=None))
    assert len(doubts) == 2


def test_a_repeat_that_was_never_met_is_a_message_and_an_attempt_is_none():
    sift = Repeats(limit=2).sift
    again = replace(a_message(1), attempt=APPENDED_AGAIN)
    assert sift(again) == a_message(1)
    assert sift(again) is None
    # A retry of dispatch's own has the same id, and is no repeat; nor is a record that is read once more.
    assert sift(replace(a_message(1), attempt=2)) == replace(a_message(1), attempt=2)
    assert sift(a_message(1)) == a_message(1)
    sift(a_message(2))
    sift(a_message(3))
    assert sift(again) == a_message(1), "only so many ids are remembered"
