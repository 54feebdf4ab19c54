"""Our message-centre role, the simulator, against Kannel 1.4.5 (Debian) as ESME, submitted to over HTTP."""

import asyncio
from pathlib import Path

import pytest

from tests.conformance.kannel import DELIVERED, FAILED, a_kannel
from tests.conformance.smsc_rig import DEFAULT_ALPHABET, EMOJI, EXTENSION, SYSTEM_ID, a_smsc, number

pytestmark = [pytest.mark.peer, pytest.mark.slow]

LONG = "Estimado cliente, su pago fue recibido. " * 10
LONG_UCS2 = "Código válido aquí mañana. " * 8


async def test_alphabets_long_messages_receipts_and_the_end_of_a_transceiver(tmp_path: Path) -> None:
    """A1, A2, B12, B16, B17, F1, H7."""
    async with a_smsc(enquire_link_s=0.3) as smsc:
        async with a_kannel(smsc.port, tmp_path) as kannel:
            await kannel.until("(online")
            for text, coding in ((DEFAULT_ALPHABET, 0), (EXTENSION, 0), (EMOJI, 2)):
                await kannel.send(text, coding=coding)
                await smsc.until(lambda text=text: text in smsc.texts())
            assert [row["data_coding"] for row in smsc.rows()] == [0, 0, 8]
            for text, coding in ((LONG, 0), (LONG_UCS2, 2)):
                before = len(smsc.rows())
                await kannel.send(text, coding=coding, reference="long")
                await smsc.until(lambda before=before, text=text: "".join(smsc.texts()[before:]) == text)
                rows = smsc.rows()[before:]
                assert [row["concatenation"]["sequence"] for row in rows] == list(range(1, len(rows) + 1))
                assert len({row["concatenation"]["reference"] for row in rows}) == 1
            for last in ("01", "02", "03"):
                await kannel.send("hola", to=number(last), reference=last)
            await smsc.until(lambda: {"01"} <= kannel.reports_of(DELIVERED))
            await smsc.until(lambda: {"02", "03"} <= kannel.reports_of(FAILED))
            # Both sides probe, and every probe has its answer.
            await smsc.until(lambda: kannel.log_count("Sending enquire link:") >= 1)
            await smsc.until(lambda: kannel.log_count("type_name: enquire_link_resp\n") >= 3)
            assert smsc.stats()["binds"] == {"ESME_ROK": 1}
            assert smsc.stats()["closes"] == {}
        assert smsc.stats()["closes"] == {"peer_unbound": 1}


async def test_receipts_of_a_transmitter_come_over_the_receiver_and_an_unbind_is_followed(
    tmp_path: Path,
) -> None:
    """F15, H11."""
    # Kannel loses a receipt that comes over the receiver before it has noted the id that came over the transmitter.
    async with (
        a_smsc(receipt_delay="300ms") as smsc,
        a_kannel(smsc.port, tmp_path, mode="pair") as kannel,
    ):
        await smsc.until(lambda: smsc.stats()["bound"] == {SYSTEM_ID: 2})
        await kannel.send("hola", reference="over-rx")
        await smsc.until(lambda: kannel.reports_of(DELIVERED) == {"over-rx"})
        smsc.unbind_all()
        await smsc.until(lambda: smsc.stats()["closes"] == {"unbound": 2})
        await smsc.until(lambda: smsc.stats()["bound"] == {SYSTEM_ID: 2})
        await kannel.send("otra vez", reference="again")
        await smsc.until(lambda: kannel.reports_of(DELIVERED) == {"over-rx", "again"})


async def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    async with a_smsc() as smsc, a_kannel(smsc.port, tmp_path, password="wrong") as kannel:
        await smsc.until(lambda: smsc.stats()["binds"].get("ESME_RINVPASWD", 0) >= 1)
        assert "(online" not in await kannel.status()
        assert smsc.stats()["bound"] == {SYSTEM_ID: 0}


async def test_a_thousand_submits_and_a_throttled_one_pass(tmp_path: Path) -> None:
    """G3, H3."""
    async with a_smsc(latency="p50=5ms,p99=20ms") as smsc, a_kannel(smsc.port, tmp_path) as kannel:
        await kannel.until("(online")
        async with asyncio.TaskGroup() as tasks:
            for sequence in range(1000):
                tasks.create_task(kannel.send(f"m {sequence}", reference=str(sequence)), name="send")
        await smsc.until(lambda: len(smsc.rows()) == 1000)
        await smsc.until(lambda: len(kannel.reports_of(DELIVERED)) == 1000)
        await smsc.acknowledged(1000)
        assert smsc.stats()["max_outstanding"] <= 100
        await kannel.send("poco a poco", to=number("05"), reference="throttled")
        await smsc.until(lambda: "throttled" in kannel.reports_of(DELIVERED))
        tries = [row["status"] for row in smsc.rows() if row["destination"] == number("05")]
        assert tries == ["ESME_RTHROTTLED", "ESME_RTHROTTLED", "ESME_ROK"]
