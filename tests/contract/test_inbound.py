"""Replies on a real database: joined, assigned, told of, kept; whatever order, repeats and crashes there are."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.bus.codec import decode, encode
from gateway.bus.postgres import PostgresBus
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import EVENTS, INBOUND_GROUP, MO, RECEIPTS, WEBHOOKS
from gateway.domain.alphabets import TextAlphabet
from gateway.domain.carried import replace
from gateway.domain.events import Accepted, Noted
from gateway.domain.ids import format_id, new_uuid7, uuid7_time_ms
from gateway.domain.lifecycle import State
from gateway.domain.notices import Notice
from gateway.domain.receipts import MobileOriginated
from gateway.inbound.assembler import Assembler, AssemblyLimits
from gateway.inbound.consumer import InboundConsumer
from gateway.inbound.delivery import Delivery
from gateway.inbound.metrics import InboundMetrics
from gateway.inbound.ownership import Ownership
from gateway.inbound.shown import MAX_NOTICE_OCTETS
from gateway.inbound.sweeper import SECOND_LOOK_MS, InboundSweeper, look_again
from gateway.ports.bus import Record
from gateway.ports.inbound_store import InboundFilters, InboundMessage, NumberRow
from gateway.ports.record_store import RowRejectedError
from gateway.runtime import inbound_tasks as tasks
from gateway.settings import Settings, SettingsError
from gateway.store.inbound import InboundNumbers, PostgresInbound, UnknownAccountError
from gateway.store.inbound_views import PostgresInboundViews
from gateway.store.partitions import Partitions
from gateway.store.pool import Database
from tests.support.originated import NUMBER, PERSON, UDHI, an_mo, segments, ucs2
from tests.support.records import DAY, HOUR, NOON, BackHalf, FixedClock, a_message, attempted

pytestmark = pytest.mark.postgres

LIMITS = AssemblyLimits(timeout_ms=DAY, repeat_ms=HOUR, max_parts_per_sender=6, max_parts=12)


class Inbox:
    """Consumer and sweeper over one database; nothing runs until it is called."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = FixedClock(NOON + 1_000)
        self.registry = CollectorRegistry()
        self.bus = PostgresBus(db)
        self.store = PostgresInbound(db)
        self.views = PostgresInboundViews(db)
        self.numbers = InboundNumbers(db)
        self.reader_metrics = ReaderMetrics(self.registry)
        self.metrics = InboundMetrics(self.registry, carriers=("telco_a",))
        self.consumer = self.new_consumer()
        self.sweeper = InboundSweeper(
            self.bus,
            db=db,
            store=self.store,
            assembler=Assembler(self.store, limits=LIMITS),
            delivery=Delivery(self.store, ownership=Ownership(self.store)),
            clock=self.clock,
            metrics=self.metrics,
            remember_ms=2 * LIMITS.repeat_ms,
            page_rows=2,
        )

    def new_consumer(self, **changes: Any) -> InboundConsumer:
        arguments: dict[str, Any] = {
            "db": self.db,
            "store": self.store,
            "assembler": Assembler(self.store, limits=LIMITS),
            "delivery": Delivery(self.store, ownership=Ownership(self.store)),
            "clock": self.clock,
            "metrics": self.metrics,
            "reader_metrics": self.reader_metrics,
        }
        return InboundConsumer(self.bus, **(arguments | changes))

    async def start(self) -> "Inbox":
        await self.bus.ensure_topics({MO: 2, WEBHOOKS: 1})
        await self.bus.start()
        # Days are made in one test only: the DEFAULT partitions do for the others.
        async with self.db.acquire() as connection:
            await connection.execute(
                "INSERT INTO accounts (id, created_at) VALUES ('acme', now()), ('other', now())"
            )
        return self

    async def put(self, *records: MobileOriginated) -> None:
        """Append and process."""
        await self.bus.append([Record(MO, one.sender.encode(), encode(one)) for one in records])
        await self.consumer.reader.drain()

    async def own(self, account: str = "acme", *, number: str = NUMBER, carrier: str = "") -> None:
        await self.numbers.add(NumberRow(number, carrier, account, NOON))

    async def listed(self, account: str | None = "acme", **filters: Any) -> list[InboundMessage]:
        """The account's messages, oldest first."""
        found = await self.views.list_inbound(account, InboundFilters(**filters), limit=100, before=None)
        return found[::-1]

    async def texts(self, account: str | None = "acme") -> list[str | None]:
        return [one.text for one in await self.listed(account)]

    async def notices(self) -> list[Notice]:
        found = [decode(one.value) for one in await self.bus.read(WEBHOOKS, 0, offset=0, limit=1000)]
        return [one for one in found if isinstance(one, Notice)]

    async def count(self, table: str) -> int:
        async with self.db.acquire() as connection:
            return await connection.fetchval(f"SELECT count(*) FROM {table}")

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"caudal_{name}", labels) or 0.0


