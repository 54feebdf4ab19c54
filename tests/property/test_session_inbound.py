"""Whatever a carrier writes into a deliver_sm becomes a receipt or an MO, and never an exception."""

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.smpp.profile import CarrierProfile
from adapters.smpp.translate import Translator
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSm, DeliverSm
from adapters.smpp.wire.receipt_text import ID_FORMATS
from adapters.smpp.wire.tlv import Tlv
from gateway.domain.receipts import MobileOriginated, Receipt

PIECES = st.sampled_from(
    [
        b"id:",
        b"stat:",
        b"DELIVRD",
        b"err:",
        b"text:",
        b"done date:",
        b"9999999999",
        b"2601151200",
        b" ",
        b"\0",
        b"0x",
        b"-1",
    ]
)
BODIES = st.one_of(st.binary(max_size=120), st.lists(PIECES, max_size=12).map(b"".join))
TAGS = st.one_of(
    st.sampled_from(
        [c.TAG_RECEIPTED_MESSAGE_ID, c.TAG_MESSAGE_STATE, c.TAG_NETWORK_ERROR_CODE, c.TAG_MESSAGE_PAYLOAD]
    ),
    st.integers(0, 0xFFFF),
)
TLVS = st.lists(st.builds(Tlv, TAGS, BODIES), max_size=6).map(tuple)


@settings(max_examples=200, deadline=None)
@given(
    id_format=st.sampled_from(ID_FORMATS),
    esm_class=st.integers(0, 255),
    data_coding=st.integers(0, 255),
    body=BODIES,
    tlvs=TLVS,
    is_data_sm=st.booleans(),
)
def test_inbound_never_raises(id_format, esm_class, data_coding, body, tlvs, is_data_sm):
    profile = CarrierProfile(
        carrier="telco", host="mc", port=1, system_id="a", password="b", receipt_id_format=id_format
    )
    if is_data_sm:
        pdu = DataSm(esm_class=esm_class, data_coding=data_coding, tlvs=tlvs)
    else:
        pdu = DeliverSm(esm_class=esm_class, data_coding=data_coding, short_message=body, tlvs=tlvs)
    item = Translator(profile).inbound(pdu, bind="trx1", now_ms=1)
    assert isinstance(item, Receipt | MobileOriginated)
    if isinstance(item, Receipt):
        assert item.raw is None or len(item.raw) <= 255
    elif not is_data_sm:
        assert bytes.fromhex(item.short_message_hex) == body
