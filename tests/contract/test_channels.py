"""Several channels on a real database: the next one begins exactly once, and every message ends exactly once (P6)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.bus.codec import decode, decode_as, encode
from gateway.bus.topics import CHANNELS, EVENTS, RECEIPTS, lane
from gateway.channels.consumer import ChannelConsumer
from gateway.channels.metrics import ChannelMetrics
from gateway.channels.mover import ChannelMover
from gateway.dispatch.steps import for_step, step_failed, step_submitted
from gateway.domain.carried import replace
from gateway.domain.events import Accepted
from gateway.domain.lifecycle import State
from gateway.domain.message import Channel, ChannelPlan, ChannelStep, Message, MessageClass, Progress
from gateway.domain.receipts import MessageState
from gateway.ports.bus import Record
from gateway.ports.consent_store import EVERY, OptOut
from gateway.store.accounts import Accounts
from gateway.store.channel_steps import PostgresChannelSteps
from gateway.store.consents import PostgresConsents
from gateway.store.pool import Database
from tests.support.records import HOUR, NOON, BackHalf, FixedClock, a_message, attempted, receipt

pytestmark = pytest.mark.postgres

SMS = ChannelStep(
    Channel.SMS,
    "525512345678",
    "12345",
    "Tu código es 481516",
    "gsm7",
    2,
    "telco_a",
    ("telco_b",),
    cost="0.01",
)
WAIT_MS = 60_000
SETTLE_MS = 1_000
LANE = lane("telco_a", MessageClass.TRANSACTIONAL)


def a_plan(*rest: ChannelStep, wait_for: Progress = Progress.SENT) -> ChannelPlan:
    return ChannelPlan(1, rest or (SMS,), wait_for, WAIT_MS, "0.05")


class _KilledError(Exception):
    """Death between append and commit."""


class Rig(BackHalf):
    """The back half with channels: `turn` lets all of it come to rest."""

    def __init__(self, db: Database, *, clock: FixedClock | None = None) -> None:
        super().__init__(db, clock=clock)
        self.steps = PostgresChannelSteps(db)
        self.consents = PostgresConsents(db, clock=self.clock)
        self.channel_metrics = ChannelMetrics(self.registry)
        self.mover = self.new_mover()
        self.channels = ChannelConsumer(
            self.bus,
            db=db,
            store=self.steps,
            clock=self.clock,
            reader_metrics=self.reader_metrics,
            wake=lambda: None,
        )

    def new_mover(self) -> ChannelMover:
        return ChannelMover(
            self.bus,
            db=self.db,
            store=self.steps,
            consents=self.consents,
            clock=self.clock,
            metrics=self.channel_metrics,
        )

    async def begin(self) -> "Rig":
        await self.bus.ensure_topics({EVENTS: 2, RECEIPTS: 2, CHANNELS: 2, LANE: 1})
        await self.bus.start()
        await self.partitions.keep(now_ms=self.clock.now_ms())
        await Accounts(self.db, pepper=b"pepper").create_account("acme", now_ms=NOON)
        return self

    async def turn(self) -> None:
        while (
            await self.recorder.reader.drain()
            + await self.dlr.reader.drain()
            + await self.channels.reader.drain()
            + await self.mover.move_due()
        ):
            pass

    async def whatsapp(self, wamid: str | None = "wamid.1", **changes: Any) -> Message:
        """Accept a message on WhatsApp with SMS behind it; `wamid` None: the carrier refused it for good."""
        message = a_message(
            **{"channel": Channel.WHATSAPP, "carrier": "wa", "candidates": (), "plan": a_plan(), **changes}
        )
        await self.put(Accepted(message))
        state = State.SUBMITTED if wamid is not None else State.REJECTED
        event = attempted(message, wamid, carrier="wa", state=state, at=self.clock.ms)
        await self.put(for_step(event, message))
        told = (
            step_submitted(message, now_ms=self.clock.ms)
            if wamid is not None
            else step_failed(message, state=State.REJECTED, reason="131026", now_ms=self.clock.ms)
        )
        await self.bus.append([told])
        return message

    async def sms_begun(self) -> list[Message]:
        """Return what is on the lane of the SMS carrier."""
        return [decode_as(Message, one.value) for one in await self.bus.read(LANE, 0, offset=0, limit=1000)]

    async def sms_taken(self, message: Message, *ids: str | None, **changes: Any) -> Message:
        """Let the SMS carrier take what is on its lane."""
        (sms,) = [one for one in await self.sms_begun() if one.id == message.id]
        await self.put(for_step(attempted(sms, *ids, attempt=sms.attempt, at=self.clock.ms, **changes), sms))
        await self.turn()
        return sms

    async def view(self, message: Message) -> tuple[str, str, str | None]:
        view = await self.views.get_message("acme", message.id)
        assert view is not None
        return view.state, view.channel, view.carrier

    async def lines(self, message: Message, *kinds: str) -> list[Mapping[str, Any]]:
        lines = await self.views.list_events("acme", message.id, limit=100, after=None)
        assert lines is not None
        return [line.detail for line in lines if line.type in kinds]

    async def steps_told(self, told: Any) -> None:
        await self.bus.append([Record(CHANNELS, told.message_id.bytes, encode(told))])

    async def pass_time(self, ms: int) -> None:
        """Let time pass, and as much more as the mover waits for what is read late."""
        self.clock.ms += ms
        await self.turn()
        self.clock.ms += SETTLE_MS
        await self.turn()


@pytest.fixture
async def rig(db: Database) -> Rig:
    return await Rig(db).begin()


def from_wa(wamid: str, state: MessageState = MessageState.DELIVERED, **changes: Any) -> Any:
    return receipt(wamid, state, carrier="wa", **changes)


async def test_a_refusal_for_good_begins_the_next_channel_at_once_and_both_prices_are_shown(rig: Rig) -> None:
    message = await rig.whatsapp(None)
    await rig.turn()
    (sms,) = await rig.sms_begun()
    assert (sms.channel, sms.carrier, sms.candidates, sms.sender) == (
        Channel.SMS,
        "telco_a",
        ("telco_b",),
        "12345",
    )
    assert (sms.segment_count, sms.attempt, sms.segments_done, sms.reference) == (2, 2, (), None)
    assert sms.plan is not None
    assert (sms.plan.step, sms.plan.rest, sms.plan.first_attempt) == (2, (), 2)
    assert await rig.view(message) == ("queued", "sms", "telco_a")

    await rig.sms_taken(message, "s1", "s2")
    await rig.put_receipts(receipt("s1"))
    await rig.turn()
    assert await rig.view(message) == ("submitted", "sms", "telco_a")
    await rig.put_receipts(receipt("s2"))
    await rig.turn()
    assert await rig.view(message) == ("delivered", "sms", "telco_a")
    (fallback,) = await rig.lines(message, "fallback")
    assert fallback["reason"] == "131026"
    assert (fallback["from_channel"], fallback["from_cost"], fallback["channel"], fallback["cost"]) == (
        "whatsapp",
        "0.05",
        "sms",
        "0.01",
    )
    planned = await rig.lines(message, "routed", "planned")
    assert [(one["step"], one["channel"], one["cost"]) for one in planned] == [
        (1, "whatsapp", "0.05"),
        (2, "sms", "0.01"),
    ]
    assert [one["cost"] for one in await rig.lines(message, "acknowledged")] == ["0.01", "0.01"]
    view = await rig.views.get_message("acme", message.id)
    assert view is not None
    assert view.channels == ("whatsapp", "sms")
    assert (view.attempt, await rig.count("channel_steps WHERE state <> 'done'")) == (2, 0)


async def test_a_failing_receipt_begins_the_next_channel_whatever_comes_first(rig: Rig) -> None:
    """Also when the receipt is told before the submission, and after the message was sent in time."""
    first = await rig.whatsapp("wamid.1")
    await rig.put_receipts(from_wa("wamid.1", MessageState.UNDELIVERABLE))
    await rig.turn()
    sent = await rig.whatsapp("wamid.2")
    await rig.put_receipts(from_wa("wamid.2", MessageState.ENROUTE))
    await rig.pass_time(WAIT_MS)
    assert [one.id for one in await rig.sms_begun()] == [first.id]
    await rig.put_receipts(from_wa("wamid.2", MessageState.UNDELIVERABLE, received_at=rig.clock.ms))
    await rig.turn()
    early = a_message(channel=Channel.WHATSAPP, carrier="wa", plan=a_plan())
    told = step_failed(early, state=State.UNDELIVERABLE, reason="131026", now_ms=rig.clock.ms)
    failed: Any = decode(told.value)
    await rig.put(Accepted(early))
    await rig.steps_told(replace(failed, message=None))
    await rig.turn()
    assert [one.id for one in await rig.sms_begun()] == [first.id, sent.id]
    await rig.bus.append([step_submitted(early, now_ms=rig.clock.ms)] * 2)
    await rig.turn()
    assert [one.id for one in await rig.sms_begun()] == [first.id, sent.id, early.id]
    # Whatever is told again, or too late, begins nothing.
    await rig.bus.append([step_submitted(first, now_ms=rig.clock.ms), told])
    await rig.pass_time(HOUR // 2)
    assert len(await rig.sms_begun()) == 3


async def test_silence_begins_the_next_channel_only_once_everything_of_that_time_is_recorded(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, delivered, sent = [await rig.whatsapp(f"wamid.{n}") for n in (1, 2, 3)]
    strict = await rig.whatsapp("wamid.4", plan=a_plan(wait_for=Progress.DELIVERED))
    await rig.put_receipts(
        from_wa("wamid.2"), from_wa("wamid.3", MessageState.ENROUTE), from_wa("wamid.4", MessageState.ENROUTE)
    )
    await rig.turn()
    await rig.pass_time(WAIT_MS - 1)
    assert await rig.sms_begun() == []

    async def behind(now_ms: int) -> int:
        return now_ms - 10_000

    with monkeypatch.context() as patch:
        patch.setattr(rig.mover, "_read_until", behind)
        await rig.pass_time(8_000)
        assert await rig.sms_begun() == []
    await rig.pass_time(SETTLE_MS)
    assert {one.id for one in await rig.sms_begun()} == {silent.id, strict.id}
    assert await rig.view(delivered) == ("delivered", "whatsapp", "wa")
    assert await rig.view(sent) == ("submitted", "whatsapp", "wa")
    (fallback,) = await rig.lines(strict, "fallback")
    assert fallback["reason"] == "timeout"
    assert (
        rig.metric("channel_fallbacks_total", from_channel="whatsapp", to_channel="sms", reason="timeout")
        == 2
    )


async def test_a_late_success_beside_the_next_channel_is_explained_and_counted(rig: Rig) -> None:
    both, late = await rig.whatsapp("wamid.1"), await rig.whatsapp("wamid.2")
    await rig.pass_time(WAIT_MS)
    await rig.sms_taken(both, "s1", "s2")
    await rig.sms_taken(late, "l1", "l2")
    # The first one in order: WhatsApp comes while the SMS is under way, then the SMS arrives too.
    await rig.put_receipts(from_wa("wamid.1"))
    await rig.turn()
    assert await rig.view(both) == ("delivered", "whatsapp", "telco_a")
    await rig.put_receipts(receipt("s1"), receipt("s2"))
    await rig.turn()
    assert await rig.view(both) == ("delivered", "whatsapp", "telco_a")
    (double,) = await rig.lines(both, "also_delivered")
    assert (double["channel"], double["cost"]) == ("sms", "0.01")
    assert rig.metric("channel_double_deliveries_total", carrier="telco_a") == 1
    # The other: the last channel failed, so the message had failed before WhatsApp told of its success.
    fail = MessageState.UNDELIVERABLE
    await rig.put_receipts(receipt("l1", fail), receipt("l2", fail))
    await rig.turn()
    assert (await rig.view(late))[:2] == ("undeliverable", "sms")
    await rig.put_receipts(from_wa("wamid.2"))
    await rig.turn()
    assert (await rig.view(late))[0] == "undeliverable"
    assert [one["channel"] for one in await rig.lines(late, "delivered_late")] == ["whatsapp"]


async def test_when_nothing_is_left_the_message_ends_once_with_the_failure_of_its_channel(rig: Rig) -> None:
    over = await rig.whatsapp(None, valid_until=NOON)
    silent = await rig.whatsapp("wamid.1", valid_until=NOON + WAIT_MS)
    unwanted = await rig.whatsapp(None, account_id="acme")
    await rig.consents.opt_out([OptOut("acme", "525512345678", "sms", EVERY, "api", NOON)])
    await rig.turn()
    assert (await rig.view(over))[0] == "rejected"
    assert (await rig.view(unwanted))[0] == "rejected"
    assert [one["why"] for one in await rig.lines(unwanted, "channels_exhausted")] == ["opted_out"]
    await rig.pass_time(2 * WAIT_MS)
    assert (await rig.view(silent))[0] == "submitted"
    assert [one["reason"] for one in await rig.lines(silent, "no_fallback")] == ["validity_passed"]
    await rig.put_receipts(from_wa("wamid.1", MessageState.EXPIRED))
    await rig.turn()
    assert (await rig.view(silent))[0] == "expired"
    assert await rig.sms_begun() == []
    assert rig.metric("channel_exhausted_total", reason="opted_out") == 1
    rig.clock.ms += 200 * HOUR
    await rig.mover.keep(now_ms=rig.clock.ms)
    assert await rig.count("channel_steps") == 0


async def test_several_movers_and_kills_between_begin_every_channel_exactly_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(60):
        await rig.whatsapp(f"wamid.{n}" if n % 2 else None)
    await rig.recorder.reader.drain()
    await rig.channels.reader.drain()
    rig.clock.ms += WAIT_MS + SETTLE_MS + 1
    append = rig.bus.append
    kills = iter([True, True, True])

    async def append_or_die(records: Any, **arguments: Any) -> None:
        await append(records, **arguments)
        if next(kills, False):
            raise _KilledError

    async def all_is_read(_: ChannelMover, now_ms: int) -> int:
        return now_ms

    monkeypatch.setattr(rig.bus, "append", append_or_die)
    monkeypatch.setattr(ChannelMover, "_read_until", all_is_read)

    async def move() -> None:
        mover = rig.new_mover()
        mover._batch = 7
        while True:
            try:
                if not await mover.move_due():
                    return
            except _KilledError:
                continue

    await asyncio.gather(*(move() for _ in range(4)))
    begun = [one.id for one in await rig.sms_begun()]
    assert (len(begun), len(set(begun))) == (60, 60)
