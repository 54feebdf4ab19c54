"""Structure-aware mutations of SMPP streams: valid PDUs of every kind first, then harm done to them.

`a_stream` is what `fuzz` and the property test feed; `CORPUS` holds the cases that are kept by name in
`tests/data/fuzz_corpus` (`python -m tests.perf.fuzz --write-corpus` writes them anew).
"""

import struct
from pathlib import Path
from random import Random

from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.tlv import Tlv

CORPUS_FOLDER = Path(__file__).parent.parent / "data" / "fuzz_corpus"
SYSTEM_ID, PASSWORD = "caudal", "secret"
MAX_STREAM_OCTETS = 20_000

INTERESTING_32 = (0, 1, 2, 4, 15, 16, 17, 33, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 66_560, 66_561, 0x47455420)
INTERESTING_8 = (0, 1, 2, 3, 4, 0x1B, 0x40, 0x7F, 0x80, 0xFE, 0xFF)

_ADDRESSES = {
    "source_addr_ton": 5,
    "source_addr": "BancoMX",
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "destination_addr": "525512345678",
}
_BACK = {
    "source_addr_ton": 1,
    "source_addr_npi": 1,
    "source_addr": "525512345678",
    "destination_addr": "12345",
}
_RECEIPT_TEXT = (
    b"id:7 sub:001 dlvrd:001 submit date:2601151230 done date:2601151231 stat:DELIVRD err:000 text:"
)
_RECEIPT_TLVS = (Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"7\0"), Tlv(c.TAG_MESSAGE_STATE, b"\x02"))
_UDH = bytes.fromhex("0500037F0201")
_BIND = {"system_id": SYSTEM_ID, "password": PASSWORD}

BINDS = (
    p.BindTransmitter(**_BIND),
    p.BindReceiver(**_BIND),
    p.BindTransceiver(**_BIND),
    p.BindTransceiver(**_BIND, interface_version=0x33),
    p.BindTransceiver(system_id="nobody", password="wrong"),
)
TRAFFIC = (
    p.SubmitSm(**_ADDRESSES, short_message=b"hello", registered_delivery=1),
    p.SubmitSm(
        **_ADDRESSES, short_message=_UDH + b"first part", esm_class=0x40, validity_period="000000000500000R"
    ),
    p.SubmitSm(**_ADDRESSES, tlvs=(Tlv(c.TAG_MESSAGE_PAYLOAD, b"payload" * 40),)),
    p.SubmitSm(
        **_ADDRESSES, short_message="ñandú".encode("utf-16-be"), data_coding=8, tlvs=(Tlv(0x1400, b""),)
    ),
    p.DeliverSm(**_BACK, esm_class=4, short_message=_RECEIPT_TEXT, tlvs=_RECEIPT_TLVS),
    p.DeliverSm(**_BACK, esm_class=0x44, short_message=_UDH + _RECEIPT_TEXT[:60]),
    p.DeliverSm(**_BACK, short_message=b"BAJA"),
    p.DeliverSm(
        **_BACK, esm_class=4, data_coding=8, short_message=_RECEIPT_TEXT.decode().encode("utf-16-be")[:254]
    ),
    p.DataSm(**_ADDRESSES, tlvs=(Tlv(c.TAG_MESSAGE_PAYLOAD, b"data"),)),
    p.QuerySm(message_id="7", source_addr="BancoMX"),
    p.CancelSm(message_id="7", source_addr="BancoMX", destination_addr="525512345678"),
    p.ReplaceSm(message_id="7", source_addr="BancoMX", short_message=b"new"),
    p.SubmitMulti(
        source_addr="BancoMX",
        dest_address=(p.SmeAddress(1, 1, "525512345678"), p.DistributionList("friends")),
        short_message=b"to all",
    ),
    p.AlertNotification(source_addr="525512345678", esme_addr="caudal"),
    p.Outbind(system_id="mc", password="p"),
    p.EnquireLink(),
    p.Unbind(),
    p.SubmitSm(**_ADDRESSES | {"destination_addr": "525512345604"}, short_message=b"never final"),
    p.SubmitSm(
        **_ADDRESSES,
        schedule_delivery_time="000000010000000R",
        registered_delivery=1,
        short_message=b"later",
    ),
    p.QuerySm(message_id="8"),
    p.CancelSm(message_id="9"),
)
ANSWERS = (
    p.BindTransceiverResp(system_id="mc", tlvs=(Tlv(c.TAG_SC_INTERFACE_VERSION, b"\x34"),)),
    p.BindTransmitterResp(system_id="mc"),
    p.BindReceiverResp(system_id="mc"),
    p.SubmitSmResp(message_id="7F"),
    p.DeliverSmResp(),
    p.DataSmResp(message_id="7F"),
    p.QuerySmResp(message_id="7", final_date="260115183000024-", message_state=2),
    p.CancelSmResp(),
    p.ReplaceSmResp(),
    p.SubmitMultiResp(message_id="7", unsuccess_sme=(p.UnsuccessSme(1, 1, "525512345678", 11),)),
    p.EnquireLinkResp(),
    p.UnbindResp(),
    p.GenericNack(),
)
VALID = tuple(encode(pdu, sequence_number=1) for pdu in (*BINDS, *TRAFFIC, *ANSWERS))
_OF_TRAFFIC = VALID[len(BINDS) :]


