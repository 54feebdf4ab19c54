"""Property 10: any permutation and repetition of events ends in the same state; of two finals the first wins."""

from hypothesis import given
from hypothesis import strategies as st

from dlr.aggregate import weigh
from dlr.correlate import Effect, after, judge
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import FINALS, MOVES, State, message_state, move
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import Submission

STATES = st.sampled_from(list(State))
OPEN = st.sampled_from([State.SCHEDULED, State.QUEUED, State.SUBMITTED])
FINAL = st.sampled_from(sorted(FINALS))
_RANK = {State.SCHEDULED: 0, State.QUEUED: 1, State.SUBMITTED: 2} | dict.fromkeys(FINALS, 3)


def run(states: list[State], start: State = State.SCHEDULED) -> tuple[State, int]:
    changes = 0
    for to in states:
        start, is_changed = move(start, to)
        changes += is_changed
    return start, changes


@given(st.data(), st.lists(OPEN, max_size=8), FINAL)
def test_any_order_and_repetition_with_one_final_ends_in_it(
    data: st.DataObject, others: list[State], final: State
) -> None:
    events = [*others, final]
    repeated = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=8))))
    assert run(repeated)[0] is run(events)[0] is final


@given(st.data(), st.lists(OPEN, max_size=8))
def test_any_order_and_repetition_without_a_final_ends_in_the_furthest(
    data: st.DataObject, events: list[State]
) -> None:
    shuffled = data.draw(st.permutations(events * 2))
    assert run(shuffled)[0] is max([State.SCHEDULED, *events], key=_RANK.__getitem__)


@given(st.lists(STATES, max_size=20))
def test_the_first_final_wins_and_states_only_move_forward(events: list[State]) -> None:
    state = State.SCHEDULED
    for to in events:
        before = state
        state, is_changed = move(state, to)
        assert _RANK[state] >= _RANK[before]
        assert is_changed == (state is not before)
    finals = [one for one in events if one in FINALS]
    assert state is (finals[0] if finals else state)
    assert run(events)[1] <= 3


@given(STATES)
def test_nothing_follows_a_final_and_every_open_state_can_end(state: State) -> None:
    assert state.is_final == (state in FINALS) == (not MOVES[state])
    assert state.is_final or MOVES[state] >= FINALS


@given(st.data(), st.lists(STATES, min_size=1, max_size=6))
def test_the_order_of_segments_does_not_matter(data: st.DataObject, segments: list[State]) -> None:
    shuffled = data.draw(st.permutations(segments))
    assert message_state(segments, segment_count=len(segments)) == message_state(
        shuffled, segment_count=len(segments)
    )


@given(st.lists(STATES, min_size=1, max_size=6))
def test_a_message_is_final_exactly_when_all_segments_are(segments: list[State]) -> None:
    state, partial = message_state(segments, segment_count=len(segments))
    assert state.is_final == all(one.is_final for one in segments)
    assert (state is State.DELIVERED) == (set(segments) == {State.DELIVERED})
    assert partial == (state.is_final and State.DELIVERED in segments and state is not State.DELIVERED)
    assert not message_state(segments, segment_count=len(segments) + 1)[0].is_final


RECEIPTS = st.builds(
    Receipt,
    carrier=st.just("telco_a"),
    bind=st.just("rx1"),
    carrier_message_id=st.sampled_from(["1", "2", "3"]),
    message_state=st.sampled_from(list(MessageState)),
    received_at=st.just(5_000),
    intermediate=st.booleans(),
)


@given(st.data(), st.lists(RECEIPTS, max_size=10))
def test_receipts_of_segments_in_any_order_end_in_the_same_message_state(
    data: st.DataObject, receipts: list[Receipt]
) -> None:
    """Conflicting finals excepted: of each segment only the first kind of final is kept in the input."""
    finals: dict[str, State] = {}
    kept = [
        one
        for one in receipts
        if not one.state.is_final or finals.setdefault(one.carrier_message_id, one.state) is one.state
    ]
    shuffled = data.draw(st.permutations(kept * 2))
    assert play(kept)[0] == play(shuffled)[0]
    assert Effect.CONFLICT not in play(shuffled)[1]


def play(receipts: list[Receipt]) -> tuple[tuple[State, bool], list[Effect]]:
    message_id = new_uuid7(1_000, 1)
    segments = {
        str(index): Submission(message_id, index, 1, 3, State.SUBMITTED, None, None, 2_000)
        for index in (1, 2, 3)
    }
    effects = []
    for one in receipts:
        submission = segments[one.carrier_message_id]
        effects.append(judge(submission, one))
        segments[one.carrier_message_id] = after(submission, one, effects[-1])
    return weigh(segments.values(), 3), effects
