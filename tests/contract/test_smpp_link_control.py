"""SmppLink, rules 11 and 12: what an operator wishes, and how a bind in trouble comes back."""

import asyncio

import pytest

from adapters.smpp.link import SmppLink, shard_binds
from adapters.smpp.wire import constants as c
from gateway.domain.outcomes import Ambiguous, Submitted
from gateway.ports.links import GO, WAIT_FOR_EVENT, BindState, LinkWish
from tests.contract.test_smpp_link import CLOCK, JumpingClock, a_link, a_profile, mc_at
from tests.support.message_centre import a_message_centre

S = 1_000_000_000


def ready(harness):
    return harness.link.ready(harness.link._clock.monotonic_ns())


def state(harness, bind="trx1"):
    return next(figures.state for figures in harness.link.figures() if figures.bind == bind)


async def bound(harness, count):
    await harness.mc.until(
        lambda: sum(figures.state is BindState.BOUND for figures in harness.link.figures()) == count
    )


# -- rule 11: wishes --------------------------------------------------------------------------------


async def test_11_a_paused_link_keeps_its_session_hears_receipts_and_submits_nothing():
    async with a_link() as harness:
        for _ in range(2):  # as often as it is repeated
            harness.link.control(LinkWish(is_paused=True))
            assert ready(harness) == (WAIT_FOR_EVENT, "paused")
        assert harness.sink.states("trx1")[-2:] == [BindState.BOUND, BindState.PAUSED]
        harness.mc.deliver(short_message=b"hola", source_addr="573001112233", destination_addr="1234")
        await harness.mc.until(lambda: harness.sink.inbound)
        harness.link.acknowledge(harness.sink.inbound, stored=True)
        await harness.mc.until(lambda: harness.mc.answers)
        assert len(harness.mc.binds) == 1
        harness.link.control(LinkWish())
        assert harness.sink.states("trx1")[-1] is BindState.BOUND
        harness.submit()
        assert type((await harness.settled())[0]) is Submitted


async def test_11_a_bind_that_comes_up_while_it_is_paused_stays_so():
    async with a_link() as harness:
        harness.link.control(LinkWish(is_paused=True))
        harness.mc.sessions[0].abort()
        await harness.mc.until(lambda: len(harness.mc.binds) == 2 and state(harness) is BindState.PAUSED)
        assert ready(harness) == (WAIT_FOR_EVENT, "paused")


async def test_11_a_drained_link_lets_its_window_empty_unbinds_and_stays_away():
    async with a_link() as harness:
        harness.mc.answer = lambda number, pdu: None
        harness.submit()
        await harness.mc.until(lambda: harness.mc.submits)
        for _ in range(2):
            harness.link.control(LinkWish(is_drained=True))
        assert ready(harness) == (WAIT_FOR_EVENT, "drained")
        assert state(harness) is BindState.DRAINING
        harness.mc.answer_late()
        assert type((await harness.settled())[0]) is Submitted
        await harness.mc.until(lambda: state(harness) is BindState.DOWN)
        assert harness.mc.ends == ["peer_unbound"]
        assert harness.sink.changes[-1].reason == "drained"
        assert harness.link.figures()[0].last_error == ""
        await asyncio.sleep(0.15)  # some reconnect waits long
        assert len(harness.mc.binds) == 1
        harness.link.control(LinkWish())
        await bound(harness, 1)
        harness.mc.answer = harness.mc.accept
        harness.submit()
        await harness.settled(2)


async def test_11_a_drained_link_waits_for_receipts_that_are_not_stored_yet():
    async with a_link() as harness:
        harness.mc.deliver(short_message=b"hola", source_addr="573001112233", destination_addr="1234")
        await harness.mc.until(lambda: harness.sink.inbound)
        harness.link.control(LinkWish(is_drained=True))
        await asyncio.sleep(0.02)
        assert state(harness) is BindState.DRAINING
        harness.link.acknowledge(harness.sink.inbound, stored=True)
        await harness.mc.until(lambda: state(harness) is BindState.DOWN)
        assert [type(answer).__name__ for answer in harness.mc.answers] == ["Answered", "PeerUnbinding"]


async def test_11_the_window_changes_at_run_time_downwards_as_well():
    async with a_link(window_slots=4) as harness:
        harness.mc.answer = lambda number, pdu: None
        for _ in range(4):
            harness.submit()
        assert ready(harness) == (WAIT_FOR_EVENT, "window_full")
        harness.link.control(LinkWish(window_slots=2))
        assert harness.link.figures()[0].window_slots == 2
        await harness.mc.until(lambda: len(harness.mc.submits) == 4)
        harness.mc.answer_late()
        await harness.settled(4)
        harness.submit()
        harness.submit()
        assert ready(harness) == (WAIT_FOR_EVENT, "window_full")
        harness.link.control(LinkWish(window_slots=3))
        harness.submit()
        assert ready(harness) == (WAIT_FOR_EVENT, "window_full")
        harness.link.control(LinkWish())
        assert harness.link.figures()[0].window_slots == 4
        assert ready(harness) == GO
        harness.mc.sessions[0].abort()
        await harness.settled(7)
        harness.link.control(LinkWish(window_slots=1))
        await bound(harness, 1)
        harness.submit()
        assert ready(harness) == (WAIT_FOR_EVENT, "window_full")


