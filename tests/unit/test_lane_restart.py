"""What a crash or a stop of a lane worker does to messages (P1, P2, D4), and what a carrier outage does (P5)."""

import asyncio
from collections import Counter

from gateway.bus.codec import encode
from gateway.dispatch.plan import DispatchSettings
from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.ports.links import Inbound
from tests.support.fake_link import THROTTLED, accepted
from tests.support.lane_rig import (
    CARRIER,
    OTHER,
    THREE_SEGMENTS,
    TWO_SEGMENTS,
    LaneRig,
    a_message,
    now_ms,
    until,
)

OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass


async def test_h16_messages_in_flight_at_a_crash_are_submitted_again_where_that_is_allowed():
    async with LaneRig(window=5) as rig:
        messages = [a_message(OTP) for _ in range(20)]
        await rig.put(*messages)
        rig.link.script = lambda segment: None
        await rig.start()
        await until(lambda: len(rig.link.written) == 5)
        await rig.crash()

        await rig.start()
        await until(lambda: len(rig.attempts()) == 20)
        assert {segment.message.id for segment in rig.link.written} == {message.id for message in messages}


async def test_p2_marketing_in_flight_at_a_crash_is_never_submitted_again():
    async with LaneRig(window=5, rate="100/s") as rig:
        messages = [a_message(MARKETING) for _ in range(30)]
        await rig.put(*messages)
        rig.link.script = lambda segment: None
        await rig.start()
        await until(lambda: len(rig.link.written) == 5)
        first_run = {segment.message.id for segment in rig.link.written}
        await rig.crash()

        await rig.start()
        await until(lambda: rig.position(MARKETING).offset == 30)
        second_run = {segment.message.id for segment in rig.link.written}
        in_doubt = {note.message_id for note in rig.notes("in_doubt")}
        assert first_run & second_run == set()
        assert first_run <= in_doubt
        assert in_doubt | second_run == {message.id for message in messages}
        assert len(in_doubt) <= 5 + 100 * 0.2 + 2  # window + what was claimed ahead
        assert all(note.state is State.SUBMITTED for note in rig.notes("in_doubt"))


async def test_p2_no_collections_message_is_written_before_its_claim_is_durable():
    async with LaneRig() as rig:
        await rig.start()
        await until(lambda: rig.worker.explain()["up"])
        rig.db.failing = True
        lane = f"lane.{CARRIER}.collections"
        rig.bus.logs[lane][0] += [encode(a_message(COLLECTIONS)) for _ in range(3)]
        await asyncio.sleep(0.3)
        assert rig.link.written == []
        rig.db.failing = False
        await until(lambda: len(rig.attempts()) == 3)


async def test_crashes_at_random_moments_lose_nothing_and_repeat_only_what_may_be_repeated():
    async with LaneRig(window=8, rate="2000/s") as rig:
        messages = [a_message(name) for _ in range(150) for name in MessageClass]
        await rig.put(*messages)
        copies: Counter = Counter()
        crashes = 0
        while crashes < 6:
            await rig.start()
            await asyncio.sleep(0.01 + 0.007 * crashes)
            copies.update(segment.message.id for segment in rig.link.written)
            await rig.crash()
            crashes += 1
        await rig.start()
        await until(lambda: all(rig.position(name).offset == 150 for name in MessageClass))
        copies.update(segment.message.id for segment in rig.link.written)
        told = {event.message_id for event in rig.events()}
        assert told == {message.id for message in messages}
        in_doubt = {note.message_id for note in rig.notes("in_doubt")}
        for message in messages:
            if message.message_class.resends_in_doubt:
                assert copies[message.id] >= 1
            else:
                assert copies[message.id] <= 1
                assert copies[message.id] == 1 or message.id in in_doubt


