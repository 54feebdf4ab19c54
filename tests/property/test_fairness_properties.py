"""Properties of the class pick, the account turns and the retry schedule."""

from collections import defaultdict, deque
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.message import MessageClass
from gateway.domain.outcomes import Refusal, Refused
from gateway.policy.fairness import AccountRoundRobin, ClassPicker, LaneShares
from gateway.policy.retry import DELAYS_MS, Action, next_step, retry_delay_ms

QUANTUM = 10
works = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans())
pushes = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, QUANTUM)), max_size=120)


@given(st.lists(works, max_size=300))
def test_a_pick_has_work_and_marketing_keeps_its_floor(history):
    picker = ClassPicker(LaneShares(otp_share=1.0))
    waited = 0
    for otp, transactional, collections, _ in history:
        work = (False, transactional, collections, True)
        picked = picker.pick(work)
        assert work[picked]
        waited = 0 if picked == 3 else waited + 1
        assert waited <= 10
        if otp:
            assert picker.pick((True, transactional, collections, True)) == 0


@given(st.lists(works, max_size=400))
def test_otp_waits_for_one_turn_at_most_whatever_the_backlog(history):
    picker = ClassPicker()
    refused = False
    for _, *others in history:
        picked = picker.pick((True, *others))
        assert picked == 0 or not refused
        refused = picked != 0


shares = st.builds(
    LaneShares,
    otp_share=st.floats(0.5, 1.0),
    weights=st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)),
)


@given(shares, st.lists(works, min_size=1, max_size=300))
def test_p8_no_class_starves_whatever_the_shares_and_the_others_do(lane_shares, history):
    """While a class waits, it gets its weight's part of the turns that otp leaves, to within one round."""
    picker = ClassPicker(lane_shares)
    total = sum(lane_shares.weights)
    for waiting in (1, 2, 3):
        turns = 0
        for otp, *others in history:
            others[waiting - 1] = True
            picked = picker.pick((otp, *others))
            turns = 0 if picked == waiting else turns + (picked != 0)
            # One more turn of each other class than its share: strides are kept to within one.
            assert turns <= -(-total // lane_shares.weights[waiting - 1]) + 2


@given(st.floats(0.5, 0.999), st.integers(2, 400))
def test_p8_an_otp_flood_leaves_the_others_their_part_and_waits_for_one_turn_at_most(share, turns):
    picker = ClassPicker(LaneShares(otp_share=share))
    picks = [picker.pick((True, False, False, True)) for _ in range(turns)]
    assert all(0 in pair for pair in pairwise(picks))
    run = LaneShares(otp_share=share).otp_run
    assert picks.count(3) == turns // (run + 1)


@given(st.lists(st.one_of(st.tuples(st.sampled_from("abcde"), st.integers(1, 30)), st.none()), max_size=200))
def test_order_within_an_account_is_kept_and_nothing_is_lost(actions):
    lane = AccountRoundRobin(quantum=QUANTUM)
    expected = defaultdict(deque)
    length = 0
    for number, action in enumerate(actions):
        if action is not None:
            account, cost = action
            lane.push(account, (account, number), cost)
            expected[account].append(number)
            length += 1
        elif length:
            account, popped = lane.pop()
            assert popped == expected[account].popleft()
            length -= 1
        assert len(lane) == length
    while length:
        account, popped = lane.pop()
        assert popped == expected[account].popleft()
        length -= 1
    assert not any(expected.values())


@given(pushes)
def test_no_account_waits_more_than_one_full_round_of_the_others_quanta(items):
    lane = AccountRoundRobin(quantum=QUANTUM)
    waiting = defaultdict(int)
    for account, cost in items:
        lane.push(account, (account, cost), cost)
        waiting[account] += 1
    spent_since = {account: defaultdict(int) for account in waiting}
    for _ in range(len(items)):
        account, cost = lane.pop()
        waiting[account] -= 1
        spent_since[account].clear()
        for other, spent in spent_since.items():
            if other != account and waiting[other]:
                spent[account] += cost
                assert spent[account] <= QUANTUM + QUANTUM  # a quantum, plus the item that ended the turn


@given(st.sampled_from(MessageClass), st.lists(st.floats(0, 1, exclude_max=True), min_size=8, max_size=8))
def test_the_retry_schedule_increases_and_ends(message_class, jitters):
    delays = [retry_delay_ms(message_class, attempt=n + 1, jitter=jitter) for n, jitter in enumerate(jitters)]
    made = [delay for delay in delays if delay is not None]
    assert len(made) == len(DELAYS_MS[message_class])
    assert made == sorted(set(made))
    assert all(delay <= bound for delay, bound in zip(made, DELAYS_MS[message_class], strict=True))


@given(
    st.sampled_from(MessageClass),
    st.integers(1, 10),
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
)
def test_a_retry_is_always_inside_the_validity(message_class, attempt, age, validity, jitter, has_next):
    now = 1_700_000_000_000
    valid_until = now - age + validity
    decision = next_step(
        Refused("ESME_RSYSERR", "tx1", Refusal.RETRY_LATER),
        message_class=message_class,
        attempt=attempt,
        accepted_at=now - age,
        valid_until=valid_until,
        now=now,
        jitter=jitter,
        has_next_carrier=has_next,
    )
    if now >= valid_until:
        assert decision.action is Action.EXPIRE
    elif decision.action is Action.RETRY_LATER:
        assert now + decision.delay_ms < valid_until
    else:
        assert decision.action is (Action.NEXT_CARRIER if has_next else Action.FAIL)
