"""Our ESME role, the carrier link, against the npm package `smpp` 0.5.1 as message centre."""

from typing import Any

import pytest

from adapters.smpp.profile import BindMode
from gateway.domain.outcomes import Refusal, Refused, SubmitOutcome, Submitted, Throttled
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.ports.links import BindState
from tests.conformance.link_rig import LinkRig, a_link
from tests.support.peers import Peer, npm_message_centre

pytestmark = pytest.mark.peer

# Every code of the default alphabet but the escape, in order, then the extension table (sms-domain A1, A2).
DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
EMOJI = "Pago recibido 👍🏽 ñandú ¡ól\u00e9! 👨‍👩‍👧"
LONG_GSM = "Estimado cliente, su pago {" + "de 100 € fue recibido. " * 14 + "}"
LONG_UCS2 = "Código 👍 válido aquí. " * 9


def accepted(outcomes: list[SubmitOutcome]) -> list[Submitted]:
    """Return the outcomes, which must all be success."""
    taken = [outcome for outcome in outcomes if isinstance(outcome, Submitted)]
    assert len(taken) == len(outcomes), outcomes
    return taken


async def sent(rig: LinkRig, peer: Peer, text: str, **options: Any) -> list[dict[str, Any]]:
    """Submit a text and return what the message centre heard of it."""
    before = len(peer.of("submit_sm"))
    segments = rig.segments(text, **options)
    outcomes = accepted(await rig.submit(segments))
    heard = (await peer.heard("submit_sm", before + len(segments)))[before:]
    assert [line["id"] for line in heard] == [outcome.carrier_message_id for outcome in outcomes]
    return heard


@pytest.mark.parametrize(
    ("mode", "commands"),
    [
        (BindMode.TRX, {"bind_transceiver"}),
        (BindMode.TX_RX, {"bind_transmitter", "bind_receiver"}),
        (BindMode.TX, {"bind_transmitter"}),
        (BindMode.RX, {"bind_receiver"}),
    ],
)
async def test_every_bind_mode_stands_and_says_version_3_4(mode: BindMode, commands: set[str]) -> None:
    async with npm_message_centre() as peer, a_link(peer.port, bind_mode=mode) as rig:
        await rig.bound(len(commands))
        binds = await peer.heard("bind", len(commands))
        assert {line["command"] for line in binds} == commands
        assert {(line["system_id"], line["version"]) for line in binds} == {("caudal", 0x34)}


async def test_a1_a2_every_character_of_gsm_7_arrives_as_itself() -> None:
    """A1, A2, A3, A4, A5, A8, B22: unpacked septets, one octet each; `@` as 0x00 in the middle of the text."""
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        for text in (DEFAULT_ALPHABET, EXTENSION, "a@@b", "$ ¤ _ § ¡ ¿"):
            (heard,) = await sent(rig, peer, text)
            assert (heard["text"], heard["data_coding"], heard["esm_class"]) == (text, 0, 0)


async def test_b12_ucs_2_with_emoji_arrives_as_itself() -> None:
    """A6, B12: big endian without BOM, surrogate pairs whole."""
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        (heard,) = await sent(rig, peer, EMOJI)
        assert (heard["text"], heard["data_coding"]) == (EMOJI, 8)


async def test_b25_latin_1_arrives_as_itself() -> None:
    """B25, and A13: a carrier whose default alphabet is Latin-1 gets Latin-1 octets under data_coding 0."""
    async with npm_message_centre() as peer:
        async with a_link(peer.port) as rig:
            (heard,) = await sent(rig, peer, "Código válido aquí", encoding="latin1")
            assert (heard["text"], heard["data_coding"]) == ("Código válido aquí", 3)
        peer.tell("alphabet", name="LATIN1")
        await peer.heard("done")
        async with a_link(peer.port, default_alphabet="latin1") as rig:
            (heard,) = await sent(rig, peer, "¿Ñandú? @ $ _ à ü £ §".replace("ú", "u"))
            assert (heard["text"], heard["data_coding"]) == ("¿Ñandu? @ $ _ à ü £ §", 0)