async def test_d4_restart_skips_what_was_done_out_of_order():
    async with LaneRig(window=5) as rig:
        messages = [a_message() for _ in range(5)]
        await rig.put(*messages)
        rig.link.script = lambda segment: None if segment.message.id == messages[0].id else accepted(1)
        await rig.start()
        await until(lambda: rig.position(TRANSACTIONAL).completed == ((1, 5),))
        await rig.crash()
        await rig.start()
        await until(lambda: rig.position(TRANSACTIONAL).offset == 5)
        assert [segment.message.id for segment in rig.link.written] == [messages[0].id]


async def test_h10_stop_waits_for_answers_and_leaves_no_doubt():
    async with LaneRig(rate="200/s", window=5) as rig:
        messages = [a_message(MARKETING) for _ in range(100)]
        await rig.put(*messages)
        await rig.start()
        await until(lambda: len(rig.attempts()) >= 5)
        link = rig.link
        unanswered = await rig.stop()
        assert unanswered == 0
        assert len(rig.attempts()) == len(link.written)
        assert rig.position(MARKETING).claimed == ()

        await rig.start()
        await until(lambda: rig.position(MARKETING).offset == 100)
        assert Counter(event.message_id for event in rig.attempts()) == Counter(
            message.id for message in messages
        )
        assert rig.notes("in_doubt") == []


async def test_submits_without_answer_at_a_stop_end_as_their_class_says():
    async with LaneRig(window=5) as rig:
        otp, marketing = a_message(OTP), a_message(MARKETING)
        rig.link.script = lambda segment: None
        await rig.put(otp, marketing)
        await rig.start()
        await until(lambda: len(rig.link.written) == 2)
        assert await rig.stop(deadline_s=0.05) == 2
        assert [message.id for message in rig.deferred_messages()] == [otp.id]
        (event,) = rig.attempts(marketing.id)
        assert (event.state, event.segments[0].outcome) == (State.SUBMITTED, "ambiguous")


async def test_half_sent_message_goes_on_after_a_stop_with_the_segments_that_are_left():
    async with LaneRig(window=1) as rig:
        rig.link.script = lambda segment: THROTTLED if segment.segment_index == 3 else accepted(1)
        message = a_message(MARKETING, text=THREE_SEGMENTS)
        await rig.put(message)
        await rig.start()
        await until(lambda: rig.notes("throttled"))
        reference = rig.link.written[0].payload.udh[3]
        await rig.stop()
        (event,) = rig.attempts()
        assert [result.segment_index for result in event.segments] == [1, 2]

        await rig.start()
        await until(lambda: len(rig.attempts()) == 2)
        assert rig.written() == [3]
        assert rig.link.written[0].payload.udh[3] == reference
        assert rig.attempts()[-1].state is State.SUBMITTED


async def test_waiting_messages_of_a_dead_carrier_move_to_their_next_one():
    settings = DispatchSettings(flush_ms=2, failover_after_s=0.05, otp_failover_after_s=0.01)
    async with LaneRig(settings=settings) as rig:
        rig.link.is_up = False
        movable = a_message(MARKETING, candidates=(OTHER,))
        stays = a_message(TRANSACTIONAL)
        expired = a_message(OTP, valid_until=now_ms() + 10, candidates=(OTHER,))
        await rig.put(movable, stays, expired)
        await rig.start()
        await until(lambda: rig.notes("moved"))
        (moved,) = rig.lane_messages(OTHER, MARKETING)
        assert (moved.id, moved.carrier, moved.candidates, moved.attempt) == (
            movable.id,
            OTHER,
            (CARRIER,),
            1,
        )
        assert [note.message_id for note in rig.notes("expired")] == [expired.id]
        assert rig.position(MARKETING).offset == 1
        assert rig.written() == []
        rig.link.go_up()
        await until(rig.attempts)
        assert [segment.message.id for segment in rig.link.written] == [stays.id]