@pytest.fixture
async def inbox(db: Database) -> Inbox:
    return await Inbox(db).start()


async def test_a_reply_is_stored_and_its_account_is_told(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.put(an_mo("Sí, gracias"[:1] + "i"))
    (one,) = await inbox.listed()
    assert (one.text, one.encoding, one.segment_count, one.missing) == ("Si", "gsm7", 1, ())
    assert (one.sender, one.sender_is_e164, one.recipient) == (PERSON, True, NUMBER)
    assert (one.carrier, one.bind, one.received_at) == ("telco_a", "rx1", NOON)
    assert uuid7_time_ms(one.id) == NOON
    (notice,) = await inbox.notices()
    assert (notice.account_id, notice.type, notice.subject_id) == ("acme", "inbound.received", one.id)
    assert notice.data["id"] == format_id("mo", one.id)
    assert (notice.data["from"], notice.data["to"], notice.data["text"]) == ("+" + PERSON, NUMBER, "Si")
    assert inbox.metric("mo_received_total", carrier="telco_a", kind="other") == 1


@pytest.mark.parametrize("kind", ["udh8", "udh16", "sar"])
async def test_b28_segments_in_any_order_and_repeated_are_one_message(inbox: Inbox, kind: str) -> None:
    await inbox.own()
    one, two, three = segments("uno ", "dos ", "tres", kind=kind)
    await inbox.put(three, one)
    assert await inbox.texts() == []
    await inbox.put(three, two, one)
    (message,) = await inbox.listed()
    assert (message.text, message.segment_count, message.missing) == ("uno dos tres", 3, ())
    assert message.received_at == two.received_at
    assert len(await inbox.notices()) == 1
    assert inbox.metric("mo_segments_repeated_total") == 1
    # The last repeat came after the message was complete: it waits, is nobody's message, and is forgotten.
    assert await inbox.count("inbound_parts") == 1
    inbox.clock.ms += HOUR + 1_000
    await inbox.sweeper.sweep()
    assert await inbox.texts() == ["uno dos tres"]
    assert await inbox.count("inbound_parts") == 0
    inbox.clock.ms += 2 * HOUR
    await inbox.sweeper.sweep()
    assert await inbox.count("inbound_sets") == 0


async def test_b28_segments_in_one_batch_leave_nothing_waiting(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.put(*segments("a", "b"), *segments("c", "d", reference=8), *segments("e", "f", kind="sar"))
    assert sorted(filter(None, await inbox.texts())) == ["ab", "cd", "ef"]
    assert await inbox.count("inbound_parts") == 0


async def test_b28_a_missing_segment_is_named_after_the_timeout(inbox: Inbox) -> None:
    await inbox.own()
    one, _, three, _ = segments("uno ", "dos ", "tres ", "cuatro")
    await inbox.put(three, one)
    inbox.clock.ms = NOON + DAY - 1
    assert await inbox.sweeper.sweep() == 0
    assert inbox.metric("inbound_parts_waiting") == 2
    inbox.clock.ms += 1 + three.received_at - NOON
    assert await inbox.sweeper.sweep() == 1
    (message,) = await inbox.listed()
    assert (message.text, message.missing, message.segment_count) == ("uno \ufffdtres \ufffd", (2, 4), 4)
    assert uuid7_time_ms(message.id) == message.received_at == inbox.clock.ms
    (notice,) = await inbox.notices()
    assert (notice.data["partial"], notice.data["missing_segments"]) == (True, [2, 4])
    assert await inbox.count("inbound_parts") == 0
    assert inbox.metric("inbound_parts_waiting") == 0
    assert inbox.metric("mo_partial_total", carrier="telco_a", reason="timeout") == 1


async def test_b28_a_reference_used_again_is_a_new_message(inbox: Inbox) -> None:
    await inbox.own()
    old = segments("viejo ", "x")
    new = segments("nuevo ", "texto", received_at=NOON + HOUR)
    await inbox.put(old[0])
    await inbox.put(*new)
    assert [(one.text, one.missing) for one in await inbox.listed()] == [
        ("viejo \ufffd", (2,)),
        ("nuevo texto", ()),
    ]
    assert inbox.metric("mo_partial_total", carrier="telco_a", reason="superseded") == 1


async def test_b28_a_flood_of_first_segments_of_one_sender_is_given_out_oldest_first(inbox: Inbox) -> None:
    await inbox.own()
    flood = [
        replace(segments(f"m{n} ", "x", reference=n)[0], received_at=NOON + n)
        for n in range(LIMITS.max_parts_per_sender + 3)
    ]
    other = segments("otro ", "x", sender="573001112233")[0]
    await inbox.put(other, *flood[:7])
    await inbox.put(*flood[7:])
    assert await inbox.texts() == ["m0 \ufffd", "m1 \ufffd", "m2 \ufffd"]
    assert await inbox.count("inbound_parts") == LIMITS.max_parts_per_sender + 1
    assert inbox.metric("mo_partial_total", carrier="telco_a", reason="crowded") == 3


async def test_b28_a_flood_from_many_senders_is_bounded_too(inbox: Inbox) -> None:
    await inbox.own()
    flood = [
        replace(segments(f"m{n} ", "x", sender=f"5255123456{n:02}")[0], received_at=NOON + n)
        for n in range(LIMITS.max_parts + 5)
    ]
    await inbox.put(*flood)
    assert await inbox.sweeper.sweep() == 5
    assert sorted(filter(None, await inbox.texts())) == [f"m{n} \ufffd" for n in range(5)]
    assert inbox.metric("inbound_parts_waiting") == LIMITS.max_parts


async def test_b28_a_crash_before_the_commit_leaves_no_trace(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await inbox.own()
    one, two = segments("uno ", "dos")
    await inbox.put(one)

    async def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(inbox.bus, "append", die)
        await PostgresBus(inbox.db).append([Record(MO, two.sender.encode(), encode(two))])
        with pytest.raises(RuntimeError):
            await inbox.consumer.reader.drain()
    assert await inbox.texts() == []
    assert await inbox.count("inbound_parts") == 1
    await inbox.new_consumer().reader.drain()
    assert await inbox.texts() == ["uno dos"]
    assert len(await inbox.notices()) == 1


async def test_only_accounts_that_want_it_are_told(inbox: Inbox) -> None:
    class Directory:
        async def subscriptions(self) -> dict[str, set[str]]:
            return {"acme": {"message.delivered"}, "other": {"*"}}

    await inbox.own("acme")
    await inbox.own("other", number="33333")
    inbox.consumer = inbox.new_consumer(
        delivery=Delivery(inbox.store, ownership=Ownership(inbox.store), audience=Directory())
    )
    await inbox.put(an_mo("a"), an_mo("b", recipient="33333"), an_mo("c", recipient="44444"))
    assert [(one.account_id, one.data["text"]) for one in await inbox.notices()] == [("other", "b")]
    assert await inbox.texts("acme") == ["a"]


async def test_a_replay_of_the_topic_stores_and_tells_nothing_twice(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.put(an_mo("hola"), *segments("uno ", "dos"), an_mo("hola"))
    before = await inbox.listed()
    async with inbox.db.acquire() as connection:
        await connection.execute("UPDATE bus_position SET next_offset = 0 WHERE topic = $1", MO)
    assert await inbox.new_consumer().reader.drain() == 4
    assert await inbox.listed() == before
    assert sorted(filter(None, await inbox.texts())) == ["hola", "hola", "uno dos"]
    assert len(await inbox.notices()) == 3


async def test_two_consumers_at_once_join_each_message_once(inbox: Inbox) -> None:
    """As after a lost lease: both read the same records at the same time."""
    await inbox.own()
    records = [one for n in range(20) for one in segments("a", "b", "c", reference=n)]
    await inbox.bus.append([Record(MO, one.sender.encode(), encode(one)) for one in records[::-1]])
    consumers = [inbox.new_consumer(batch_limit=7) for _ in range(2)]
    await asyncio.gather(*(one.reader.drain() for one in consumers))
    assert await inbox.texts() == ["abc"] * 20
    assert len(await inbox.notices()) == 20


async def test_i8_i9_hostile_replies_are_kept_and_nothing_waits(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.put(
        an_mo(b"\xff\x00", esm_class=UDHI),
        an_mo(b"\x05\x00\x03\x07\x00\x00Hola", esm_class=UDHI),
        an_mo(b"", esm_class=UDHI),
        an_mo(b"\x00S\x00", data_coding=8, alphabet=TextAlphabet.UCS2),
        an_mo(b"\xd8\x3d", data_coding=8, alphabet=TextAlphabet.UCS2),
        an_mo(b"a\x00b", data_coding=3, alphabet=TextAlphabet.LATIN1, service_type="\0", bind="rx\0"),
    )
    found = await inbox.listed()
    assert sorted(one.text or "" for one in found) == sorted(
        ["\ufffd@", "Hola", "", "S\ufffd", "\ufffd", "a\ufffdb"]
    )
    assert await inbox.count("inbound_parts") == 0
    assert inbox.metric("mo_malformed_total", carrier="telco_a") == 3
    assert {one.raw.get("data_hex") for one in found} >= {"ff00", "486f6c61"}


async def test_binary_is_kept_in_hex(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.put(an_mo(b"\x00\xff\x10", data_coding=4, alphabet=TextAlphabet.BINARY))
    (one,) = await inbox.listed()
    assert (one.text, one.encoding, one.raw["data_hex"]) == (None, "binary", "00ff10")
    (notice,) = await inbox.notices()
    assert (notice.data["text"], notice.data["data_hex"]) == (None, "00ff10")


async def test_a_poison_record_is_kept_and_passed(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.bus.append(
        [
            Record(MO, b"k", b"\xff"),
            Record(MO, b"k", encode(Accepted(a_message()))),
            Record(MO, b"k", encode(replace(an_mo(), short_message_hex="zz"))),
        ]
    )
    await inbox.put(an_mo("hola"))
    assert await inbox.texts() == ["hola"]
    await inbox.put(an_mo("dos", received_at=1 << 62), an_mo("tres", received_at=-1))
    assert await inbox.count("dead_records") == 5
    assert sum(lag.records for lag in await inbox.bus.lag(INBOUND_GROUP)) == 0


async def test_a_value_the_database_refuses_kills_only_its_own_record(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = inbox.store.insert_messages

    async def refuse_one(tx: Any, messages: Any) -> Any:
        if any(message.text == "dos" for message in messages):
            raise RowRejectedError("no")
        return await insert(tx, messages)

    monkeypatch.setattr(inbox.store, "insert_messages", refuse_one)
    await inbox.own()
    await inbox.put(an_mo("uno"), an_mo("dos"), an_mo("tres"))
    assert await inbox.texts() == ["uno", "tres"]
    assert await inbox.count("dead_records") == 1


async def test_segments_with_values_the_database_cannot_hold_harm_nothing(inbox: Inbox) -> None:
    await inbox.own()
    hostile = segments("uno ", "dos", service_type="a\0", bind="rx\0", sender="52551234\0")
    await inbox.put(*hostile, *segments("tres ", "cuatro", received_at=1 << 70), an_mo("fin"))
    assert sorted(filter(None, await inbox.texts())) == ["fin", "uno dos"]
    assert await inbox.count("dead_records") == 2
    await inbox.put(segments("a", "b", reference=9, service_type="\0")[0])
    inbox.clock.ms += DAY
    assert await inbox.sweeper.sweep() == 1


async def test_a_long_reply_is_cut_in_its_notice_and_whole_in_the_store(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.put(*segments(*("ñ" * 153 for _ in range(200))))
    (one,) = await inbox.listed()
    assert one.text == "ñ" * 153 * 200
    (notice,) = await inbox.notices()
    assert notice.data["truncated"] is True
    assert one.text.startswith(notice.data["text"])
    assert len(encode(notice)) < MAX_NOTICE_OCTETS + 1_000


@pytest.mark.parametrize(
    ("written", "sender", "is_e164"),
    [
        ("+525512345678", PERSON, True),
        ("5215512345678", PERSON, True),
        ("00525512345678", PERSON, True),
        ("33333", "33333", False),
        ("", "", False),
        ("BANCO", "BANCO", False),
    ],
)
async def test_the_sender_is_e164_where_it_is_a_number(
    inbox: Inbox, written: str, sender: str, is_e164: bool
) -> None:
    await inbox.own()
    await inbox.put(an_mo("hola", sender=written))
    (one,) = await inbox.listed()
    assert (one.sender, one.sender_is_e164) == (sender, is_e164)
    assert one.raw["source_addr"] == written


class Sender:
    """Puts messages of accounts into the database, as the recorder does."""

    def __init__(self, db: Database) -> None:
        self.back = BackHalf(db)
        self.number = 0

    async def start(self) -> "Sender":
        await self.back.bus.ensure_topics({EVENTS: 1, RECEIPTS: 1})
        await self.back.bus.start()
        return self

    async def sent(self, account: str, sender: str, *, at: int = NOON - HOUR, **changes: Any) -> Any:
        self.number += 1
        message = a_message(
            id=new_uuid7(at, 1_000_000 + self.number),
            accepted_at=at,
            account_id=account,
            sender=sender,
            **changes,
        )
        await self.back.put(
            Accepted(message), attempted(message, f"id{self.number}", carrier=message.carrier)
        )
        await self.back.turn()
        return message


@pytest.fixture
async def sender(inbox: Inbox) -> Sender:
    return await Sender(inbox.db).start()


async def test_the_owner_of_the_number_gets_the_reply_before_all_others(inbox: Inbox, sender: Sender) -> None:
    await sender.sent("other", NUMBER)
    ours = await sender.sent("acme", "ACME", at=NOON - 2 * HOUR)
    await inbox.own("acme")
    await inbox.put(an_mo("hola"))
    (one,) = await inbox.listed("acme")
    assert one.assigned_by == "number"
    assert one.in_reply_to is None, "what another account sent is none of the owner's business"
    mine = await sender.sent("acme", NUMBER, at=NOON - 1_000)
    await inbox.put(an_mo("otra vez"))
    assert (await inbox.listed("acme"))[-1].in_reply_to == mine.id != ours.id


async def test_a_number_of_one_carrier_beats_that_of_any(inbox: Inbox) -> None:
    await inbox.own("other")
    await inbox.own("acme", carrier="telco_a")
    await inbox.put(an_mo("a"), an_mo("b", carrier="telco_b"))
    assert (await inbox.texts("acme"), await inbox.texts("other")) == (["a"], ["b"])


async def test_our_number_is_known_with_or_without_plus(inbox: Inbox) -> None:
    await inbox.own("acme", number="56987654321")
    await inbox.put(an_mo("a", recipient="+56987654321"), an_mo("b", recipient="56987654321"))
    assert sorted(filter(None, await inbox.texts())) == ["a", "b"]


async def test_a_reply_goes_to_whoever_wrote_last_from_that_number(inbox: Inbox, sender: Sender) -> None:
    await sender.sent("acme", NUMBER, at=NOON - 3 * HOUR)
    newest = await sender.sent("other", NUMBER, at=NOON - HOUR)
    await sender.sent("acme", "33333", at=NOON - 60_000)
    await sender.sent("acme", "ACME", at=NOON - 50_000)
    await sender.sent("acme", NUMBER, at=NOON - 40_000, recipient="525512345679")
    await inbox.put(an_mo("hola"))
    (one,) = await inbox.listed("other")
    assert (one.assigned_by, one.in_reply_to) == ("sender", newest.id)
    (notice,) = await inbox.notices()
    assert notice.data["in_reply_to"] == format_id("msg", newest.id)


async def test_a_reply_to_a_number_that_replaced_a_name_answers_that_message(
    inbox: Inbox, sender: Sender
) -> None:
    await sender.sent("other", "OTHER", at=NOON - 60_000, carrier="telco_b")
    named = await sender.sent("acme", "ACME", at=NOON - HOUR)
    await sender.sent("other", "33333", at=NOON - 60_000)
    await inbox.put(an_mo("hola", recipient="77777"))
    (one,) = await inbox.listed("acme")
    assert (one.assigned_by, one.in_reply_to) == ("carrier", named.id)


async def test_a_reply_after_a_week_or_to_a_number_of_another_is_nobodys(
    inbox: Inbox, sender: Sender
) -> None:
    await sender.sent("acme", NUMBER, at=NOON - 9 * DAY)
    await sender.sent("acme", "33333", at=NOON - HOUR)
    await inbox.put(an_mo("hola"))
    assert await inbox.texts("acme") == []
    (one,) = await inbox.listed(None)
    assert (one.text, one.account_id, one.assigned_by, one.in_reply_to) == ("hola", None, "", None)
    assert await inbox.notices() == []
    assert inbox.metric("mo_unassigned_total", carrier="telco_a") == 1
    assert await inbox.views.get_inbound("acme", one.id) is None
    assert await inbox.views.get_inbound(None, one.id) == one


async def test_what_was_never_sent_is_not_answered(inbox: Inbox, sender: Sender) -> None:
    refused = await sender.sent("acme", NUMBER)
    await sender.back.put(Noted(refused.id, NOON, "cancelled", state=State.CANCELLED))
    scheduled = a_message(sender=NUMBER, send_at=NOON + HOUR, accepted_at=NOON - 1_000)
    await sender.back.put(Accepted(scheduled, State.SCHEDULED))
    await sender.back.turn()
    await inbox.put(an_mo("hola"))
    (one,) = [*await inbox.listed("acme"), *await inbox.listed(None)]
    assert one.in_reply_to != scheduled.id


async def test_a_reply_before_its_message_is_recorded_finds_its_account_later(
    inbox: Inbox, sender: Sender
) -> None:
    await inbox.put(an_mo("rápido"[:1] + "apido"))
    assert await inbox.texts(None) == ["rapido"]
    message = await sender.sent("acme", NUMBER, at=NOON - 500)
    await inbox.sweeper.sweep()
    (one,) = await inbox.listed("acme")
    assert (one.in_reply_to, one.assigned_by) == (message.id, "sender")
    assert [notice.subject_id for notice in await inbox.notices()] == [one.id]
    await inbox.sweeper.sweep()
    assert len(await inbox.notices()) == 1


async def test_a_reply_never_answers_what_was_sent_after_it(inbox: Inbox, sender: Sender) -> None:
    await inbox.put(an_mo("hola"))
    await sender.sent("acme", NUMBER, at=NOON + 60_000)
    await inbox.sweeper.sweep()
    assert await inbox.texts(None) == ["hola"]


async def test_an_old_unassigned_message_waits_for_an_operator(inbox: Inbox) -> None:
    await inbox.put(*(an_mo(f"m{n}", received_at=NOON + n) for n in range(5)))
    inbox.clock.ms = NOON + SECOND_LOOK_MS + 10
    await inbox.own()
    await inbox.sweeper.sweep()
    assert len(await inbox.texts(None)) == 5
    delivery = Delivery(inbox.store, ownership=Ownership(inbox.store))
    looking = {"db": inbox.db, "delivery": delivery, "page_rows": 2}
    assert await look_again(inbox.bus, since_ms=NOON + 1, **looking) == 4
    assert await inbox.texts() == ["m1", "m2", "m3", "m4"]
    assert len(await inbox.notices()) == 4
    assert await look_again(inbox.bus, since_ms=0, **looking) == 1
    assert await look_again(inbox.bus, since_ms=0, **looking) == 0


async def test_lists_are_newest_first_by_filter_and_page(inbox: Inbox) -> None:
    await inbox.own()
    await inbox.own(number="33333")
    for n in range(5):
        await inbox.put(
            an_mo(f"m{n}", received_at=NOON + n, recipient=NUMBER if n % 2 else "33333"),
            ucs2("x", sender="573001112233", received_at=NOON + n),
        )
    page = await inbox.views.list_inbound("acme", InboundFilters(sender=PERSON), limit=2, before=None)
    assert [one.text for one in page] == ["m4", "m3"]
    rest = await inbox.views.list_inbound("acme", InboundFilters(sender=PERSON), limit=9, before=page[-1].id)
    assert [one.text for one in rest] == ["m2", "m1", "m0"]
    assert [one.text for one in await inbox.listed(sender=PERSON, since=NOON + 3)] == ["m3", "m4"]
    assert [one.text for one in await inbox.listed(recipient=NUMBER, sender=PERSON)] == ["m1", "m3"]
    assert await inbox.texts("other") == []
    assert len(await inbox.views.newest(limit=3)) == 3


async def test_numbers_are_given_moved_listed_and_taken_away(inbox: Inbox) -> None:
    assert await inbox.numbers.add(NumberRow("22222", "", "acme", NOON)) is None
    assert await inbox.numbers.add(NumberRow("22222", "", "other", NOON + 1)) == "acme"
    assert await inbox.numbers.add(NumberRow("22222", "telco_a", "acme", NOON)) is None
    assert [(one.carrier, one.account_id) for one in await inbox.numbers.all()] == [
        ("", "other"),
        ("telco_a", "acme"),
    ]
    assert await inbox.numbers.remove("22222", "telco_a")
    assert not await inbox.numbers.remove("22222", "telco_a")
    with pytest.raises(UnknownAccountError, match="there is no account 'nobody'"):
        await inbox.numbers.add(NumberRow("22222", "", "nobody", NOON))


async def test_the_command_line_gives_numbers_and_finds_accounts_and_shows_no_text(
    inbox: Inbox, database_url: str
) -> None:
    settings = Settings(database_url=database_url)
    await inbox.put(an_mo("secreto"), an_mo("otro", recipient="33333"))
    said = await tasks.add_number(settings, number="+22222", account="acme", carrier=None)
    assert said == "22222 belongs to acme"
    assert await tasks.assign(settings, days=3650) == 1
    assert await inbox.texts() == ["secreto"]
    assert len(await inbox.notices()) == 1
    for account, unassigned, count in ((None, False, 2), ("acme", False, 1), (None, True, 1)):
        lines = await tasks.list_inbound(settings, account=account, unassigned=unassigned, limit=10)
        assert len(lines) == count
        assert PERSON not in str(lines)
        assert "secreto" not in str(lines)
    assert [(line["number"], line["carrier"]) for line in await tasks.list_numbers(settings)] == [
        ("22222", "any")
    ]
    assert await tasks.remove_number(settings, number="22222", carrier=None)
    with pytest.raises(SettingsError, match="'telco_z' is not configured"):
        await tasks.add_number(settings, number="22222", account="acme", carrier="telco_z")
    with pytest.raises(SettingsError, match="is no number"):
        await tasks.add_number(settings, number=" ", account="acme", carrier=None)


async def test_days_are_made_ahead_and_dropped_when_their_retention_is_over(inbox: Inbox) -> None:
    await inbox.own()
    old = NOON - 31 * DAY
    await inbox.put(an_mo("viejo", received_at=old), an_mo("nuevo"))
    assert await inbox.texts() == ["viejo", "nuevo"]
    assert await inbox.count("inbound_messages_default") == 2
    await Partitions(inbox.db, retention_days=30).keep(now_ms=inbox.clock.ms)
    assert await inbox.count("inbound_messages_default") == 0
    assert await inbox.texts() == ["nuevo"]
