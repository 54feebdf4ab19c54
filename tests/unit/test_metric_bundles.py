"""Bundles count what they are told, in the labels of the catalogue; every series they know is there from the start."""

import asyncio
import time
from uuid import UUID

from prometheus_client import CollectorRegistry

from dlr.metrics import ConservationMetrics, DlrMetrics
from dlr.silence import SilenceSweeper
from gateway.bus.reader_metrics import PendingMetrics, ReaderMetrics
from gateway.bus.topics import EVENTS
from gateway.dispatch.metrics import CarrierMetrics, DispatchMetrics
from gateway.dispatch.plan import SMPP_STATUSES
from gateway.domain.lifecycle import State
from gateway.domain.outcomes import Ambiguous, Throttled
from gateway.inbound.metrics import InboundMetrics
from gateway.intake.metrics import LimiterMetrics
from gateway.ports.clock import SystemClock
from gateway.ports.links import BindFigures, BindState
from gateway.ports.record_store import FinalCount, SilentPage, SubmissionRow
from gateway.recorder.consumer import RecorderMetrics
from gateway.recorder.tallies import Tallies
from gateway.runtime.carriers import failover_pairs
from gateway.settings import Settings
from tests.perf.unmeasured import Stopwatch, bundles
from tests.support.memory_bus import MemoryBus, MemoryDatabase

DAY_MS = 86_400_000


def shown(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"caudal_{name}", labels)


def figures(**more: object) -> BindFigures:
    return BindFigures("trx1", BindState.BOUND, 0, 10, 0, 0, 0, 0, 0, None, "", **more)  # type: ignore[arg-type]


def carrier_metrics(registry: CollectorRegistry) -> CarrierMetrics:
    return DispatchMetrics(registry, carriers=("alpha",)).carrier("alpha")


def test_answers_are_counted_by_bind_and_status_and_are_there_once_a_bind_is_known():
    registry = CollectorRegistry()
    metrics = carrier_metrics(registry)
    metrics.show_binds([figures()])

    def answers(status: str, bind: str = "trx1") -> float | None:
        return shown(
            registry, "carrier_submit_responses_total", carrier="alpha", bind=bind, command_status=status
        )

    assert [answers(status) for status in (*SMPP_STATUSES, "none")] == [0] * (len(SMPP_STATUSES) + 1)
    for state in BindState:
        to_state = {"carrier": "alpha", "bind": "trx1", "to_state": state.value}
        assert shown(registry, "carrier_bind_transitions_total", **to_state) == 0
    metrics.count_submitted([5, 10, 15], by_bind={"trx1": 1, "trx2": 2})
    metrics.count_outcome(Throttled("ESME_RTHROTTLED", "trx2"))
    metrics.count_outcome(Ambiguous("response_timeout", "trx1"))
    assert (answers("ESME_ROK"), answers("ESME_ROK", "trx2")) == (1, 2)
    assert (answers("ESME_RTHROTTLED"), answers("ESME_RTHROTTLED", "trx2")) == (0, 1)
    assert answers("none") == 1


def test_failovers_are_there_for_the_pairs_that_routes_name():
    carriers = {name: {"host": "h", "port": 1, "system_id": "s"} for name in ("alpha", "beta", "gamma")}
    settings = Settings(carriers=carriers, routes=[{"carriers": ["alpha", "beta"]}, {"carriers": ["gamma"]}])
    assert failover_pairs(settings) == {("alpha", "beta"), ("beta", "alpha")}
    assert len(failover_pairs(Settings(carriers=carriers))) == 6
    registry = CollectorRegistry()
    metrics = DispatchMetrics(registry, carriers=tuple(carriers), pairs=failover_pairs(settings))

    def failovers(to_carrier: str) -> float | None:
        labels = {"from_carrier": "alpha", "to_carrier": to_carrier, "reason": "carrier_down"}
        return shown(registry, "message_failovers_total", **labels)

    assert (failovers("beta"), failovers("gamma")) == (0, None)
    metrics.expect_failovers({("alpha", "gamma")})
    metrics.touch(tuple(carriers))
    assert failovers("gamma") == 0


