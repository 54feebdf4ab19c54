"""The learned rate, answer by answer; what it does against whole carriers is in tests/property."""

from random import Random

from adapters.pace.pacing import BindPace
from tests.support.virtual_carrier import TokenBucket, VirtualBind
from throttling.aimd import FIRST_HOLD_NS, PAUSE_NS, WAIT_FOR_ANSWER, Aimd
from throttling.gcra import Gcra
from throttling.rates import SECOND_NS, Rate

MS = SECOND_NS // 1000


def busy(adaptive: Aimd, *, per_s: int, start_ns: int = SECOND_NS) -> int:
    """A second in which everything is taken at once; returns its end."""
    for number in range(per_s):
        now_ns = start_ns + number * SECOND_NS // per_s
        adaptive.sent(now_ns)
        adaptive.taken(now_ns, sent_ns=now_ns)
    return start_ns + SECOND_NS


def test_where_the_rate_was_nearly_right_a_cut_goes_just_below_it():
    adaptive = Aimd(top_per_s=100)
    now_ns = busy(adaptive, per_s=100)
    adaptive.sent(now_ns)
    assert adaptive.throttled(now_ns, sent_ns=now_ns)
    assert adaptive.rate_per_s == 95
    assert adaptive.wait_ns(now_ns) == PAUSE_NS


def test_a_refusal_right_after_a_cut_stops_the_lane_instead_of_cutting_again():
    adaptive = Aimd(top_per_s=100)
    now_ns = busy(adaptive, per_s=100)
    adaptive.sent(now_ns)
    adaptive.throttled(now_ns, sent_ns=now_ns)
    now_ns += PAUSE_NS
    adaptive.sent(now_ns)
    assert not adaptive.throttled(now_ns + MS, sent_ns=now_ns)  # the rest of the carrier's second, perhaps
    assert adaptive.rate_per_s == 95
    assert adaptive.wait_ns(now_ns + MS) == FIRST_HOLD_NS


def test_where_it_was_far_too_high_the_flight_comes_back_first_and_tells_the_share():
    adaptive = Aimd(top_per_s=1000)
    for _ in range(41):
        adaptive.sent(SECOND_NS)
    adaptive.throttled(SECOND_NS + 50 * MS, sent_ns=SECOND_NS)
    assert adaptive.wait_ns(SECOND_NS + 50 * MS) == WAIT_FOR_ANSWER
    for number in range(39):
        end = adaptive.taken if number % 4 == 0 else adaptive.throttled
        end(SECOND_NS + 60 * MS, sent_ns=SECOND_NS)
    assert adaptive.wait_ns(SECOND_NS + 60 * MS) == WAIT_FOR_ANSWER
    assert adaptive.ended(SECOND_NS + 60 * MS, sent_ns=SECOND_NS)  # the last of them
    assert adaptive.wait_ns(SECOND_NS + 60 * MS) == FIRST_HOLD_NS
    assert (
        adaptive.rate_per_s == 20
    )  # ten taken in a second, so the floor; it climbs to a quarter of the rate
    now_ns = SECOND_NS + 400 * MS
    while (rate_per_s := adaptive.rate_per_s) is not None and rate_per_s < 245:
        adaptive.sent(now_ns)
        adaptive.limited()
        adaptive.taken(now_ns, sent_ns=now_ns)
        now_ns += int(SECOND_NS / rate_per_s)
    assert now_ns < 8 * SECOND_NS


def test_a_submit_that_was_tried_in_a_storm_and_ended_without_a_word_is_followed_by_another():
    adaptive = Aimd(top_per_s=100)
    adaptive.sent(SECOND_NS)
    adaptive.throttled(SECOND_NS, sent_ns=SECOND_NS)
    now_ns = 2 * SECOND_NS
    adaptive.sent(now_ns)
    adaptive.sent(now_ns)  # whoever does not ask is counted all the same
    assert adaptive.wait_ns(now_ns + 1) == WAIT_FOR_ANSWER
    adaptive.ended(now_ns + 1, sent_ns=now_ns)
    assert adaptive.wait_ns(now_ns + 1) == 0


def test_nothing_is_learned_before_the_first_cut():
    adaptive = Aimd(top_per_s=100)
    adaptive.sent(SECOND_NS)
    assert not adaptive.ended(SECOND_NS, sent_ns=SECOND_NS)
    assert adaptive.rate_per_s is None
    assert adaptive.held_until_ns == 0