async def test_11_reconnect_makes_the_binds_anew_one_by_one():
    async with a_link(bind_count=3) as harness:
        await bound(harness, 3)
        before = len(harness.sink.changes)
        harness.link.reconnect()
        harness.link.reconnect()  # once more is not twice
        await harness.mc.until(lambda: len(harness.mc.binds) == 6)
        await bound(harness, 3)
        # From the changes, not by looking now and then: a bind may be away for less than a look takes.
        standing, least = {"trx1", "trx2", "trx3"}, 3
        for change in harness.sink.changes[before:]:
            (standing.add if change.state is BindState.BOUND else standing.discard)(change.bind)
            least = min(least, len(standing))
        assert least == 2
        assert harness.mc.ends == ["peer_unbound"] * 3
        assert [change.reason for change in harness.sink.changes if change.state is BindState.DRAINING] == [
            "reconnect"
        ] * 3


async def test_11_a_bind_that_waits_to_try_again_does_so_at_once():
    async with a_message_centre() as mc:
        port = mc.port
    async with a_link(mc_at(port), is_bound=False, reconnect_min_s=30, reconnect_max_s=60) as harness:
        await harness.mc.until(lambda: state(harness) is BindState.DOWN)
        await harness.mc.start(port)
        try:
            harness.link.reconnect("trx1")
            await bound(harness, 1)
        finally:
            await harness.mc.stop()


async def test_11_a_bind_that_does_not_come_back_ends_the_row():
    short = {"response_timeout_s": 0.05, "unbind_timeout_s": 0.05, "connect_timeout_s": 0.05}
    async with a_link(bind_count=2, bind_timeout_s=0.05, **short) as harness:
        await bound(harness, 2)
        harness.mc.bind_status = {c.BIND_TRANSCEIVER: c.ESME_RSYSERR}
        harness.link.reconnect()
        await harness.mc.until(lambda: "peer_unbound" in harness.mc.ends)
        await asyncio.sleep(0.5)
        assert state(harness, "trx2") is BindState.BOUND
        assert harness.mc.ends.count("peer_unbound") == 1


# -- rule 12: the breaker ---------------------------------------------------------------------------


async def test_12_silence_opens_the_breaker_and_probes_close_it():
    clock = JumpingClock()
    options = {"response_timeout_s": 0.1, "breaker_probes": 2, "top_rate": "1000/s"}
    async with a_link(clock=clock, **options) as harness:
        harness.mc.answer = lambda number, pdu: None
        for _ in range(3):
            assert harness.link.figures()[0].breaker == "closed"
            harness.submit()
        await harness.settled(3)
        assert {type(outcome) for outcome in harness.outcomes} == {Ambiguous}
        permit = ready(harness)
        assert permit.reason == "breaker"
        assert 0 < permit.wait_ns <= 5 * S
        assert harness.link.figures()[0].breaker == "open"
        clock.leap_ns = permit.wait_ns
        assert harness.link.figures()[0].breaker == "half_open"
        harness.mc.answer = lambda number, pdu: None
        for _ in range(2):
            submit(harness, clock)
        assert ready(harness) == (WAIT_FOR_EVENT, "breaker")
        await harness.mc.until(lambda: len(harness.mc.submits) == 5)
        harness.mc.answer_late()
        await harness.settled(5)
        (figures,) = harness.link.figures()
        assert figures.breaker == "closed"
        assert figures.rate_per_s == 100  # a tenth at first
        assert figures.response_ms is not None


def submit(harness, clock):
    now_ns = clock.monotonic_ns()
    assert harness.link.ready(now_ns) == GO
    harness.link.submit(harness.segment(), now_ns=now_ns)


@pytest.mark.parametrize("status", [c.ESME_RTHROTTLED, c.ESME_RSYSERR, c.ESME_RINVDSTADR])
async def test_12_answers_of_any_kind_open_nothing(status):
    async with a_link() as harness:
        harness.mc.answer = lambda number, pdu: (status, "")
        now_ns = CLOCK.monotonic_ns()
        for count in range(1, 6):
            now_ns += 10 * S
            assert harness.link.ready(now_ns) == GO
            harness.link.submit(harness.segment(), now_ns=CLOCK.monotonic_ns())
            await harness.settled(count)
        assert harness.link.figures()[0].breaker == "closed"


async def test_12_a_refused_bind_is_trouble_too():
    async with a_message_centre() as mc:
        mc.bind_status = {c.BIND_TRANSCEIVER: c.ESME_RSYSERR}
        async with a_link(mc, is_bound=False) as harness:
            await mc.until(lambda: harness.link.figures()[0].breaker == "open")
            assert len(mc.binds) >= 3


# -- shares -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "shares", "numbers"),
    [(1, 1, [[1]]), (3, 2, [[1, 2], [3]]), (5, 3, [[1, 2], [3, 4], [5]]), (2, 2, [[1], [2]])],
)
async def test_binds_are_divided_over_the_shards(count, shares, numbers):
    assert [list(shard_binds(count, shares=shares, shard=shard)) for shard in range(shares)] == numbers
    links = [
        SmppLink(a_profile(1, bind_count=count), clock=CLOCK, shares=shares, shard=shard)
        for shard in range(shares)
    ]
    names = [figures.bind for link in links for figures in link.figures()]
    assert names == [f"trx{number}" for number in range(1, count + 1)]


def test_a_shard_without_a_bind_is_refused():
    with pytest.raises(ValueError, match="binds 2 is below the limit of 3"):
        shard_binds(2, shares=3, shard=0)
    with pytest.raises(ValueError, match="shard 2 is not within 0 to 1"):
        SmppLink(a_profile(1, bind_count=2), clock=CLOCK, shares=2, shard=2)