@pytest.mark.parametrize("text", [LONG_GSM, LONG_UCS2], ids=["gsm7", "ucs2"])
@pytest.mark.parametrize(("bits", "element"), [(8, "000351"), (16, "08045152")])
async def test_b16_long_messages_by_udh_are_joined_by_a_foreign_reader(
    text: str, bits: int, element: str
) -> None:
    """B14, B16, B17: one reference and total, seq 1..n, esm_class 0x40; each segment decodes alone."""
    reference = 0x51 if bits == 8 else 0x5152
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        heard = await sent(rig, peer, text, reference=reference, reference_bits=bits)
        total = len(heard)
        assert total >= 3
        assert [line["udh"] for line in heard] == [
            [f"{element}{total:02x}{n:02x}"] for n in range(1, total + 1)
        ]
        assert {line["esm_class"] for line in heard} == {0x40}
        assert {(line["source"], line["destination"]) for line in heard} == {("BancoMX", "525512345678")}
        assert "".join(line["text"] for line in heard) == text
        assert "\ufffd" not in "".join(line["text"] for line in heard)


async def test_b18_long_messages_by_sar_carry_no_udh() -> None:
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        heard = await sent(rig, peer, LONG_GSM, reference=0x1234, split="sar")
        total = len(heard)
        assert [line["sar"] for line in heard] == [[0x1234, total, n] for n in range(1, total + 1)]
        assert {line["esm_class"] for line in heard} == {0}
        assert not any(line["udh"] for line in heard)
        assert "".join(line["text"] for line in heard) == LONG_GSM


async def test_b19_a_long_message_by_payload_is_one_submit_with_one_receipt() -> None:
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        (heard,) = await sent(rig, peer, LONG_GSM, split="payload")
        assert (heard["payload"], heard["text"], heard["esm_class"]) == (LONG_GSM, "", 0)
        await rig.until(lambda: rig.inbound)
        await peer.heard("receipt_acknowledged")
        assert [one.carrier_message_id for one in rig.inbound] == [heard["id"]]


@pytest.mark.parametrize("style", ["text", "tlv"])
async def test_f18_receipts_by_text_and_by_tlv_are_read_and_acknowledged(style: str) -> None:
    """F1, F3, F18: the same receipt said in the text alone and in TLVs alone."""
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        peer.tell("receipts", style=style)
        await peer.heard("done")
        (heard,) = await sent(rig, peer, "hola")
        await rig.until(lambda: rig.inbound)
        (receipt,) = rig.inbound
        assert isinstance(receipt, Receipt)
        assert (receipt.carrier_message_id, receipt.message_state) == (heard["id"], MessageState.DELIVERED)
        assert (receipt.network_error_type, receipt.err) == ((None, "000") if style == "text" else (3, None))
        (acknowledged,) = await peer.heard("receipt_acknowledged")
        assert (acknowledged["command_status"], acknowledged["over"]) == (0, "bind_transceiver")


async def test_f15_receipts_of_a_transmitter_come_over_the_receiver() -> None:
    """F15: the receipt comes on another session than its submit."""
    async with npm_message_centre() as peer, a_link(peer.port, bind_mode=BindMode.TX_RX) as rig:
        await rig.bound(2)
        (heard,) = await sent(rig, peer, "hola")
        await rig.until(lambda: rig.inbound)
        assert (rig.inbound[0].carrier_message_id, rig.inbound[0].bind) == (heard["id"], "rx1")
        (acknowledged,) = await peer.heard("receipt_acknowledged")
        assert (acknowledged["command_status"], acknowledged["over"]) == (0, "bind_receiver")


async def test_f18_a_receipt_that_cannot_be_stored_is_answered_with_0x64() -> None:
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        rig.stores = False
        await sent(rig, peer, "hola")
        (acknowledged,) = await peer.heard("receipt_acknowledged")
        assert acknowledged["command_status"] == 0x64


async def test_a_message_of_a_handset_is_handed_on_with_its_octets() -> None:
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        await rig.bound()
        peer.tell("mo", text="BAJA id:9 stat:DELIVRD")
        await rig.until(lambda: rig.inbound)
        (item,) = rig.inbound
        assert isinstance(item, MobileOriginated)  # F1: esm_class 0 is no receipt, whatever its text says
        assert bytes.fromhex(item.short_message_hex) == b"BAJA id:9 stat:DELIVRD"
        assert (await peer.heard("mo_acknowledged"))[0]["command_status"] == 0


