"""The back half of the gateway on a real database, driven by hand: events and receipts in, rows and views out."""

from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from dlr.aggregate import weigh
from dlr.consumer import DlrConsumer
from dlr.metrics import ConservationMetrics, DlrMetrics
from dlr.parking import Parking, ParkingMetrics, ParkingSweeper
from dlr.silence import SilenceSweeper
from gateway.bus.codec import encode
from gateway.bus.postgres import PostgresBus
from gateway.bus.reader_metrics import PendingMetrics, ReaderMetrics
from gateway.bus.topics import EVENTS, RECEIPTS
from gateway.domain.carried import replace
from gateway.domain.events import Accepted, Attempted, Event, Noted, SegmentResult
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import State
from gateway.domain.message import Message, MessageClass
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.bus import Record
from gateway.recorder.consumer import Recorder, RecorderMetrics
from gateway.store.messages import PostgresMessages, PostgresSilence
from gateway.store.parked import PostgresOrphans, PostgresParked
from gateway.store.partitions import Partitions
from gateway.store.pool import Database
from gateway.store.receipts import PostgresSubmissions
from gateway.store.views import PostgresViews

NOON = 1_795_521_600_000 + 43_200_000
"""2026-11-25T12:00:00Z"""

HOUR = 3_600_000
DAY = 24 * HOUR


class FixedClock:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = NOON) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000


_count = iter(range(1, 1 << 60))


def a_message(**changes: Any) -> Message:
    at = changes.get("accepted_at", NOON)
    base = Message(
        id=new_uuid7(at, next(_count)),
        account_id="acme",
        message_class=MessageClass.TRANSACTIONAL,
        recipient="525512345678",
        sender="ACME",
        text="Tu código es 481516",
        encoding="gsm7",
        segment_count=1,
        accepted_at=at,
        valid_until=at + HOUR,
        carrier="telco_a",
        candidates=("telco_b",),
        route_reason="prefix 52",
        request_id="req_1",
    )
    return replace(base, **changes)


def attempted(
    message: Message,
    *ids: str | None,
    state: State = State.SUBMITTED,
    carrier: str = "telco_a",
    attempt: int = 1,
    first: int = 1,
    at: int = NOON + 40,
    **changes: Any,
) -> Attempted:
    """One attempt that settled one segment for each id, from segment `first` on; None for one that was refused."""
    segments = tuple(
        SegmentResult(
            segment_index=index,
            state=State.SUBMITTED if one is not None else State.REJECTED,
            at=at,
            outcome="submitted" if one is not None else "refused",
            status="" if one is not None else "ESME_RINVDSTADR",
            bind="tx1",
            sequence_number=4000 + index,
            response_ms=36,
            carrier_message_id=one,
        )
        for index, one in enumerate(ids, start=first)
    )
    return Attempted(message.id, at, carrier, attempt, message.segment_count, segments, state, **changes)


def receipt(carrier_message_id: str, state: MessageState = MessageState.DELIVERED, **changes: Any) -> Receipt:
    base = Receipt(
        carrier="telco_a",
        bind="rx1",
        carrier_message_id=carrier_message_id,
        message_state=state,
        received_at=NOON + 4_000,
        raw_stat=state.value[:7],
        err="000",
        done_date="2611241200",
        raw=f"id:{carrier_message_id} stat:{state.value[:7]} err:000",
    )
    return replace(base, **changes)


