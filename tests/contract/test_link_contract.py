"""Every kind of link against the numbered rules of `gateway.ports.links`, over loopback sockets and a scripted peer.

What only one protocol has is in test_smpp_link.py, test_smpp_link_control.py and test_http_link.py.
"""

import asyncio
import logging

import pytest
import uvloop

from gateway.domain.outcomes import Ambiguous, Refusal, Refused, Submitted, Throttled, Unsent
from gateway.ports.links import GO, WAIT_FOR_EVENT, BindState, LinkWish
from tests.support.link_rigs import CLOCK, RIGS, SECRET, JumpingClock, a_link

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the:pytest.PytestDeprecationWarning")

S = 1_000_000_000


LOOPS = {"asyncio": asyncio.DefaultEventLoopPolicy, "uvloop": uvloop.EventLoopPolicy}
# The product uses uvloop; a transport of ours, or of a library, is tried on both.
WORLDS = [(loop, kind) for kind in RIGS for loop in LOOPS if loop == "uvloop" or kind in ("smpp", "http")]


@pytest.fixture(params=WORLDS, ids="-".join)
def world(request):
    return request.param


@pytest.fixture
def event_loop_policy(world):
    return LOOPS[world[0]]()


@pytest.fixture
def rig(world):
    return RIGS[world[1]]()


def in_doubt(outcomes):
    """Return reason and bind of outcomes that are all ambiguous; what names them besides is the dialect's."""
    assert {type(outcome) for outcome in outcomes} == {Ambiguous}
    return [(outcome.reason, outcome.bind) for outcome in outcomes]


# -- rule 1: every outcome comes through settle, once, not from inside submit -----------------------


async def test_1_success_is_submitted_with_the_carriers_id(rig):
    async with a_link(rig) as harness:
        harness.submit()
        assert harness.outcomes == []
        assert harness.link.in_flight == 1
        (outcome,) = await harness.settled()
        assert outcome == Submitted("id-1", rig.bind(1), outcome.sequence_number, outcome.response_ms)
        assert harness.link.in_flight == 0
        await rig.until(lambda: harness.sink.ready >= 2)
        assert rig.heard == 1


@pytest.mark.parametrize("meaning", ["throttle", "retry_later", "failover", "permanent"])
async def test_1_g1_refusals_are_outcomes_by_their_class(rig, meaning):
    async with a_link(rig) as harness:
        rig.refuse(meaning)
        harness.submit()
        (outcome,) = await harness.settled()
        assert (outcome.status, outcome.bind) == (rig.statuses[meaning], rig.bind(1))
        if meaning == "throttle":
            assert isinstance(outcome, Throttled)
        else:
            assert isinstance(outcome, Refused)
            assert outcome.refusal is Refusal(meaning)


async def test_1_submit_without_a_go_is_a_bug(rig):
    async with a_link(rig) as harness:
        with pytest.raises(RuntimeError, match="GO"):
            harness.link.submit(harness.segment(), now_ns=0)


async def test_1_a_bug_in_settle_costs_only_its_own_segment(rig):
    async with a_link(rig) as harness:
        segment = harness.segment()

        def broken(segment, outcome):
            raise KeyError("a bug")

        segment.settle = broken
        harness.submit(segment)
        harness.submit()
        (outcome,) = await harness.settled()
        assert isinstance(outcome, Submitted)
        await rig.until(lambda: harness.link.in_flight == 0)


async def test_1_bugs_in_the_sink_cost_neither_the_bind_nor_the_outcomes(rig):
    async with a_link(rig) as harness:

        def broken(*arguments):
            raise KeyError("a bug")

        harness.sink.on_ready = harness.sink.on_bind_changed = broken
        rig.refuse("throttle")
        harness.submit()
        await harness.settled()
        assert harness.figures().state is BindState.THROTTLED


# -- rule 2: Unsent only when nothing left ----------------------------------------------------------


async def test_2_a_lost_connection_makes_written_submits_ambiguous(rig):
    async with a_link(rig) as harness:
        rig.hold()
        harness.submit()
        await harness.heard(1)
        rig.drop()
        assert in_doubt(await harness.settled()) == [("connection_lost", rig.bind(1))]