def test_each_answer_to_enquire_link_is_observed_once():
    registry = CollectorRegistry()
    metrics = carrier_metrics(registry)
    for count, ns in ((0, 0), (1, 20_000_000), (1, 20_000_000), (2, 40_000_000), (2, 40_000_000)):
        metrics.show_binds([figures(enquire_link_count=count, enquire_link_ns=ns)])
    assert shown(registry, "carrier_enquire_link_duration_seconds_count", carrier="alpha") == 2
    total = shown(registry, "carrier_enquire_link_duration_seconds_sum", carrier="alpha")
    assert total is not None
    assert abs(total - 0.06) < 1e-9


def test_segments_wait_from_their_submit_to_their_final_receipt():
    registry = CollectorRegistry()
    pending = PendingMetrics(registry, carriers=("alpha", "beta"))
    recorder = RecorderMetrics(registry, carriers=("alpha",), pending=pending)
    row = SubmissionRow(
        UUID(int=1), 1, 1, 1, "alpha", "id", None, "trx1", 1, "submitted", "", State.SUBMITTED, 0, 5
    )
    recorder.submitted([row, row, row, row._replace(state=State.REJECTED), row._replace(carrier="beta")])
    assert shown(registry, "dlr_pending_messages", carrier="alpha") == 3
    assert shown(registry, "dlr_pending_messages", carrier="beta") == 1
    pending.ended("alpha", 1)
    recorder.finals([FinalCount("alpha", State.UNKNOWN, 1), FinalCount("alpha", State.DELIVERED, 1)])
    assert shown(registry, "dlr_pending_messages", carrier="alpha") == 1, (
        "delivered is counted by its receipt"
    )
    assert DlrMetrics(registry, carriers=("alpha",), pending=pending) is not None
    assert shown(registry, "messages_deduplicated_total", stage="dlr") == 0


class Tally:
    """The database as the tallies see it."""

    def __init__(self) -> None:
        self.dead = 3
        self.asked = asyncio.Event()
        self.seeds = 0

    async def dead_records(self, *, limit: int) -> int:
        self.asked.set()
        return min(self.dead, limit)

    async def pending_segments(self, *, limit: int) -> dict[str, int]:
        self.seeds += 1
        return {"alpha": min(40, limit)}


async def tallied(*, is_alone: bool) -> tuple[CollectorRegistry, Tally]:
    registry, store = CollectorRegistry(), Tally()
    mine = [True]
    tallies = Tallies(
        registry,
        store=store,
        pending=PendingMetrics(registry, carriers=("alpha",)),
        is_mine=lambda: mine[0],
        is_alone=lambda: is_alone,
        every_s=0.01,
        look_s=0.01,
    )
    running = asyncio.create_task(tallies.run())
    for _ in range(3):
        store.asked.clear()
        await asyncio.wait_for(store.asked.wait(), 10)
    assert shown(registry, "dead_letter_messages") == 3
    mine[0] = False
    async with asyncio.timeout(10):
        while shown(registry, "dead_letter_messages"):  # noqa: ASYNC110 - a gauge has no event for it
            await asyncio.sleep(0.01)
    tallies.stop()
    await asyncio.wait_for(running, 10)
    return registry, store


async def test_dead_records_are_counted_by_the_process_with_the_chores():
    registry, store = await tallied(is_alone=True)
    assert store.seeds == 1, "what the process before left is taken once"
    assert shown(registry, "dlr_pending_messages", carrier="alpha") == 40


async def test_a_process_that_joins_others_does_not_count_what_they_have_counted():
    registry, store = await tallied(is_alone=False)
    assert (store.seeds, shown(registry, "dlr_pending_messages", carrier="alpha")) == (0, 0)