class BackHalf:
    """Recorder, dlr and their sweepers over one database; nothing runs until it is called."""

    def __init__(self, db: Database, *, clock: FixedClock | None = None, batch_limit: int = 1000) -> None:
        self.db = db
        self.clock = clock or FixedClock()
        self.registry = CollectorRegistry()
        self.reader_metrics = ReaderMetrics(self.registry)
        self.bus = PostgresBus(db)
        self.messages = PostgresMessages()
        self.submissions = PostgresSubmissions()
        self.parked = PostgresParked(db)
        self.orphans = PostgresOrphans(db)
        self.views = PostgresViews(db)
        self.partitions = Partitions(db)
        pending = PendingMetrics(self.registry, carriers=("telco_a",))
        self.recorder_metrics = RecorderMetrics(self.registry, carriers=("telco_a",), pending=pending)
        self.dlr_metrics = DlrMetrics(self.registry, carriers=("telco_a",), pending=pending)
        self.batch_limit = batch_limit
        self.recorder = self.new_recorder()
        self.dlr = self.new_dlr()
        self.parking = Parking(
            self.bus, db=db, submissions=self.submissions, parked=self.parked, clock=self.clock
        )
        self.parking_metrics = ParkingMetrics(self.registry, reader_metrics=self.reader_metrics)
        self.sweeper = ParkingSweeper(self.parking, parked=self.parked, metrics=self.parking_metrics)
        self.silence = SilenceSweeper(
            self.bus,
            store=PostgresSilence(db),
            clock=self.clock,
            page_rows=3,
            metrics=ConservationMetrics(self.registry),
        )

    def new_recorder(self, **changes: Any) -> Recorder:
        arguments: dict[str, Any] = {
            "db": self.db,
            "messages": self.messages,
            "submissions": self.submissions,
            "parked": self.parked,
            "weigh": weigh,
            "clock": self.clock,
            "metrics": self.recorder_metrics,
            "reader_metrics": self.reader_metrics,
            "batch_limit": self.batch_limit,
        }
        return Recorder(self.bus, **(arguments | changes))

    def new_dlr(self, **changes: Any) -> DlrConsumer:
        arguments: dict[str, Any] = {
            "db": self.db,
            "submissions": self.submissions,
            "parked": self.parked,
            "states": self.recorder.states,
            "clock": self.clock,
            "metrics": self.dlr_metrics,
            "reader_metrics": self.reader_metrics,
            "batch_limit": self.batch_limit,
            "settle_s": 0.0,
        }
        return DlrConsumer(self.bus, **(arguments | changes))

    async def start(self, *, event_partitions: int = 2, receipt_partitions: int = 2) -> "BackHalf":
        await self.bus.ensure_topics({EVENTS: event_partitions, RECEIPTS: receipt_partitions})
        await self.bus.start()
        await self.partitions.keep(now_ms=self.clock.now_ms())
        return self

    async def put(self, *events: Event) -> None:
        await self.bus.append([Record(EVENTS, _id(one).bytes, encode(one)) for one in events])

    async def put_receipts(self, *receipts: Receipt) -> None:
        await self.bus.append(
            [
                Record(RECEIPTS, f"{one.carrier}:{one.carrier_message_id}".encode(), encode(one))
                for one in receipts
            ]
        )

    async def turn(self) -> None:
        """Let recorder and dlr process all there is, until nothing moves."""
        while await self.recorder.reader.drain() + await self.dlr.reader.drain():
            pass

    async def accepted(self, **changes: Any) -> Message:
        message = a_message(**changes)
        await self.put(Accepted(message))
        return message

    async def submitted(self, *ids: str, **changes: Any) -> Message:
        """Accept and record a message whose segments the carrier took under these ids."""
        message = await self.accepted(segment_count=len(ids), **changes)
        await self.put(attempted(message, *ids))
        await self.turn()
        return message

    async def state(self, message: Message) -> tuple[str, bool]:
        view = await self.views.get_message(message.account_id, message.id)
        assert view is not None
        return view.state, view.partial

    async def timeline(self, message: Message) -> list[str]:
        lines = await self.views.list_events(message.account_id, message.id, limit=100, after=None)
        assert lines is not None
        return [line.type for line in lines]

    async def count(self, table: str) -> int:
        async with self.db.acquire() as connection:
            return await connection.fetchval(f"SELECT count(*) FROM {table}")

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"caudal_{name}", labels) or 0.0


def _id(event: Event) -> UUID:
    return event.message.id if isinstance(event, Accepted) else event.message_id


__all__ = ["DAY", "HOUR", "NOON", "BackHalf", "FixedClock", "Noted", "a_message", "attempted", "receipt"]
