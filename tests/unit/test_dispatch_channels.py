"""Dispatch and messages with channels left: it reports, and neither ends nor moves them."""

import pytest

from gateway.bus import topics
from gateway.dispatch.board import CarrierBoard, Health
from gateway.dispatch.failover import CARRIER_DOWN, Failover
from gateway.domain.carried import replace
from gateway.domain.events import StepAttempted
from gateway.domain.lifecycle import State
from gateway.domain.message import Channel, ChannelPlan, ChannelStep, Message, MessageClass, Progress
from gateway.domain.outcomes import Refusal
from gateway.domain.steps import StepFailed, StepSubmitted
from gateway.ports.clock import SystemClock
from tests.support.fake_link import AMBIGUOUS, accepted, refused
from tests.support.lane_rig import OTHER, TWO_SEGMENTS, LaneRig, a_message, now_ms, until

TRANSACTIONAL, MARKETING = MessageClass.TRANSACTIONAL, MessageClass.MARKETING
SMS = ChannelStep(Channel.SMS, "525512345678", "12345", "hola", "gsm7", 1, OTHER)
PLAN = ChannelPlan(1, (SMS,), Progress.SENT, 60_000)
LAST = replace(PLAN, step=2, rest=(), first_attempt=4)


def a_rig(**settings) -> LaneRig:
    rig = LaneRig(**settings)
    rig.bus.logs[topics.CHANNELS] = [[]]
    return rig


def told(rig: LaneRig) -> list[StepSubmitted | StepFailed]:
    return rig.bus.payloads(topics.CHANNELS)


async def concluded(rig: LaneRig, message: Message, script) -> None:
    rig.link.script = script
    await rig.start()
    await rig.put(message)
    await until(lambda: rig.attempts(message.id))


async def test_a_step_with_a_carrier_is_told_with_its_event():
    async with a_rig() as rig:
        message = a_message(plan=PLAN)
        await concluded(rig, message, lambda _: accepted())
        (event,) = rig.attempts()
        assert isinstance(event, StepAttempted)
        assert (event.state, event.steps_left) == (State.SUBMITTED, 1)
        (submitted,) = told(rig)
        assert isinstance(submitted, StepSubmitted)
        assert submitted.message == message


@pytest.mark.parametrize("text", ["hola", TWO_SEGMENTS])
async def test_a_refusal_for_good_fails_the_step_and_does_not_end_the_message(text):
    async with a_rig(window=1) as rig:
        message = a_message(plan=PLAN, text=text)
        answers = iter([accepted(), refused("131026")] if text == TWO_SEGMENTS else [refused("131026")])
        await concluded(rig, message, lambda _: next(answers))
        (event,) = rig.attempts()
        assert event.state is (State.SUBMITTED if text == TWO_SEGMENTS else State.QUEUED)
        assert [result.state for result in event.segments][-1] is State.REJECTED
        (failed,) = told(rig)
        assert isinstance(failed, StepFailed)
        assert (failed.steps_left, failed.state, failed.reason) == (1, State.REJECTED, "refused 131026")
        assert failed.message is not None
        assert failed.message.id == message.id


async def test_the_last_channel_ends_the_message_like_any_other_and_its_retries_count_from_its_start():
    async with a_rig() as rig:
        message = a_message(plan=LAST, attempt=4)
        await concluded(rig, message, lambda _: refused("131026"))
        (event,) = rig.attempts()
        assert not isinstance(event, StepAttempted)
        assert event.state is State.REJECTED
        later = a_message(plan=LAST, attempt=8)  # its fifth try here: one delay is left
        await rig.put(later)
        rig.link.script = lambda _: refused("ESME_RMSGQFUL", Refusal.RETRY_LATER)
        await until(lambda: rig.deferred_messages())
        assert [one.attempt for one in rig.deferred_messages()] == [9]
        assert told(rig) == []


@pytest.mark.parametrize("message_class", [TRANSACTIONAL, MARKETING])
async def test_a_step_in_doubt_has_its_time_once_it_is_not_sent_again(message_class):
    async with a_rig() as rig:
        message = a_message(message_class, plan=PLAN, resent_in_doubt=True)
        await concluded(rig, message, lambda _: AMBIGUOUS)
        (submitted,) = told(rig)
        assert isinstance(submitted, StepSubmitted)


async def test_p2_a_step_that_a_crash_put_in_doubt_has_its_time_too():
    async with a_rig() as rig:
        message = a_message(MARKETING, plan=PLAN)
        rig.link.script = lambda _: None
        await rig.start()
        await rig.put(message)
        await until(lambda: rig.link.written)
        await rig.crash()
        await rig.start()
        await until(lambda: rig.notes("in_doubt"))
        assert [type(one) for one in told(rig)] == [StepSubmitted]


async def test_what_cannot_be_cut_and_what_is_past_its_validity():
    async with a_rig() as rig:
        rig.link.is_up = True
        await rig.start()
        uncut = a_message(plan=PLAN, text="a" * 50_000)
        over = a_message(plan=PLAN, valid_until=now_ms() - 1)
        await rig.put(uncut, over)
        await until(lambda: len(rig.events()) == 2)
        assert [(one.state, one.message_id) for one in rig.notes("failed")] == [(None, uncut.id)]
        assert [(one.state, one.message_id) for one in rig.notes("expired")] == [(State.EXPIRED, over.id)]
        assert [(type(one), one.message_id) for one in told(rig)] == [(StepFailed, uncut.id)]  # type: ignore[union-attr]


@pytest.mark.parametrize(("health", "leaves"), [(Health.UP, True), (Health.DOWN, False)])
async def test_p5_a_dead_carrier_gives_untouched_messages_to_the_next_channel_when_that_is_up(health, leaves):
    async with a_rig() as rig:
        rig.board = CarrierBoard(clock=SystemClock(), stale_after_s=60)
        rig.board.tell(OTHER, shard=0, health=health)
        rig.link.is_up = False
        message = a_message(plan=PLAN)
        await rig.start()
        await rig.put(message)
        worker = rig.worker
        await until(lambda: worker._lanes[1].held)
        failover = Failover(
            worker._context, lanes=worker._lanes, outbox=worker._outbox, settler=worker._settler
        )
        failover.sweep(worker._lanes, now_ms=now_ms(), limit=10, reason=CARRIER_DOWN)
        if not leaves:
            assert worker._lanes[1].held == 1
            return
        await until(lambda: rig.notes("channel_left"))
        (failed,) = told(rig)
        assert isinstance(failed, StepFailed)
        assert (failed.reason, failed.state) == (CARRIER_DOWN, State.FAILED)
        assert failed.message is not None
        assert failed.message.attempt == 0  # so that the next channel begins with the first


async def test_a_later_channel_that_was_begun_twice_is_submitted_once():
    async with a_rig() as rig:
        message = a_message(plan=replace(LAST, first_attempt=2), attempt=2)
        await concluded(rig, message, lambda _: accepted())
        await rig.put(message)
        await until(lambda: rig.notes("repeat_dropped"))
        assert len(rig.written(message.id)) == 1