async def test_2_what_was_not_written_is_unsent(rig):
    async with a_link(rig) as harness:
        harness.submit()
        harness.link.abort()
        assert harness.outcomes == [Unsent("aborted")]
        await asyncio.sleep(0.02)
        assert rig.heard == 0


async def test_2_what_was_written_when_the_link_is_aborted_is_ambiguous(rig):
    async with a_link(rig) as harness:
        rig.hold()
        harness.submit()
        await harness.heard(1)
        harness.link.abort()
        assert in_doubt(harness.outcomes) == [("aborted", rig.bind(1))]


# -- rule 3: bounded by the windows ----------------------------------------------------------------


async def test_3_h2_a_full_window_is_not_ready_and_nothing_is_queued(rig):
    async with a_link(rig, window_slots=3) as harness:
        rig.hold()
        for _ in range(3):
            harness.submit()
        assert harness.ready() == (WAIT_FOR_EVENT, "window_full")
        await harness.heard(3)
        ready_before = harness.sink.ready
        rig.answer_held()
        await harness.settled(3)
        await rig.until(lambda: harness.sink.ready > ready_before)
        assert harness.ready() == GO


async def test_3_the_binds_of_a_carrier_share_the_load(rig):
    async with a_link(rig, bind_count=2, window_slots=2) as harness:
        await harness.bound(2)
        rig.hold()
        for _ in range(4):
            harness.submit()
        assert [figures.window_in_use for figures in harness.link.figures()] == [2, 2]
        assert harness.link.in_flight == 4


async def test_3_the_rate_is_waited_for_and_named(rig):
    async with a_link(rig, rate="1/s", burst=0) as harness:
        harness.submit()
        permit = harness.ready()
        assert permit.reason == "carrier_rate"
        assert 0 < permit.wait_ns <= 1_000_000_000


async def test_g3_a_throttle_answer_holds_only_the_bind_that_got_it(rig):
    async with a_link(rig, bind_count=2, rate="1000/s") as harness:
        await harness.bound(2)
        rig.refuse("throttle")
        harness.submit()
        await harness.settled()
        throttled = [
            figures.bind for figures in harness.link.figures() if figures.state is BindState.THROTTLED
        ]
        assert len(throttled) == 1
        rig.take()
        await asyncio.sleep(0.002)
        harness.submit()
        await harness.settled(2)
        assert harness.outcomes[1].bind not in throttled


async def test_g3_a_throttled_bind_is_bound_again_after_a_while_of_success(rig):
    clock = JumpingClock()
    async with a_link(rig, clock=clock, bind_rate="1000/s") as harness:
        rig.refuse("throttle")
        harness.submit()
        await harness.settled()
        assert harness.figures().state is BindState.THROTTLED
        assert harness.figures().throttled_count == 1
        rig.take()
        clock.leap_ns = 6 * S
        harness.submit()
        await harness.settled(2)
        assert harness.figures().state is BindState.BOUND


# -- rule 4: every submit is settled by its deadline ------------------------------------------------


async def test_4_h8_no_answer_in_time_is_ambiguous(rig):
    async with a_link(rig, answer_s=0.05) as harness:
        rig.hold()
        harness.submit()
        assert in_doubt(await harness.settled()) == [("response_timeout", rig.bind(1))]
        assert harness.figures().timeout_count == 1
        assert harness.link.in_flight == 0


# -- rule 6: drain ----------------------------------------------------------------------------------


async def test_6_h10_drain_waits_for_answers(rig):
    async with a_link(rig) as harness:
        rig.hold()
        harness.submit()
        await harness.heard(1)
        draining = asyncio.create_task(harness.link.drain(deadline_s=5))
        await rig.until(lambda: BindState.DRAINING in harness.states())
        assert harness.ready() == (WAIT_FOR_EVENT, "draining")
        rig.answer_held()
        assert await draining == 0
        assert isinstance(harness.outcomes[0], Submitted)
        assert harness.states()[-1] is BindState.DOWN
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("smpp.", "http."))]


async def test_6_drain_reports_what_stayed_open_at_its_deadline(rig):
    async with a_link(rig) as harness:
        rig.hold()
        harness.submit()
        harness.submit()
        await harness.heard(2)
        assert await harness.link.drain(deadline_s=0.1) == 2
        assert {type(outcome) for outcome in harness.outcomes} == {Ambiguous}


