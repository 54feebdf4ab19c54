"""Properties of channels: what a plan comes to, step by step, whatever is known of it and in whatever order."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from dlr.aggregate import weigh, weigh_step
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.message import Channel, ChannelPlan, ChannelStep, Message, MessageClass, Progress
from gateway.domain.receipts import MessageState
from gateway.policy.channels import (
    TELLS_SENT,
    Next,
    Nothing,
    Sign,
    begun,
    choose_next,
    is_far_enough,
    progress_of,
)
from gateway.ports.record_store import Submission

NOW = 1_795_521_600_000
steps = st.builds(
    ChannelStep,
    channel=st.sampled_from(Channel),
    recipient=st.just("525512345678"),
    sender=st.sampled_from(["12345", "ACME"]),
    text=st.sampled_from(["hola", "adios"]),
    encoding=st.just("gsm7"),
    segment_count=st.integers(1, 3),
    carrier=st.sampled_from(["a", "b", "c"]),
    candidates=st.just(()),
    cost=st.sampled_from([None, "0.01"]),
    wait_for=st.sampled_from(Progress),
    wait_ms=st.integers(1_000, 60_000),
)
plans = st.lists(steps, max_size=4).map(lambda rest: ChannelPlan(1, tuple(rest), Progress.SENT, 60_000))
signs = st.lists(
    st.builds(
        Sign,
        segment_index=st.integers(1, 3),
        is_taken=st.booleans(),
        state=st.sampled_from([State.SUBMITTED, State.DELIVERED, State.UNDELIVERABLE, State.REJECTED]),
        receipt=st.sampled_from([None, *MessageState]),
    ),
    max_size=6,
)


def a_message(plan: ChannelPlan) -> Message:
    return Message(
        id=new_uuid7(NOW, 1),
        account_id="acme",
        message_class=MessageClass.OTP,
        recipient="525512345678",
        sender="WA",
        text="hola",
        encoding="ucs2",
        segment_count=1,
        accepted_at=NOW,
        valid_until=NOW + 300_000,
        carrier="wa",
        channel=Channel.WHATSAPP,
        attempt=3,
        reference=7,
        segments_done=(1,),
        hops=2,
        resent_in_doubt=True,
        plan=plan,
    )


@given(plans, st.sets(st.sampled_from(Channel)), st.integers(-1_000, 1_000))
def test_the_next_channel_is_the_first_wanted_one_and_none_is_begun_past_the_validity(plan, wanted, left_ms):
    found = choose_next(
        plan, now_ms=NOW, valid_until=NOW + left_ms, is_wanted=lambda step: step.channel in wanted
    )
    fitting = [index for index, step in enumerate(plan.rest) if step.channel in wanted]
    if not plan.rest:
        assert found is Nothing.NONE_LEFT
    elif left_ms <= 0:
        assert found is Nothing.VALIDITY_PASSED
    elif not fitting:
        assert found is Nothing.OPTED_OUT
    else:
        assert found == Next(fitting[0], fitting[0])


@given(plans, st.data())
def test_going_through_a_plan_ends_after_at_most_all_channels_with_attempts_of_their_own(plan, data):
    message = a_message(plan)
    names, attempts, seen = [plan.step], [message.attempt], [len(plan.rest)]
    while message.plan is not None and message.plan.rest:
        index = data.draw(st.integers(0, len(message.plan.rest) - 1))
        step, before = message.plan.rest[index], message
        message = begun(message, message.plan, index, now_ms=NOW + 1)
        assert (message.channel, message.carrier, message.text) == (step.channel, step.carrier, step.text)
        assert (message.segments_done, message.reference, message.hops) == ((), None, 0)
        assert (message.id, message.valid_until) == (before.id, before.valid_until)
        assert message.plan is not None
        assert message.plan.first_attempt == message.attempt == before.attempt + 1
        names.append(message.plan.step)
        attempts.append(message.attempt)
        seen.append(len(message.plan.rest))
    assert names == sorted(set(names))
    assert names[-1] == len(plan.rest) + 1
    assert attempts == sorted(set(attempts))
    assert seen == sorted(set(seen), reverse=True)


@given(signs, st.integers(1, 3), st.sampled_from(Channel), st.randoms())
def test_progress_needs_every_segment_and_no_order(signs, segment_count, channel, random):
    found = progress_of(signs, segment_count=segment_count, channel=channel)
    shuffled = list(signs)
    random.shuffle(shuffled)
    assert progress_of(shuffled, segment_count=segment_count, channel=channel) is found
    delivered = {sign.segment_index for sign in signs if sign.state is State.DELIVERED}
    assert (found is Progress.DELIVERED) == (len(delivered) >= segment_count)
    if found is Progress.SENT and channel in TELLS_SENT:
        told = [sign for sign in signs if sign.receipt is not None or sign.state is State.DELIVERED]
        assert len({sign.segment_index for sign in told}) >= segment_count
    assert is_far_enough(found, Progress.DELIVERED) <= is_far_enough(found, Progress.SENT)


submissions = st.lists(
    st.builds(
        lambda segment, left, state, receipt: (segment, left, state, receipt),
        st.integers(1, 2),
        st.integers(0, 2),
        st.sampled_from([State.SUBMITTED, State.SUBMITTED, State.REJECTED]),
        st.sampled_from([None, State.DELIVERED, State.UNDELIVERABLE]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one[:2],
)


@given(submissions)
def test_channels_are_weighed_each_for_itself_and_only_the_last_one_can_fail_the_message(rows):
    message_id = new_uuid7(1, 1)
    # One attempt for each step, counting up as the steps left go down.
    known = [
        Submission(message_id, segment, 3 - left, 2 if left == 0 else 1, state, receipt, None, 1_000, left)
        for segment, left, state, receipt in rows
        if left == 0 or segment == 1
    ]
    if not known:
        return
    outcomes = {weigh(order, known[0].segment_count) for order in permutations(known)}
    assert len(outcomes) == 1
    (state, _) = outcomes.pop()
    weighed = {left: weigh_step(known, left)[0] for left in {one.steps_left for one in known}}
    if State.DELIVERED in weighed.values():
        assert state is State.DELIVERED
    elif weighed.get(0) in FINALS:
        assert state is weighed[0]
    else:
        assert state not in FINALS