def header(
    command_id: int, *, length: int = 16, status: int = 0, sequence: int = 1, body: bytes = b""
) -> bytes:
    """Return a header that says what it is told to say, and a body."""
    return struct.pack(">IIII", length, command_id, status, sequence) + body


def with_sequence(pdu: bytes, sequence: int) -> bytes:
    """Return the PDU with another sequence_number."""
    return pdu[:12] + struct.pack(">I", sequence) + pdu[16:]


def reframed(pdu: bytes) -> bytes:
    """Return the PDU with the command_length it really has."""
    return struct.pack(">I", len(pdu)) + pdu[4:]


# --- mutations of one PDU ------------------------------------------------------------------------------


def _flip(rng: Random, pdu: bytearray) -> None:
    for _ in range(rng.randint(1, 4)):
        pdu[rng.randrange(len(pdu))] ^= 1 << rng.randrange(8)


def _set_octet(rng: Random, pdu: bytearray) -> None:
    pdu[rng.randrange(len(pdu))] = rng.choice(INTERESTING_8)


def _body_octet(rng: Random, pdu: bytearray) -> None:
    """Harm the body only: the frame stays whole, so the codec is reached."""
    if len(pdu) > 16:
        pdu[rng.randrange(16, len(pdu))] = rng.choice(INTERESTING_8)


def _set_length(rng: Random, pdu: bytearray) -> None:
    pdu[:4] = struct.pack(">I", rng.choice((*INTERESTING_32, len(pdu) - 1, len(pdu) + 1)))


def _set_header_word(rng: Random, pdu: bytearray) -> None:
    at = rng.choice((4, 8, 12))
    commands = (*c.COMMAND_NAMES, 0x42, 0x80000042)
    pdu[at : at + 4] = struct.pack(">I", rng.choice(commands if at == 4 else INTERESTING_32))


def _truncate_body(rng: Random, pdu: bytearray) -> None:
    if len(pdu) > 16:
        del pdu[rng.randrange(16, len(pdu)) :]
        pdu[:4] = struct.pack(">I", len(pdu))


def _truncate(rng: Random, pdu: bytearray) -> None:
    del pdu[rng.randrange(1, len(pdu)) :]


def _cut_out(rng: Random, pdu: bytearray) -> None:
    if len(pdu) > 17:
        at = rng.randrange(16, len(pdu) - 1)
        del pdu[at : at + rng.randint(1, 8)]
        pdu[:4] = struct.pack(">I", len(pdu))


def _insert(rng: Random, pdu: bytearray) -> None:
    at = rng.randrange(16, len(pdu) + 1) if len(pdu) >= 16 else len(pdu)
    pdu[at:at] = rng.choice(
        (rng.randbytes(rng.randint(1, 30)), b"\0" * rng.randint(1, 40), b"A" * rng.randint(1, 300))
    )
    if rng.random() < 0.8:
        pdu[:4] = struct.pack(">I", len(pdu))