async def test_6_drain_of_a_link_that_never_bound_is_quick(rig):
    async with a_link(rig, is_there=False) as harness:
        assert await harness.link.drain(deadline_s=0.2) == 0


# -- rule 7: typed state changes --------------------------------------------------------------------


async def test_7_states_of_a_life_are_reported_in_order(rig):
    async with a_link(rig) as harness:
        await harness.link.drain(deadline_s=1)
        assert harness.states() == [
            BindState.CONNECTING,
            BindState.BOUND,
            BindState.DRAINING,
            BindState.DOWN,
        ]
        assert {change.carrier for change in harness.sink.changes} == {"telco"}


async def test_7_a_refused_connection_is_down_with_its_reason(rig):
    async with a_link(rig, is_there=False) as harness:
        await rig.until(lambda: BindState.DOWN in harness.states())
        assert harness.sink.changes[1].reason == "connect_refused"
        assert harness.link.ready(0) == (WAIT_FOR_EVENT, "no_bind")


async def test_7_figures_tell_the_state_of_each_bind(rig):
    async with a_link(rig) as harness:
        harness.submit()
        await harness.settled()
        (figures,) = harness.link.figures()
        assert (figures.bind, figures.state, figures.window_slots) == (rig.bind(1), BindState.BOUND, 10)
        assert (figures.submitted_count, figures.window_in_use, figures.last_error) == (1, 0, "")
        assert figures.bound_since_ms is not None
        assert figures.response_ms is not None
        with pytest.raises(RuntimeError, match="started"):
            await harness.link.start(harness.sink)


# -- rule 8: reconnects -----------------------------------------------------------------------------


async def test_8_h9_after_a_lost_connection_submits_go_on(rig):
    async with a_link(rig) as harness:
        harness.submit()
        await harness.settled()
        rig.drop()
        for _ in range(20):  # turns of the loop, however long they take: both ends live in it
            await asyncio.sleep(0.001)
        await harness.bound()
        harness.submit()
        await harness.settled(2)
        assert harness.is_all_submitted


async def test_8_a_carrier_that_comes_back_is_found(rig):
    async with a_link(rig) as harness:
        await rig.stop()
        if harness.ready() == GO:  # where there is no session, the first submit finds out
            harness.submit()
        await rig.until(lambda: BindState.DOWN in harness.states())
        assert not any(isinstance(outcome, Submitted) for outcome in harness.outcomes)
        await rig.start()
        await harness.bound()
        harness.outcomes.clear()
        harness.submit()
        await harness.settled()
        assert harness.is_all_submitted


# -- rule 9: no secrets in logs ---------------------------------------------------------------------


