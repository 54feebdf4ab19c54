"""Receipts to customers' ESMEs: what they say, that they wait, that they come in order, and whom they do not slow down."""

import asyncio
import itertools

import pytest
import pytest_asyncio

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.tlv import find_tlv
from gateway.domain.carried import replace
from gateway.domain.lifecycle import State
from gateway.ports.bus import Record
from gateway.smppd.customers import FETCH_RECEIPTS
from gateway.smppd.origin import Origin
from gateway.smppd.receipts import receipts_of
from gateway.store.smpp_outbox import PostgresOutbox
from tests.support.esme import NUMBER, Esme, an_esme, parsed
from tests.support.smppd import ServerRig, a_database, a_shared_rig, add_credential
from tests.support.stack import until

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgres_server):
    async with a_shared_rig(postgres_server) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def rig(shared):
    await shared.begin()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def db(postgres_server):
    async with a_database(postgres_server) as database:
        yield database


async def add_receipts(
    rig: ServerRig, system_id: str, count: int, *, expiry_ms: int = 3_600_000
) -> list[str]:
    """Keep receipts of made-up messages; return their ids in order."""
    now_ms = rig.clock.now_ms()
    owed = []
    for _ in range(count):
        message_id = rig.new_id(now_ms)
        origin = Origin(system_id, 1, (5, 0, "ACME"), (1, 1, NUMBER))
        owed += receipts_of(
            origin, message_id=message_id, state=State.DELIVERED, done_at=now_ms, expiry_ms=expiry_ms
        )
    async with rig.db.transaction() as tx:
        await rig.queue.add(tx, owed)
    return [one.told_id for one in owed]


def ids(esme: Esme) -> list[str]:
    return [parsed(pdu).message_id for pdu in esme.receipts]


async def until_empty(rig: ServerRig) -> None:
    async def is_empty() -> bool:
        return not await rig.waiting()

    await until(is_empty, limit_s=10, every_s=0.01)


async def until_waiting(rig: ServerRig, count: int) -> None:
    async def are_there() -> bool:
        return await rig.waiting() >= count

    await until(are_there, limit_s=10, every_s=0.01)


async def test_f21_a_receipt_carries_our_id_in_text_and_tlv_and_the_addresses_swapped(rig):
    async with an_esme(rig.port) as esme:
        message_id = (await esme.submit()).message_id
        await rig.tell((await rig.message(message_id), "delivered"))
        (pdu,) = await esme.heard(1)
        assert (pdu.esm_class, pdu.data_coding, pdu.source_addr, pdu.destination_addr) == (
            4,
            0,
            NUMBER,
            "ACME",
        )
        assert (pdu.source_addr_ton, pdu.source_addr_npi) == (1, 1)
        assert (pdu.dest_addr_ton, pdu.dest_addr_npi) == (5, 0)
        text = pdu.short_message.decode()
        assert text.startswith(f"id:{message_id} sub:001 dlvrd:001 submit date:")
        assert "stat:DELIVRD err:000 text:" in text
        assert find_tlv(pdu.tlvs, c.TAG_RECEIPTED_MESSAGE_ID) == message_id.encode() + b"\0"
        assert find_tlv(pdu.tlvs, c.TAG_MESSAGE_STATE) == b"\x02"
        told = parsed(pdu)
        assert (told.message_id, told.state, told.err) == (message_id, "DELIVERED", "000")
        await until_empty(rig)
        assert rig.sample("smpp_server_receipts_total", result="acknowledged") == 1


async def test_f21_e5_only_what_was_asked_for_is_told(rig):
    """E5, F21: 00 nothing, 01 every end, 02 failures, 03 success."""
    asked = (0, 1, 2, 3)
    async with an_esme(rig.port) as esme:
        sent = {}
        for flag, end in itertools.product(asked, ("delivered", "undeliverable")):
            answer = await esme.submit(registered_delivery=flag)
            sent[answer.message_id] = (flag, end)
            await rig.tell((await rig.message(answer.message_id), end))
        await esme.heard(4)
        await until_empty(rig)
        assert sorted(sent[one] for one in ids(esme)) == [
            (1, "delivered"),
            (1, "undeliverable"),
            (2, "undeliverable"),
            (3, "delivered"),
        ]


