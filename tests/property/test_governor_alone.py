"""A governor of one limit answers as one whose other limits never bind."""

from hypothesis import given
from hypothesis import strategies as st

from throttling.gcra import Gcra
from throttling.governor import BIND_RATE, CARRIER_RATE, Governor
from throttling.rates import Rate

MS = 1_000_000
_NEVER_BINDS = 1_000_000


@given(
    rate=st.sampled_from(["7/s", "100/s", "333/s", "5000/s"]),
    slack_ms=st.integers(0, 50),
    repay_share=st.sampled_from([0, 100]),
    steps_us=st.lists(st.integers(0, 40_000), max_size=200),
)
def test_alone_a_limit_answers_as_in_company(
    rate: str, slack_ms: int, repay_share: int, steps_us: list[int]
) -> None:
    def limit() -> Gcra:
        return Gcra(Rate.parse(rate), slack_ns=slack_ms * MS, repay_share=repay_share)

    alone, one = Governor(((CARRIER_RATE, limit()),)), limit()
    wide = Gcra(Rate.parse("1000000/s"), burst=_NEVER_BINDS)
    company = Governor(((CARRIER_RATE, one), (BIND_RATE, wide)))
    now_ns = 1_000 * MS
    for step_us in steps_us:
        now_ns += step_us * 1_000
        assert alone.peek(now_ns) == company.peek(now_ns)
        assert alone.offer(now_ns) == company.offer(now_ns)
