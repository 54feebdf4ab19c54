"""The conservation ledger against its definitions, over random lives of messages and any order of the lists."""

import random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.ledger import MAX_EXAMPLES, Accepted, Ended, Taken, Told, reconcile

A, B = "525512345678", "525512345679"


LIVES = st.lists(
    st.tuples(
        st.sampled_from([A, B]),
        st.sampled_from(["otp", "marketing"]),
        st.lists(st.integers(1_000, 2_000), max_size=3),
        st.sampled_from([None, True, False]),
        st.integers(0, 2),
    ),
    max_size=25,
)


@given(LIVES, st.randoms(use_true_random=False))
def test_every_message_is_in_its_place_whatever_the_order_of_the_lists(lives, order: random.Random):
    messages, taken, ended, told = [], [], [], []
    for n, (recipient, message_class, arrivals, end, calls) in enumerate(lives):
        messages.append(Accepted(f"m{n}", n * 10, recipient, f"k{n}", message_class))
        taken += [Taken(f"k{n}", at) for at in arrivals]
        ended += [] if end is None else [Ended(f"m{n}", 3_000, was_sent=end)]
        told += [Told(f"m{n}", 4_000)] * calls
    for column in (messages, taken, ended, told):
        order.shuffle(column)
    result = reconcile(messages, taken, ended, told, wants_callbacks=True, is_excused=lambda at: at >= 1_500)

    def those(is_so) -> list[str]:
        return [f"m{n}" for n, life in enumerate(lives) if is_so(n, *life)]

    def first_excused(message_class: str, arrivals: list[int]) -> bool:
        return message_class == "otp" and sorted(arrivals)[1] >= 1_500

    def overtaken(n: int, recipient: str, message_class: str, arrivals: list[int], *_: object) -> bool:
        later = [other for other in lives[n + 1 :] if other[:2] == (recipient, message_class) and other[2]]
        return bool(arrivals) and any(min(other[2]) < min(arrivals) for other in later)

    assert (
        result.lost.examples == those(lambda n, r, c, at, end, calls: end is None and not at)[:MAX_EXAMPLES]
    )
    assert result.stuck.count == len(those(lambda n, r, c, at, end, calls: end is None))
    assert result.accepted == len(lives) == result.ended + result.stuck.count
    doubled = those(lambda n, r, c, at, end, calls: len(at) > 1)
    excused = those(lambda n, r, c, at, end, calls: len(at) > 1 and first_excused(c, at))
    assert result.duplicated_by_fault.count == len(excused)
    assert result.duplicated.count + result.duplicated_by_fault.count == len(doubled)
    assert result.invented.count == len(those(lambda n, r, c, at, end, calls: end is True and not at))
    assert result.callbacks_missing.count == len(
        those(lambda n, r, c, at, end, calls: end is not None and not calls)
    )
    assert result.callbacks_repeated.count == sum(max(calls - 1, 0) for *_, calls in lives)
    assert result.wrong_order.examples == those(overtaken)[:MAX_EXAMPLES]