async def test_h7_enquire_link_is_sent_and_answered() -> None:
    async with npm_message_centre() as peer, a_link(peer.port, enquire_link_s=0.1) as rig:
        await rig.bound()
        await peer.heard("enquire_link", 2)  # a second one only after the answer to the first
        peer.tell("enquire_link")
        await peer.heard("enquire_link_resp")
        assert rig.states() == [BindState.BOUND]


async def test_h10_a_drain_unbinds_and_closes() -> None:
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        await rig.bound()
        assert await rig.link.drain(deadline_s=5) == 0
        await peer.heard("unbind")
        await peer.heard("close")
        await peer.caught_up()
        assert len(peer.of("bind")) == 1


async def test_h11_an_unbind_of_the_carrier_is_answered_and_followed_by_a_new_bind() -> None:
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        await rig.bound()
        peer.tell("unbind")
        await peer.heard("unbind_resp")
        await rig.until(lambda: BindState.DOWN in [change.state for change in rig.changes])
        await peer.heard("bind", 2)
        await rig.bound()
        assert isinstance((await rig.submit(rig.segments("otra vez")))[0], Submitted)


async def test_a_wrong_password_alerts_once_and_is_not_tried_again() -> None:
    """G1 on bind: 0x0E is fatal, the next try is minutes away."""
    async with npm_message_centre(password="other") as peer, a_link(peer.port) as rig:
        await rig.until(lambda: BindState.DOWN in rig.states())
        (down,) = [change for change in rig.changes if change.state is BindState.DOWN]
        assert (down.reason, down.alert) == ("ESME_RINVPASWD", True)
        await peer.heard("close")
        await peer.caught_up()
        assert len(peer.of("bad_password")) == 1


async def test_g3_throttled_submits_say_so_slow_the_bind_and_pass_in_the_end() -> None:
    async with npm_message_centre() as peer, a_link(peer.port, rate="200/s") as rig:
        await rig.bound()
        peer.tell("throttle", count=3)
        await peer.heard("done")
        outcomes = [(await rig.submit(rig.segments("poco a poco")))[0] for _ in range(4)]
        assert [type(outcome) for outcome in outcomes] == [Throttled] * 3 + [Submitted]
        assert outcomes[0] == Throttled("ESME_RTHROTTLED", "trx1")
        await peer.caught_up()
        assert len(peer.of("submit_sm")) == 1
        assert rig.states() == [BindState.THROTTLED]


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (0x0B, Refusal.PERMANENT),
        (0x14, Refusal.RETRY_LATER),
        (0x45, Refusal.FAILOVER),
        (0x4AB, Refusal.FAILOVER),
    ],
)
async def test_g1_refusals_get_their_class(status: int, refusal: Refusal) -> None:
    """G1, G2: also a vendor's code that nobody knows."""
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        await rig.bound()
        peer.tell("refuse", status=status)
        await peer.heard("done")
        (outcome,) = await rig.submit(rig.segments("no"))
        assert isinstance(outcome, Refused)
        assert outcome.refusal is refusal
        await peer.caught_up()
        assert peer.of("submit_sm") == []


async def test_g5_a_generic_nack_refuses_the_request_it_names() -> None:
    async with npm_message_centre() as peer, a_link(peer.port) as rig:
        await rig.bound()
        peer.tell("nack")
        await peer.heard("done")
        (refused,) = await rig.submit(rig.segments("no"))
        assert isinstance(refused, Refused)
        assert refused.status == "ESME_RINVCMDID"
        assert isinstance((await rig.submit(rig.segments("si")))[0], Submitted)


async def test_h3_a_thousand_pipelined_submits_get_a_thousand_answers_and_receipts() -> None:
    """H2, H3: the window of 100 is kept full and never exceeded, each answer finds its request."""
    async with npm_message_centre() as peer, a_link(peer.port, window_slots=100) as rig:
        await rig.bound()
        segments = [rig.segments(f"mensaje {number}")[0] for number in range(1000)]
        outcomes = accepted(await rig.submit(segments))
        ids = {outcome.carrier_message_id for outcome in outcomes}
        assert len(ids) == 1000
        assert len({outcome.sequence_number for outcome in outcomes}) == 1000
        await rig.until(lambda: len(rig.inbound) == 1000)
        assert {receipt.carrier_message_id for receipt in rig.inbound} == ids
        await peer.heard("receipt_acknowledged", 1000)
        assert [line["text"] for line in peer.of("submit_sm")] == [f"mensaje {n}" for n in range(1000)]
        assert rig.link.in_flight == 0