def test_a_rate_that_is_not_used_does_not_climb():
    adaptive = Aimd(top_per_s=100)
    now_ns = busy(adaptive, per_s=100)
    adaptive.sent(now_ns)
    adaptive.throttled(now_ns, sent_ns=now_ns)
    for second in range(3, 60):
        adaptive.sent(second * SECOND_NS)
        adaptive.limited()  # it says so, but takes one a second
        adaptive.taken(second * SECOND_NS, sent_ns=second * SECOND_NS)
    assert adaptive.rate_per_s == 95


def test_a_ramp_from_a_learned_rate_ends_there():
    adaptive = Aimd(top_per_s=100)
    now_ns = busy(adaptive, per_s=100)
    adaptive.sent(now_ns)
    adaptive.throttled(now_ns, sent_ns=now_ns)
    adaptive.ramp(now_ns, share=10)
    assert adaptive.rate_per_s == 9.5


class Scatter:
    """A carrier that refuses a share of everything, and what is above its limit."""

    def __init__(self, share: float, *, per_s: float = 1e6) -> None:
        self.share = share
        self._bucket = TokenBucket(per_s)
        self._uniform = Random(3).random

    def takes(self, now_ns: int) -> bool:
        return self._uniform() >= self.share and self._bucket.takes(now_ns)


def scattered(share: float) -> VirtualBind:
    pace = BindPace(carrier=Gcra(Rate.of(1000), slack_ns=12 * MS), bind=None)
    return VirtualBind(pace, Scatter(share), delay_ns=20 * MS, window=100)


def test_a_share_that_is_refused_at_any_rate_does_not_strangle_the_bind():
    for share in (0.005, 0.02, 0.1):
        bind = scattered(share)
        seen = bind.run(31 * SECOND_NS)
        taken = seen.taken_between(11 * SECOND_NS, 31 * SECOND_NS) / 20
        assert taken >= 0.85 * 1000 * (1 - share)


def test_a_limit_behind_such_a_share_is_noticed():
    bind = scattered(0.02)
    bind.run(11 * SECOND_NS)
    bind.carrier = TokenBucket(300)
    seen = bind.run(41 * SECOND_NS)
    assert seen.taken_between(21 * SECOND_NS, 41 * SECOND_NS) >= 0.85 * 300 * 20
    assert seen.waste_between(21 * SECOND_NS, 41 * SECOND_NS) < 0.02


def test_such_a_share_is_forgotten_when_it_ends():
    bind = scattered(0.02)
    bind.run(11 * SECOND_NS)
    bind.carrier.share = 0.0
    seen = bind.run(41 * SECOND_NS)
    assert seen.taken_between(31 * SECOND_NS, 41 * SECOND_NS) >= 9900


def test_such_a_share_is_looked_at_again_after_a_minute():
    bind = scattered(0.02)
    seen = bind.run(101 * SECOND_NS)
    assert seen.taken_between(11 * SECOND_NS, 101 * SECOND_NS) >= 0.8 * 980 * 90


def test_a_limit_that_is_lifted_is_found_out_within_a_minute():
    pace = BindPace(carrier=Gcra(Rate.of(500), slack_ns=12 * MS), bind=None)
    bind = VirtualBind(pace, TokenBucket(50), delay_ns=20 * MS, window=100)
    bind.run(21 * SECOND_NS)
    assert pace.learned_per_s is not None
    bind.carrier = TokenBucket(5000)
    bind.run(66 * SECOND_NS)
    assert pace.learned_per_s is None


def test_a_limit_that_falls_is_found_again():
    pace = BindPace(carrier=Gcra(Rate.of(500), slack_ns=12 * MS), bind=None)
    bind = VirtualBind(pace, TokenBucket(400), delay_ns=50 * MS, window=100)
    bind.run(21 * SECOND_NS)
    bind.carrier = TokenBucket(100)
    seen = bind.run(61 * SECOND_NS)
    assert seen.taken_between(31 * SECOND_NS, 61 * SECOND_NS) >= 0.9 * 100 * 30
    assert seen.waste_between(31 * SECOND_NS, 61 * SECOND_NS) < 0.02