async def test_lost_connection_settles_what_was_open_and_the_rest_waits():
    async with LaneRig(window=3) as rig:
        rig.link.script = lambda segment: None
        await rig.put(*[a_message() for _ in range(6)])
        await rig.start()
        await until(lambda: len(rig.link.written) == 3)
        rig.link.go_down()
        await until(lambda: len(rig.deferred.rows) == 3)
        assert rig.worker.explain()["constraint"] == "no_bind"
        rig.link.script = lambda segment: accepted(1)
        rig.link.go_up()
        await until(lambda: len(rig.link.written) == 6)


async def test_a_long_message_half_with_the_carrier_waits_for_it():
    settings = DispatchSettings(flush_ms=2, failover_after_s=0.0)
    async with LaneRig(window=1, settings=settings) as rig:
        rig.link.script = lambda segment: THROTTLED if segment.segment_index == 2 else accepted(1)
        await rig.put(a_message(MARKETING, text=TWO_SEGMENTS, candidates=(OTHER,)))
        await rig.start()
        await until(lambda: rig.notes("throttled"))
        rig.link.go_down()
        rig.worker.relieve()
        await asyncio.sleep(0.02)
        assert rig.lane_messages(OTHER, MARKETING) == []
        rig.link.script = lambda segment: accepted(1)
        rig.link.go_up()
        await until(rig.attempts)


def _receipt(number: int) -> Inbound:
    receipt = Receipt(CARRIER, "trx-1", f"{number:x}", MessageState.DELIVERED, now_ms())
    return Inbound(receipt, number)


async def test_p7_receipts_are_acknowledged_once_they_are_durable():
    async with LaneRig() as rig:
        await rig.start()
        await until(lambda: rig.worker.explain()["up"])
        rig.db.failing = True
        mo = MobileOriginated(CARRIER, "trx-1", "525512345678", "12345", 0, 0, "42", now_ms())
        rig.link.receive(_receipt(1), _receipt(2), Inbound(mo, 3))
        await asyncio.sleep(0.05)
        assert rig.link.acknowledged == []
        rig.db.failing = False
        await until(lambda: len(rig.link.acknowledged) == 3)
        assert all(stored for _, stored in rig.link.acknowledged)
        assert [receipt.carrier_message_id for receipt in rig.bus.payloads("receipts")] == ["1", "2"]
        assert rig.bus.payloads("mo") == [mo]


async def test_f18_receipts_that_cannot_be_stored_are_sent_back_after_the_deadline():
    settings = DispatchSettings(flush_ms=2, inbound_deadline_s=0.1, max_inbound_pending=3)
    async with LaneRig(settings=settings) as rig:
        await rig.start()
        rig.db.failing = True
        rig.link.receive(*[_receipt(number) for number in range(5)])
        assert [stored for _, stored in rig.link.acknowledged] == [False, False]  # more than may wait
        await until(lambda: len(rig.link.acknowledged) == 5)
        assert not any(stored for _, stored in rig.link.acknowledged)
        rig.db.failing = False


async def test_receipts_are_stored_in_order_and_in_batches_however_they_come():
    async with LaneRig() as rig:
        await rig.start()
        appended = []
        append = rig.bus.append

        async def watched(records, **more):
            appended.append(len(records))
            await append(records, **more)

        rig.bus.append = watched
        for first, count in ((0, 3), (3, 700), (703, 400)):
            rig.link.receive(*[_receipt(number) for number in range(first, first + count)])
        assert rig.worker.explain()["inbound_pending"] == 1103
        await until(lambda: len(rig.link.acknowledged) == 1103)
        assert appended == [500, 500, 103]
        assert [one.carrier_message_id for one in rig.bus.payloads("receipts")] == [
            f"{number:x}" for number in range(1103)
        ]
        assert rig.worker.explain()["inbound_pending"] == 0


async def test_receipts_that_wait_at_a_stop_are_stored():
    async with LaneRig() as rig:
        await rig.start()
        rig.link.receive(_receipt(1))
        await rig.stop()
        assert len(rig.bus.payloads("receipts")) == 1