async def test_9_nothing_is_logged_about_messages_or_secrets(rig, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    async with a_link(rig, answer_s=0.05) as harness:
        harness.submit(text="codigo 48151623")
        await harness.settled()
        rig.hold()
        harness.submit(text="codigo 48151623")
        await harness.settled(2)
        shown = repr(harness.link)
        assert "48151623" in rig.said
    logged = caplog.text + "".join(capsys.readouterr()) + shown
    for secret in ("48151623", "525512345678", SECRET):
        assert secret not in logged


# -- rule 11: wishes --------------------------------------------------------------------------------


async def test_11_a_paused_link_submits_nothing_until_it_is_wanted_again(rig):
    async with a_link(rig) as harness:
        for _ in range(2):  # as often as it is repeated
            harness.link.control(LinkWish(is_paused=True))
            assert harness.ready() == (WAIT_FOR_EVENT, "paused")
        assert harness.states()[-2:] == [BindState.BOUND, BindState.PAUSED]
        harness.link.control(LinkWish())
        assert harness.states()[-1] is BindState.BOUND
        harness.submit()
        assert type((await harness.settled())[0]) is Submitted


async def test_11_what_is_in_flight_when_a_link_is_paused_is_answered(rig):
    async with a_link(rig) as harness:
        rig.hold()
        harness.submit()
        await harness.heard(1)
        harness.link.control(LinkWish(is_paused=True))
        rig.answer_held()
        assert type((await harness.settled())[0]) is Submitted
        assert harness.figures().state is BindState.PAUSED


async def test_11_one_paused_bind_leaves_the_work_to_the_others(rig):
    async with a_link(rig, bind_count=2) as harness:
        await harness.bound(2)
        harness.link.control(LinkWish(paused_binds=frozenset({rig.bind(1), "nobody"})))
        for count in range(1, 5):
            harness.submit()
            assert (await harness.settled(count))[-1].bind == rig.bind(2)
        harness.link.control(LinkWish(paused_binds=frozenset({rig.bind(1), rig.bind(2)})))
        assert harness.ready() == (WAIT_FOR_EVENT, "paused")


async def test_11_a_drained_link_lets_its_window_empty_and_stays_away(rig):
    async with a_link(rig) as harness:
        rig.hold()
        harness.submit()
        await harness.heard(1)
        for _ in range(2):
            harness.link.control(LinkWish(is_drained=True))
        assert harness.ready() == (WAIT_FOR_EVENT, "drained")
        assert harness.figures().state is BindState.DRAINING
        rig.answer_held()
        assert type((await harness.settled())[0]) is Submitted
        await rig.until(lambda: harness.figures().state is BindState.DOWN)
        assert harness.sink.changes[-1].reason == "drained"
        assert harness.figures().last_error == ""
        await asyncio.sleep(0.15)  # some reconnect waits long
        assert harness.figures().state is BindState.DOWN
        harness.link.control(LinkWish())
        await harness.bound()
        rig.take()
        harness.submit()
        await harness.settled(2)


async def test_11_what_comes_up_while_the_link_is_drained_goes_again(rig):
    async with a_link(rig, is_there=False) as harness:
        harness.link.control(LinkWish(is_drained=True))
        await rig.start()
        await asyncio.sleep(0.15)  # some reconnect waits long
        assert harness.figures().state in (BindState.OPEN, BindState.DOWN)
        assert harness.ready() == (WAIT_FOR_EVENT, "drained")
        harness.link.reconnect()  # nothing to make anew
        assert await harness.link.drain(deadline_s=1) == 0


async def test_11_the_window_changes_at_run_time_downwards_as_well(rig):
    async with a_link(rig, window_slots=4) as harness:
        rig.hold()
        for _ in range(4):
            harness.submit()
        assert harness.ready() == (WAIT_FOR_EVENT, "window_full")
        harness.link.control(LinkWish(window_slots=2))
        assert harness.figures().window_slots == 2
        await harness.heard(4)
        rig.answer_held()
        await harness.settled(4)
        harness.submit()
        harness.submit()
        assert harness.ready() == (WAIT_FOR_EVENT, "window_full")
        harness.link.control(LinkWish(window_slots=3))
        harness.submit()
        assert harness.ready() == (WAIT_FOR_EVENT, "window_full")
        harness.link.control(LinkWish())
        assert harness.figures().window_slots == 4
        assert harness.ready() == GO
        await harness.heard(7)
        rig.answer_held()
        await harness.settled(7)


async def test_11_reconnect_makes_the_binds_anew_one_by_one(rig):
    async with a_link(rig, bind_count=3) as harness:
        await harness.bound(3)
        before = len(harness.sink.changes)
        harness.link.reconnect()
        harness.link.reconnect()  # once more is not twice
        await rig.until(
            lambda: sum(change.state is BindState.BOUND for change in harness.sink.changes[before:]) == 3
        )
        # From the changes, not by looking now and then: a bind may be away for less than a look takes.
        standing, least = {rig.bind(1), rig.bind(2), rig.bind(3)}, 3
        for change in harness.sink.changes[before:]:
            (standing.add if change.state is BindState.BOUND else standing.discard)(change.bind)
            least = min(least, len(standing))
        assert least == 2
        assert [change.reason for change in harness.sink.changes if change.state is BindState.DRAINING] == [
            "reconnect"
        ] * 3


async def test_11_one_bind_may_be_made_anew_and_a_wrong_name_is_nobody(rig):
    async with a_link(rig, bind_count=2) as harness:
        await harness.bound(2)
        harness.link.reconnect("trx9")
        harness.link.reconnect(rig.bind(2))
        await rig.until(lambda: harness.states(2).count(BindState.BOUND) == 2)
        assert BindState.DRAINING not in harness.states(1)


async def test_11_a_bind_that_waits_to_try_again_does_so_at_once(rig):
    async with a_link(rig, is_there=False, reconnect_min_s=30, reconnect_max_s=60) as harness:
        await rig.until(lambda: harness.figures().state is BindState.DOWN)
        await rig.start()
        harness.link.reconnect(rig.bind(1))
        await harness.bound()


# -- rule 12: the breaker ---------------------------------------------------------------------------


async def test_12_silence_opens_the_breaker_and_probes_close_it(rig):
    clock = JumpingClock()
    async with a_link(rig, clock=clock, answer_s=0.1, breaker_probes=2, top_rate="1000/s") as harness:
        rig.hold()
        for _ in range(3):
            assert harness.figures().breaker == "closed"
            harness.submit()
        await harness.settled(3)
        assert {type(outcome) for outcome in harness.outcomes} == {Ambiguous}
        permit = harness.ready()
        assert permit.reason == "breaker"
        assert 0 < permit.wait_ns <= 5 * S
        assert harness.figures().breaker == "open"
        clock.leap_ns = permit.wait_ns
        assert harness.figures().breaker == "half_open"
        rig.take()
        for _ in range(2):
            harness.submit()
        assert harness.ready() == (WAIT_FOR_EVENT, "breaker")
        await harness.settled(5)
        assert harness.figures().breaker == "closed"
        assert harness.figures().rate_per_s == 100  # a tenth at first


async def test_12_single_silences_among_answers_open_nothing(rig):
    async with a_link(rig, answer_s=0.2) as harness:
        for count in range(1, 9):
            (rig.take if count % 2 else rig.hold)()
            harness.submit()
            await harness.heard(count)
        await harness.settled(8)
        assert sum(type(outcome) is Ambiguous for outcome in harness.outcomes) == 4
        assert harness.figures().breaker == "closed"


@pytest.mark.parametrize("meaning", ["throttle", "failover", "permanent"])
async def test_12_answers_of_any_kind_open_nothing(rig, meaning):
    async with a_link(rig) as harness:
        rig.refuse(meaning)
        now_ns = CLOCK.monotonic_ns()
        for count in range(1, 6):
            now_ns += 10 * S
            assert harness.link.ready(now_ns) == GO
            harness.link.submit(harness.segment(), now_ns=CLOCK.monotonic_ns())
            await harness.settled(count)
        assert harness.figures().breaker == "closed"


async def test_12_after_an_outage_the_first_submits_are_few(rig):
    async with a_link(rig, is_there=False, top_rate="1000/s", window_slots=100) as harness:
        await rig.until(lambda: harness.figures().breaker == "open")
        await rig.start()
        await harness.bound()
        assert harness.figures().breaker == "half_open"
        rig.hold()
        for _ in range(3):
            harness.submit()
        assert harness.ready() == (WAIT_FOR_EVENT, "breaker")
        await harness.heard(3)
        rig.take()
        rig.answer_held()
        await harness.settled(3)
        assert harness.figures().breaker == "closed"
        assert harness.figures().rate_per_s == 100


# -- shares -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "shares", "numbers"),
    [(1, 1, [[1]]), (3, 2, [[1, 2], [3]]), (5, 3, [[1, 2], [3, 4], [5]]), (2, 2, [[1], [2]])],
)
async def test_binds_are_divided_over_the_shards(rig, count, shares, numbers):
    rig.peer.port = 1
    links = [rig.link(clock=CLOCK, bind_count=count, shares=shares, shard=shard) for shard in range(shares)]
    names = [[figures.bind for figures in link.figures()] for link in links]
    assert names == [[rig.bind(number) for number in part] for part in numbers]


async def test_a_shard_without_a_bind_is_refused(rig):
    rig.peer.port = 1
    with pytest.raises(ValueError, match="binds 2 is below the limit of 3"):
        rig.link(clock=CLOCK, bind_count=2, shares=3, shard=0)
    with pytest.raises(ValueError, match="shard 2 is not within 0 to 1"):
        rig.link(clock=CLOCK, bind_count=2, shares=2, shard=2)
