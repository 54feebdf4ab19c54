import pytest

from throttling.gcra import Gcra
from throttling.governor import BIND_RATE, CARRIER_RATE, GRANTED, Governor
from throttling.rates import Rate

MS = 1_000_000
S = 1_000 * MS


def make(carrier: str, bind: str) -> tuple[Governor, Gcra, Gcra]:
    wide, narrow = Gcra(Rate.parse(carrier)), Gcra(Rate.parse(bind))
    return Governor.of(carrier=wide, bind=narrow), wide, narrow


def test_a_permit_charges_every_limit():
    governor, wide, narrow = make("1000/s", "100/s")
    assert governor.offer(S) is GRANTED
    assert wide.peek(S) == MS
    assert narrow.peek(S) == 10 * MS


def test_a_refusal_charges_no_limit_and_names_the_binding_one():
    governor, wide, narrow = make("1000/s", "100/s")
    governor.offer(S)
    before = (wide.due_ns, narrow.due_ns)
    assert governor.offer(S) == (10 * MS, BIND_RATE)
    assert governor.offer(S + 2 * MS) == (8 * MS, BIND_RATE)
    assert (wide.due_ns, narrow.due_ns) == before


def test_binds_share_the_carriers_limit():
    wide = Gcra(Rate.parse("100/s"))
    first, second = (Governor.of(carrier=wide, bind=Gcra(Rate.parse("1000/s"))) for _ in range(2))
    assert first.offer(S) is GRANTED
    assert second.offer(S) == (10 * MS, CARRIER_RATE)
    assert second.offer(S + 10 * MS) is GRANTED


def test_peek_agrees_with_offer_and_explain_has_a_line_per_limit():
    governor, _, _ = make("1000/s", "100/s")
    assert governor.peek(S) is GRANTED
    governor.offer(S)
    assert governor.peek(S) == governor.offer(S)
    assert governor.explain(S) == (
        "carrier_rate: next permit in 1.000 ms; rate 1000/s, burst 26",
        "bind_rate: next permit in 10.000 ms; rate 100/s, burst 4",
    )


def test_a_late_caller_keeps_the_rate_of_the_limit_that_held_it():
    governor, _, _ = make("1000/s", "100/s")
    now, taken = 5 * S, 0
    while now < 15 * S:
        while not (permit := governor.offer(now)).wait_ns:
            taken += 1
        now += permit.wait_ns + 20 * MS
    assert 990 <= taken <= 1000 + 3


def test_one_limit_alone_is_a_governor():
    governor = Governor.of(carrier=Gcra(Rate.parse("1/s")))
    assert governor.offer(S) is GRANTED
    assert governor.offer(S) == (S, CARRIER_RATE)


def test_a_governor_without_limits_or_with_one_twice_is_refused():
    gcra = Gcra(Rate.parse("1/s"))
    with pytest.raises(ValueError, match="not 0"):
        Governor(())
    with pytest.raises(ValueError, match="comes twice"):
        Governor((("a", gcra), ("b", gcra)))
