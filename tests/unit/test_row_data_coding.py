"""What data_coding says about octets (A12, E7, E9)."""

from uuid import uuid4

import pytest

from adapters.smpp.profile import CarrierProfile
from adapters.smpp.translate import Translator
from adapters.smpp.wire.codec import decode_submit_sm
from adapters.smpp.wire.pdus import SubmitSm
from adapters.smpp.wire.receipt_text import parse_receipt
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.domain.segmentation import segment_text
from loadtest.smsc.text import decode_text

NOW_MS = 1_760_000_000_000


def submitted(text: str, *, encoding: str = "auto", **profile: object) -> SubmitSm:
    """Return the submit_sm of a short text as it goes to the carrier."""
    cut = segment_text(text, encoding=encoding)
    message = Message(
        id=uuid4(),
        account_id="acme",
        message_class=MessageClass.OTP,
        recipient="525512345678",
        sender="BancoMX",
        text=text,
        encoding=cut.encoding,
        segment_count=1,
        accepted_at=NOW_MS,
        valid_until=NOW_MS + 300_000,
        carrier="telco",
    )
    settings = {"carrier": "telco", "host": "mc", "port": 2775, "system_id": "a", "password": "b"}
    translator = Translator(CarrierProfile(**(settings | profile)))  # type: ignore[arg-type]
    segment = OutboundSegment(message, 1, cut.data_coding, cut.segments[0], lambda *_: None)
    return decode_submit_sm(translator.submit_body(segment, now_ms=NOW_MS))


def test_a12_data_coding_1_is_ia5_and_not_gsm() -> None:
    assert decode_text(b"\x40 \x24", data_coding=1) == "@ $"
    assert decode_text(b"\x40 \x24", data_coding=0) == "¡ ¤"


def test_a12_a_receipt_in_ia5_keeps_its_at_and_dollar_signs() -> None:
    parsed = parse_receipt(
        esm_class=4, data_coding=1, short_message=b"id:7F stat:DELIVRD err:000 text:\x40 \x24"
    )
    assert (parsed.message_id, parsed.state, parsed.text) == ("7F", "DELIVERED", "@ $")


@pytest.mark.parametrize(
    ("text", "encoding", "coding"), [("hola", "auto", 0), ("válido", "auto", 8), ("válido", "latin1", 3)]
)
def test_e7_each_alphabet_goes_with_its_data_coding(text: str, encoding: str, coding: int) -> None:
    assert submitted(text, encoding=encoding).data_coding == coding


def test_e7_a_profile_may_ask_for_a_message_class_instead() -> None:
    """E7: 0xF0 is 7-bit class 0, 0x18 is UCS-2 class 0."""
    classes = {0: 0xF0, 8: 0x18}
    assert submitted("hola", data_coding_map=classes).data_coding == 0xF0
    assert submitted("válido", data_coding_map=classes).data_coding == 0x18


def test_e9_replacement_is_never_asked_for_by_default() -> None:
    assert submitted("hola").replace_if_present_flag == 0