def _add_tlv(rng: Random, pdu: bytearray) -> None:
    tag = rng.choice(
        (c.TAG_MESSAGE_PAYLOAD, c.TAG_RECEIPTED_MESSAGE_ID, c.TAG_MESSAGE_STATE, 0x1400, 0, 0xFFFF)
    )
    value = rng.randbytes(rng.choice((0, 1, 2, 3, 20)))
    announced = rng.choice((len(value), len(value), len(value), len(value) + 1, 0xFFFF))
    pdu += struct.pack(">HH", tag, announced) + value
    if rng.random() < 0.2:
        pdu += rng.randbytes(rng.randint(1, 3))
    pdu[:4] = struct.pack(">I", len(pdu))


def _splice(rng: Random, pdu: bytearray) -> None:
    other = rng.choice(VALID)
    pdu[rng.randrange(len(pdu)) :] = other[rng.randrange(len(other)) :] or b"\0"
    if rng.random() < 0.8 and len(pdu) >= 16:
        pdu[:4] = struct.pack(">I", len(pdu))


_MUTATIONS = (
    _flip,
    _set_octet,
    _body_octet,
    _body_octet,
    _body_octet,
    _set_length,
    _set_header_word,
    _truncate_body,
    _truncate,
    _cut_out,
    _insert,
    _add_tlv,
    _splice,
)


def mutated(rng: Random, pdu: bytes) -> bytes:
    """Return one PDU after one to three mutations."""
    octets = bytearray(pdu)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if len(octets) < 16:
            break
        rng.choice(_MUTATIONS)(rng, octets)
    return bytes(octets)


def a_stream(rng: Random, *, corpus: tuple[bytes, ...] = ()) -> bytes:
    """Return up to ten PDUs, most of them good, in an order that may make no sense."""
    parts: list[bytes] = []
    if rng.random() < 0.5:
        parts.append(encode(rng.choice(BINDS), sequence_number=rng.choice((1, 1, 1, 0, 0xFFFFFFFF))))
    for number in range(2, 2 + rng.randint(1, 8)):
        pdu = rng.choice(_OF_TRAFFIC)
        if corpus and rng.random() < 0.1:
            pdu = rng.choice(corpus)
        elif len(pdu) >= 16:
            pdu = with_sequence(pdu, rng.choice((number, number, number, 1, 0, 0x7FFFFFFF, 0x80000000)))
        if rng.random() < 0.45:
            pdu = mutated(rng, pdu)
        parts.extend([pdu] * (1 if rng.random() < 0.95 else rng.randint(2, 30)))
    if rng.random() < 0.1:
        parts.append(rng.randbytes(rng.randint(1, 60)))
    return b"".join(parts)[:MAX_STREAM_OCTETS]