STATES = {
    "delivered": ("DELIVRD", 2),
    "expired": ("EXPIRED", 3),
    "cancelled": ("DELETED", 4),
    "undeliverable": ("UNDELIV", 5),
    "failed": ("UNDELIV", 5),
    "unknown": ("UNKNOWN", 7),
    "rejected": ("REJECTD", 8),
}


async def test_f21_every_final_state_has_its_words_and_others_are_not_told(rig):
    async with an_esme(rig.port) as esme:
        ends = {}
        for state in STATES:
            message_id = (await esme.submit()).message_id
            ends[message_id] = state
            message = await rig.message(message_id)
            await rig.tell((message, "submitted"), (message, state))
        await esme.heard(len(STATES))
        said = {
            ends[parsed(pdu).message_id]: (
                parsed(pdu).raw_stat,
                find_tlv(pdu.tlvs, c.TAG_MESSAGE_STATE)[0],
            )
            for pdu in esme.receipts
        }
        assert said == STATES


async def test_e11_a_peer_below_3_4_gets_no_tlvs(rig):
    async with an_esme(rig.port, interface_version=0x33) as esme:
        message_id = (await esme.submit()).message_id
        await rig.tell((await rig.message(message_id), "delivered"))
        (pdu,) = await esme.heard(1)
        assert pdu.tlvs == ()
        assert f"id:{message_id} " in pdu.short_message.decode()


async def test_h14_receipts_wait_for_a_receiver_and_then_come_in_order(rig):
    async with an_esme(rig.port, mode="tx") as sender:
        sent = [(await sender.submit()).message_id for _ in range(25)]
        messages = [await rig.message(one) for one in sent]
        await rig.tell(*((message, "delivered") for message in messages))
        await until_waiting(rig, 25)
        assert sender.receipts == []
    async with an_esme(rig.port, mode="rx") as receiver:
        await receiver.heard(25)
        assert ids(receiver) == sent
        await until_empty(rig)


async def test_h14_receipts_outlive_the_server(db):
    async with ServerRig(db).running() as first:
        told = await add_receipts(first, "acme", 30)
        async with an_esme(first.port, mode="rx") as deaf:
            deaf.answer = lambda _: None
            await deaf.heard(10)  # the window; none is acknowledged
    async with ServerRig(db).running() as second, an_esme(second.port, mode="rx") as esme:
        await esme.heard(30)
        assert ids(esme) == told
        await until_empty(second)


async def test_h14_a_receipt_expires(rig):
    await add_receipts(rig, "acme", 3, expiry_ms=-1)
    (good,) = await add_receipts(rig, "acme", 1)
    async with an_esme(rig.port, mode="rx") as esme:
        await esme.heard(1)
        assert ids(esme) == [good]
    assert await rig.queue.purge(now_ms=rig.clock.now_ms(), limit=100) == 3
    await until_empty(rig)


async def test_h14_an_unacknowledged_receipt_comes_again_on_the_next_bind(rig):
    told = await add_receipts(rig, "acme", 3)
    async with an_esme(rig.port, mode="rx") as deaf:
        deaf.answer = lambda _: None
        await deaf.heard(3)
    async with an_esme(rig.port, mode="rx") as esme:
        await esme.heard(3)
        assert ids(esme) == told
        await until_empty(rig)


async def test_a_refused_receipt_comes_again_and_the_others_first(rig):
    told = await add_receipts(rig, "acme", 3)
    async with an_esme(rig.port, mode="rx") as esme:
        refusals = [0x64]
        esme.answer = lambda _: refusals.pop() if refusals else 0
        await esme.heard(4, limit_s=15)
        assert ids(esme) == [*told, told[0]]
        await until_empty(rig)
        assert rig.sample("smpp_server_receipts_total", result="refused") == 1


