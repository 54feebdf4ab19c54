"""Where messages go and who works what: for any carriers, members and histories."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.bus.codec import decode
from gateway.bus.members import assigned_to
from gateway.dispatch.board import CarrierBoard, Health
from gateway.dispatch.conclude import moved
from tests.support.lane_rig import a_message

NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=8, unique=True)


@given(NAMES, st.text("abc", min_size=1, max_size=9), st.integers(1, 64))
def test_every_shard_has_one_member_and_none_has_more_than_its_part(members, carrier, shards):
    owners = [assigned_to(carrier, shard, sorted(members)) for shard in range(shards)]
    counts = [owners.count(member) for member in members]
    assert sum(counts) == shards
    assert max(counts) - min(counts) <= 1


@given(NAMES.filter(lambda names: len(names) > 1), st.lists(st.integers(0, 100), max_size=12))
def test_a_message_that_moves_keeps_all_its_carriers_and_counts_its_hops(names, choices):
    message = a_message(carrier=names[0], candidates=tuple(names[1:]))
    for number, choice in enumerate(choices, start=1):
        left = message.carrier
        event, record = moved(message, to=choice % len(message.candidates), now_ms=1, reason="carrier_down")
        message = decode(record.value)
        assert {message.carrier, *message.candidates} == set(names)
        assert len(message.candidates) == len(names) - 1
        assert (message.hops, message.candidates[-1], event.carrier) == (number, left, message.carrier)
        assert message.attempt == 1


class _Clock:
    def monotonic_ns(self) -> int:
        return 0


@given(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(list(Health))), st.booleans())
def test_the_board_never_sends_where_it_knows_better(healths, takes_unknown):
    board = CarrierBoard(clock=_Clock(), stale_after_s=5, takes_unknown=takes_unknown)
    for carrier, health in healths.items():
        board.tell(carrier, shard=0, health=health)
    candidates = tuple("abcd")
    chosen = board.choose(candidates)
    ups = [carrier for carrier in candidates if healths.get(carrier) is Health.UP]
    if ups:
        assert chosen is not None
        assert candidates[chosen] == ups[0]
    elif chosen is not None:
        assert takes_unknown
        assert healths.get(candidates[chosen], Health.UNKNOWN) is Health.UNKNOWN
    assert chosen is None or board.prefer(candidates) == chosen