def slices(rng: Random, data: bytes) -> list[bytes]:
    """Cut the stream as TCP might: whole, octet by octet (short ones), or anywhere."""
    way = rng.random()
    if way < 0.1 or len(data) < 2:
        return [data]
    if way < 0.25 and len(data) < 600:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted(rng.sample(range(1, len(data)), min(len(data) - 1, rng.randint(1, 8))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# --- the corpus ----------------------------------------------------------------------------------------


def _named_corpus() -> dict[str, bytes]:
    submit = VALID[len(BINDS)]
    receipt = VALID[len(BINDS) + 4]
    bind = VALID[2]
    body = submit[16:]
    cases = {
        f"valid_{c.command_name(int.from_bytes(octets[4:8], 'big'))}_{number:02}": octets
        for number, octets in enumerate(VALID)
    }
    for length in (0, 4, 15, 66_561, 0x80000010, 0xFFFFFFFF):
        cases[f"command_length_{length:08x}"] = bind + header(c.SUBMIT_SM, length=length, body=body)
    cases |= {
        "zeros_4096": bytes(4096),
        "http_get": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "tls_hello": bytes.fromhex("160301020001000100fc0303") + bytes(64),
        "unknown_request": bind + header(0x42, length=20, sequence=9, body=b"????"),
        "unknown_response": bind + header(0x80000042, length=20, sequence=9, body=b"????"),
        "submit_before_bind": submit,
        "bind_and_submit_in_one_segment": bind + with_sequence(submit, 2) + with_sequence(submit, 3),
        "bind_twice": bind + with_sequence(bind, 2),
        "bind_unbind_submit": bind + with_sequence(VALID[len(BINDS) + 16], 2) + with_sequence(submit, 3),
        "sequence_zero": with_sequence(submit, 0),
        "sequence_high_bit": bind + with_sequence(submit, 0x80000001),
        "submit_no_nul_anywhere": bind + header(c.SUBMIT_SM, length=16 + 200, sequence=2, body=b"A" * 200),
        "submit_over_long_source": reframed(submit[:19] + b"9" * 30 + submit[19:]),
        "submit_non_ascii_source": submit.replace(b"Banco", b"Banc\xf3"),
        "submit_sm_length_beyond_the_pdu": submit[:-6] + b"\xfe" + submit[-5:],
        "submit_sm_length_255": reframed(submit[:-6] + b"\xff" + b"x" * 255),
        "submit_body_empty": header(c.SUBMIT_SM, sequence=2),
        "submit_tlv_header_cut": reframed(submit + b"\x04\x24\x00"),
        "submit_tlv_length_beyond_the_pdu": reframed(submit + b"\x04\x24\xff\xffab"),
        "submit_short_message_and_payload": reframed(submit + b"\x04\x24\x00\x01a"),
        "submit_5000_tlvs": reframed(submit + b"\x14\x00\x00\x00" * 5000),
        "submit_truncated": bind + with_sequence(submit, 2)[:-3],
        "submit_header_only_half": bind + submit[:7],
        "submit_validity_month_13": submit.replace(b"\0\0\0\0\0\x01", b"\0\0\0\x00261301000000000+\x00\x01"),
        "submit_udh_255": bind
        + encode(p.SubmitSm(**_ADDRESSES, esm_class=0x40, short_message=b"\xff"), sequence_number=2),
        "submit_ucs2_odd": bind
        + encode(p.SubmitSm(**_ADDRESSES, data_coding=8, short_message=b"\xd8"), sequence_number=2),
        "receipt_tlv_length_beyond_the_pdu": reframed(receipt[:-1] + b"\x04\x24\x00\x09x"),
        "receipt_unterminated_id": reframed(
            receipt[:-5].replace(b"\0\x1e\0\x02" + b"7\0", b"\0\x1e\0\x0277")
        ),
        "receipt_text_only_keys": encode(
            p.DeliverSm(**_BACK, esm_class=4, short_message=b"id: stat: err:"), sequence_number=1
        ),
        "receipt_utf16_odd": encode(
            p.DeliverSm(**_BACK, esm_class=4, short_message=b"\0i\0d\0:\0"), sequence_number=1
        ),
        "deliver_udh_overrun": encode(
            p.DeliverSm(**_BACK, esm_class=0x40, short_message=b"\x05\0\x09\x01\x01\x01x"), sequence_number=1
        ),
        "enquire_link_with_a_body": header(c.ENQUIRE_LINK, length=20, body=b"body"),
        "enquire_link_flood": header(c.ENQUIRE_LINK) * 200,
        "unknown_command_flood": header(0x42) * 200,
        "bind_flood": bind * 40,
        "unsolicited_responses": b"".join(VALID[len(BINDS) + len(TRAFFIC) :]),
        "generic_nack_sequence_zero": header(c.GENERIC_NACK, status=3, sequence=0),
        "bind_resp_no_body": header(c.BIND_TRANSCEIVER_RESP),
        "bind_resp_refused": header(c.BIND_TRANSCEIVER_RESP, status=c.ESME_RINVPASWD),
        "multi_254_destinations_announced": reframed(submit[:16] + b"\0\0\0\0\xfe" + b"\x01\0\0" * 10),
        "cancel_without_ids": bind + header(c.CANCEL_SM, length=25, sequence=2, body=bytes(9)),
        "random_octets": Random(1).randbytes(200),
    }
    return cases


def write_corpus(folder: Path = CORPUS_FOLDER) -> int:
    """Write every named case as one file and return how many there are; reproducers kept by hand stay."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = _named_corpus()
    for name, octets in cases.items():
        (folder / f"{name}.bin").write_bytes(octets)
    return len(cases)


def read_corpus(folder: Path = CORPUS_FOLDER) -> dict[str, bytes]:
    """Return the octets of every case by name."""
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.bin"))}
