"""Long messages that customers cut themselves: each part has its answer, together they are one message."""

import asyncio
import itertools

import pytest
import pytest_asyncio

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import Tlv
from gateway.smppd.ids import format_smpp_id
from gateway.smppd.origin import read_origin
from tests.support.esme import a_submit, an_esme, parsed
from tests.support.smppd import ServerRig, a_database, a_shared_rig
from tests.support.stack import until

LONG = b"Estimado cliente, su pago fue recibido. " * 10
SLOW_SWEEP = {"sweep_every_s": 3600.0}

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgres_server):
    async with a_shared_rig(postgres_server, parts=SLOW_SWEEP) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def rig(shared):
    await shared.begin()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def db(postgres_server):
    async with a_database(postgres_server) as database:
        yield database


def parts_of(text: bytes, *, size: int = 153, form: str = "udh8", reference: int = 77, **fields):
    """Return the fields of each part's submit."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    total = len(pieces)
    for sequence, piece in enumerate(pieces, 1):
        match form:
            case "udh8":
                header = bytes((5, 0, 3, reference, total, sequence))
                yield {"short_message": header + piece, "esm_class": 0x40, **fields}
            case "udh16":
                header = bytes((6, 8, 4, reference >> 8, reference & 255, total, sequence))
                yield {"short_message": header + piece, "esm_class": 0x40, **fields}
            case "sar":
                tlvs = (
                    Tlv(c.TAG_SAR_MSG_REF_NUM, reference.to_bytes(2, "big")),
                    Tlv(c.TAG_SAR_TOTAL_SEGMENTS, bytes((total,))),
                    Tlv(c.TAG_SAR_SEGMENT_SEQNUM, bytes((sequence,))),
                )
                yield {"short_message": piece, "tlvs": tlvs, **fields}


async def accepted(rig, count=1):
    async def are_there():
        found = await rig.accepted()
        return found if len(found) >= count else None

    return await until(are_there, limit_s=10, every_s=0.01)


async def parts_left(rig) -> int:
    async with rig.db.acquire() as connection:
        return await connection.fetchval("SELECT count(*) FROM smpp_parts")


async def until_no_parts(rig):
    async def are_gone():
        return not await parts_left(rig)

    await until(are_gone, limit_s=10, every_s=0.01)


@pytest.mark.parametrize("form", ["udh8", "udh16", "sar"])
async def test_b16_b17_b18_parts_in_any_order_are_one_message_under_the_id_of_the_first(rig, form):
    """B14, B16, B17, B18."""
    parts = list(parts_of(LONG, form=form))
    async with an_esme(rig.port) as esme:
        answers = {number: await esme.submit(**parts[number]) for number in (2, 0, 1)}
        assert {one.command_status for one in answers.values()} == {0}
        (message,) = await accepted(rig)
        assert message.text == LONG.decode()
        assert format_smpp_id(message.id) == answers[0].message_id
        assert len({one.message_id for one in answers.values()}) == 3
        await until_no_parts(rig)


async def test_f21_f17_the_end_of_a_long_message_answers_every_part_that_asked(rig):
    parts = list(parts_of(LONG))
    async with an_esme(rig.port) as esme:
        answers = [
            await esme.submit(**part, registered_delivery=flag)
            for part, flag in zip(parts, (1, 0, 1), strict=True)
        ]
        (message,) = await accepted(rig)
        assert read_origin(message.origin).told_ids == (answers[0].message_id, answers[2].message_id)
        await rig.tell((message, "delivered"))
        await esme.heard(2)
        assert [parsed(pdu).message_id for pdu in esme.receipts] == [
            answers[0].message_id,
            answers[2].message_id,
        ]


async def test_a_pair_that_a_cut_went_through_is_whole_again(rig):
    text = ("a" * 66 + "👍" + "b" * 20).encode("utf-16-be")
    escaped = b"x" * 152 + b"\x1b\x65" + b"y" * 10  # the euro sign, cut after its escape
    async with an_esme(rig.port) as esme:
        for fields in parts_of(text, size=134, data_coding=8):
            assert (await esme.submit(**fields)).command_status == 0
        for fields in parts_of(escaped, reference=78):
            assert (await esme.submit(**fields)).command_status == 0
        found = await accepted(rig, 2)
        assert [one.text for one in found] == ["a" * 66 + "👍" + "b" * 20, "x" * 152 + "€" + "y" * 10]


async def test_messages_with_parts_in_one_write_do_not_mix(rig):
    both = itertools.chain(
        *zip(
            parts_of(b"A" * 400, reference=1),
            parts_of(b"B" * 400, reference=2),
            parts_of(b"C" * 400, reference=1, destination_addr="56987654321"),
            strict=True,
        )
    )
    async with an_esme(rig.port) as esme:
        futures = [esme.send(a_submit(**fields)) for fields in both]
        answers = await asyncio.gather(*futures)
        assert {one.command_status for one in answers} == {0}
        found = await accepted(rig, 3)
        assert sorted(one.text for one in found) == ["A" * 400, "B" * 400, "C" * 400]


async def test_a_part_that_is_repeated_has_its_first_id_and_another_text_in_its_place_is_put_off(rig):
    first, *_ = parts_of(LONG)
    other, *_ = parts_of(b"Z" * 400)
    async with an_esme(rig.port) as esme:
        one = await esme.submit(**first)
        again = await esme.submit(**first)
        assert again.message_id == one.message_id
        assert (await esme.submit(**other)).command_status == c.ESME_RMSGQFUL
        assert await parts_left(rig) == 1


async def test_what_would_be_refused_as_a_message_is_refused_as_a_part(rig):
    async with an_esme(rig.port) as esme:
        (part, *_) = parts_of(LONG, destination_addr="123")
        assert (await esme.submit(**part)).command_status == c.ESME_RINVDSTADR
        (part, *_) = parts_of(b"x" * 153 * 11)  # the account may send 10 segments
        assert (await esme.submit(**part)).command_status == c.ESME_RINVMSGLEN
        assert await parts_left(rig) == 0


async def test_p1_a_set_left_complete_by_a_process_that_died_is_finished_by_another(db):
    """What a kill -9 between the answer to the last part and the message leaves behind."""
    async with ServerRig(db, parts=SLOW_SWEEP).running() as dying, an_esme(dying.port) as esme:

        async def dies(keys):
            """The process ends here."""

        dying.part_desk.finish = dies
        for fields in parts_of(LONG):
            assert (await esme.submit(**fields)).command_status == 0
        assert await dying.accepted() == []
    async with ServerRig(db, parts=SLOW_SWEEP | {"stale_ms": 0}).running() as other:
        await other.part_desk.sweep()
        (message,) = await other.accepted()
        assert message.text == LONG.decode()
        assert await parts_left(other) == 0


async def test_p1_a_message_made_twice_of_the_same_parts_is_one(db):
    """What a kill -9 between the message and the end of its parts leaves behind."""
    async with ServerRig(db, parts=SLOW_SWEEP).running() as dying, an_esme(dying.port) as esme:

        async def dies(rows):
            """The process ends here."""

        dying.part_desk._store.forget = dies
        for fields in parts_of(LONG):
            await esme.submit(**fields)
        await accepted(dying)
        assert await parts_left(dying) == 3
    async with ServerRig(db, parts=SLOW_SWEEP | {"stale_ms": 0}).running() as other:
        await asyncio.gather(other.part_desk.sweep(), other.part_desk.sweep())
        await other.part_desk.sweep()
        assert len(await other.accepted()) == 1
        assert await parts_left(other) == 0


async def test_a_set_that_stays_incomplete_ends_with_a_receipt_of_expired(db):
    options = SLOW_SWEEP | {"stale_ms": 0, "give_up_ms": 0}
    async with ServerRig(db, parts=options).running() as rig, an_esme(rig.port) as esme:
        first, _, third = parts_of(LONG)
        answers = [await esme.submit(**first), await esme.submit(**third, registered_delivery=0)]
        await asyncio.sleep(0.005)
        await rig.part_desk.sweep()
        await esme.heard(1)
        (told,) = [parsed(pdu) for pdu in esme.receipts]
        assert (told.message_id, told.raw_stat) == (answers[0].message_id, "EXPIRED")
        assert await parts_left(rig) == 0
        assert await rig.accepted() == []