async def test_h15_a_customer_who_does_not_answer_has_a_bounded_window_and_slows_nobody(rig):
    await add_credential(rig.db, "stuck")
    await add_receipts(rig, "stuck", 2_000)
    async with an_esme(rig.port, system_id="stuck", mode="rx") as stuck:
        stuck.answer = lambda _: None
        await stuck.heard(10)
        async with an_esme(rig.port) as esme:
            loop = asyncio.get_running_loop()
            started = loop.time()
            told = await add_receipts(rig, "acme", 500)
            await esme.heard(500)
            assert ids(esme) == told
            assert loop.time() - started < 15  # the other does not answer at all
            assert (await esme.submit()).command_status == 0
        assert len(stuck.receipts) == 10
        in_memory = rig.customers["stuck"].receipts
        assert len(in_memory.waiting) + len(in_memory.open) <= FETCH_RECEIPTS + 10
        stuck.answer = lambda _: 0
        stuck.answer_all()
        await stuck.heard(2_000)
        assert len(set(ids(stuck))) == 2_000


async def test_h15_an_answer_that_comes_too_late_ends_the_receipt_all_the_same(db):
    async with ServerRig(db, response_s=0.3).running() as rig:
        await add_receipts(rig, "acme", 1)
        async with an_esme(rig.port, mode="rx") as esme:
            esme.answer = lambda _: None
            await esme.heard(1)
            await until(
                lambda: rig.sample("smpp_server_receipts_total", result="unanswered"),
                limit_s=30,
                every_s=0.01,
            )
            esme.answer_all()
            await until_empty(rig)


async def test_receipts_reach_a_bind_of_another_process_and_one_process_delivers(db):
    """H14: two processes of the role api; the one with the bind delivers, and only one of them does."""
    async with (
        ServerRig(db).running() as one,
        ServerRig(db).running() as two,
        an_esme(two.port, mode="rx") as esme,
    ):
        told = await add_receipts(one, "acme", 50)
        await esme.heard(50)
        assert ids(esme) == told
        async with an_esme(one.port, mode="rx") as other:
            more = await add_receipts(one, "acme", 100)
            await esme.heard(150)
            assert ids(esme) == told + more
            assert other.receipts == []
            await until_empty(two)
            await esme.leave()
            last = await add_receipts(two, "acme", 5)
            await other.heard(5)
            assert ids(other) == last


async def test_a_bind_as_receiver_and_one_as_transmitter_share_the_receipts_of_the_system_id(rig):
    async with an_esme(rig.port, mode="tx") as sender, an_esme(rig.port, mode="rx") as receiver:
        message_id = (await sender.submit()).message_id
        await rig.tell((await rig.message(message_id), "delivered"))
        await receiver.heard(1)
        assert ids(receiver) == [message_id]


async def test_a_record_that_is_no_notice_is_kept_aside_and_the_next_is_told(rig):
    async with an_esme(rig.port) as esme:
        message_id = (await esme.submit()).message_id
        message = await rig.message(message_id)
        await rig.bus.append([Record("esme.due", b"k", b"{}")])
        await rig.tell((replace(message, origin="nonsense"), "delivered"), (message, "delivered"))
        await esme.heard(1)
        assert ids(esme) == [message_id]
        async with rig.db.acquire() as connection:
            assert (
                await connection.fetchval("SELECT count(*) FROM dead_records WHERE topic = 'esme.due'") == 2
            )


async def test_the_same_end_told_twice_is_one_receipt(db):
    """F16."""
    async with ServerRig(db).running() as rig:
        queue = PostgresOutbox(db)
        owed = receipts_of(
            Origin("acme", 1, (5, 0, "ACME"), (1, 1, NUMBER)),
            message_id=rig.new_id(rig.clock.now_ms()),
            state=State.DELIVERED,
            done_at=rig.clock.now_ms(),
        )
        for _ in range(2):
            async with db.transaction() as tx:
                await queue.add(tx, owed)
        assert await rig.waiting() == 1