class Silent:
    """Two days: in the first a message was submitted and one was lost, in the second all have ended."""

    async def open_days(self, *, before_ms: int) -> list[int]:
        return [0, DAY_MS]

    async def silent_page(self, day_at, *, after, valid_before_ms, limit) -> SilentPage:
        if day_at == 0:
            return SilentPage([UUID(int=1), UUID(int=2)], 2, None, 1)
        return SilentPage([], 0, None)

    async def close_day(self, day_at: int) -> None:
        pass


async def test_messages_that_were_never_submitted_by_their_deadline_are_lost_and_counted():
    registry, bus = CollectorRegistry(), MemoryBus(MemoryDatabase())
    await bus.ensure_topics({EVENTS: 1})
    metrics = ConservationMetrics(registry)
    assert shown(registry, "conservation_lost_messages_total") == 0
    sweeper = SilenceSweeper(
        bus,
        store=Silent(),  # type: ignore[arg-type]
        clock=SystemClock(),
        metrics=metrics,
    )
    assert await sweeper.sweep() == 2
    assert shown(registry, "conservation_lost_messages_total") == 1
    assert shown(registry, "conservation_check_timestamp_seconds") > 1_700_000_000


async def test_a_search_that_was_not_finished_is_no_check():
    registry, bus = CollectorRegistry(), MemoryBus(MemoryDatabase())
    await bus.ensure_topics({EVENTS: 1})
    sweeper = SilenceSweeper(
        bus,
        store=Silent(),  # type: ignore[arg-type]
        clock=SystemClock(),
        metrics=ConservationMetrics(registry),
        is_mine=lambda: False,
    )
    await sweeper.sweep()
    assert shown(registry, "conservation_check_timestamp_seconds") == 0


def test_what_people_write_is_counted_by_kind():
    registry = CollectorRegistry()
    metrics = InboundMetrics(registry, carriers=("alpha",))
    kinds = ("opt_out", "opt_in", "keyword", "other")

    def counts() -> list[float | None]:
        return [shown(registry, "mo_received_total", carrier="alpha", kind=kind) for kind in kinds]

    assert counts() == [0, 0, 0, 0]
    for text in ("BAJA", "alta", "Ayuda", "baja la calidad", None):
        metrics.received("alpha", text)
    assert counts() == [1, 1, 1, 2]


def test_decisions_of_limiters_and_states_of_consumers_are_there_from_the_start():
    registry = CollectorRegistry()
    LimiterMetrics(registry).decided("account", is_allowed=False)
    found = {
        (limiter, decision): shown(registry, "ratelimit_decisions_total", limiter=limiter, decision=decision)
        for limiter in ("account", "smpp_credential")
        for decision in ("allow", "deny")
    }
    assert found == {
        ("account", "allow"): 0,
        ("account", "deny"): 1,
        ("smpp_credential", "allow"): 0,
        ("smpp_credential", "deny"): 0,
    }
    ReaderMetrics(registry).introduce(topic="events", group="recorder", table="messages")
    assert shown(registry, "consumer_rebalances_total", group="recorder") == 0
    assert shown(registry, "consumer_commit_failures_total", group="recorder") == 0
    assert shown(registry, "store_batch_rows_count", table="messages") == 0


def test_the_bench_of_what_metrics_cost_knows_every_bundle_and_times_the_outermost_call():
    assert bundles(), "it names methods that are gone"
    watch = Stopwatch()
    inner = watch.around("metrics", lambda: sum(range(20_000)))
    outer = watch.around("metrics", lambda: [inner() for _ in range(3)])
    began_ns = time.thread_time_ns()
    assert outer() == [sum(range(20_000))] * 3
    assert watch.calls == {"metrics": 1, "scrapes": 0, "logs": 0}
    assert 0 < watch.spent_ns["metrics"] <= time.thread_time_ns() - began_ns
