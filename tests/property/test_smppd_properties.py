"""Whatever a customer submits is a message or a status, never an exception (sms-domain I); parts join to their text."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import decode_submit_sm, encode
from adapters.smpp.wire.fields import PduError
from adapters.smpp.wire.pdus import SubmitSm, Tlv
from gateway.domain.alphabets import TextAlphabet
from gateway.domain.message import MessageClass
from gateway.intake.prepare import Circumstances, Preparer
from gateway.policy.routing import RouteTable
from gateway.ports.intake_store import Account
from gateway.ports.smpp_store import SmppCredential
from gateway.smppd.origin import origin_of, read_origin, write_origin
from gateway.smppd.reading import SubmitRead, joined, read_submit
from tests.support.intake import NOW_MS

PREPARER = Preparer(RouteTable([], carriers=["telco_a"]), new_id=lambda now_ms: None)  # type: ignore[arg-type]
CLASSES = {"OTP": MessageClass.OTP}
KNOWN_TAGS = (
    c.TAG_MESSAGE_PAYLOAD,
    c.TAG_SAR_MSG_REF_NUM,
    c.TAG_SAR_TOTAL_SEGMENTS,
    c.TAG_SAR_SEGMENT_SEQNUM,
)

octet = st.integers(0, 255)
c_string = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)
time_field = st.one_of(
    st.just(""),
    c_string.map(lambda text: text[:16]),
    st.from_regex(r"\A[0-9]{15}[R+\-]\Z"),
)
tlvs = st.lists(
    st.builds(Tlv, st.sampled_from(KNOWN_TAGS) | st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=5
).map(tuple)
headers = st.binary(max_size=160) | st.builds(
    lambda number, total, sequence, rest: bytes((5, 0, 3, number, total, sequence)) + rest,
    octet,
    octet,
    octet,
    st.binary(max_size=140),
)
submits = st.builds(
    SubmitSm,
    service_type=c_string.map(lambda text: text[:5]),
    source_addr_ton=octet,
    source_addr_npi=octet,
    source_addr=c_string | st.sampled_from(("ACME", "12345", "525512345678")),
    dest_addr_ton=octet,
    dest_addr_npi=octet,
    destination_addr=c_string | st.just("525512345678"),
    esm_class=octet | st.sampled_from((0, 0x40)),
    protocol_id=octet,
    priority_flag=st.integers(0, 4),
    schedule_delivery_time=time_field,
    validity_period=time_field,
    registered_delivery=octet,
    replace_if_present_flag=st.integers(0, 1),
    data_coding=octet | st.sampled_from((0, 3, 8)),
    sm_default_msg_id=st.sampled_from((0, 0, 0, 7)),
    short_message=headers,
    tlvs=tlvs,
)
credentials = st.builds(
    SmppCredential,
    system_id=st.just("acme"),
    account=st.builds(Account, id=st.just("acme"), default_region=st.sampled_from((None, "MX"))),
    digest=st.just(b""),
    alphabet=st.sampled_from([one for one in TextAlphabet if one is not TextAlphabet.BINARY]),
)


@given(submits, credentials)
def test_i4_i8_i9_any_submit_is_a_message_or_a_status(pdu: SubmitSm, credential: SmppCredential) -> None:
    try:
        pdu = decode_submit_sm(encode(pdu, sequence_number=1)[16:])
    except PduError:
        return
    found = read_submit(pdu, credential, classes=CLASSES, now_ms=NOW_MS)
    if isinstance(found, int):
        assert found > 0
        return
    assert isinstance(found, SubmitRead)
    text = found.draft.content.text
    text.encode("utf-8")  # I9: valid UTF-8
    if found.place is not None:
        assert 2 <= found.place.total <= credential.account.max_segments
        assert 1 <= found.place.sequence <= found.place.total
    PREPARER.prepare(found.draft, Circumstances(credential.account, NOW_MS))
    written = write_origin(origin_of(pdu, system_id="acme"))
    if written is not None:
        assert read_origin(written).destination[2] == pdu.destination_addr


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=2, max_size=200), st.data())
def test_parts_cut_anywhere_join_to_the_text(text: str, data: st.DataObject) -> None:
    octets = text.encode("utf-16-be")
    cuts = sorted(data.draw(st.lists(st.integers(1, len(octets) - 1), max_size=3, unique=True)))
    pieces = [octets[at:to] for at, to in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    credential = SmppCredential("acme", Account("acme"), b"")
    reads = []
    for sequence, piece in enumerate(pieces, 1):
        pdu = SubmitSm(
            source_addr="ACME",
            destination_addr="525512345678",
            data_coding=8,
            tlvs=(
                Tlv(c.TAG_MESSAGE_PAYLOAD, piece),
                Tlv(c.TAG_SAR_MSG_REF_NUM, b"\0\x07"),
                Tlv(c.TAG_SAR_TOTAL_SEGMENTS, bytes((len(pieces),))),
                Tlv(c.TAG_SAR_SEGMENT_SEQNUM, bytes((sequence,))),
            ),
        )
        found = read_submit(pdu, credential, classes=CLASSES, now_ms=NOW_MS)
        assert isinstance(found, SubmitRead)
        reads.append(found)
    assert joined([one.wording for one in reads]).text() == text
    if len(reads) > 1:
        assert len({one.place.key for one in reads}) == 1
