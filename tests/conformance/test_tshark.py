"""Every PDU that we can write, read by Wireshark's dissector (Debian package `tshark`)."""

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import PDU_TYPES, Pdu
from adapters.smpp.wire.tlv import Tlv
from tests.support.pcap import SMPP_PORT, write_pcap
from tests.support.peers import need_command

pytestmark = pytest.mark.peer

SOURCE: dict[str, Any] = {"source_addr_ton": 5, "source_addr": "BancoMX"}
DESTINATION: dict[str, Any] = {"dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": "525512345678"}
BIND: dict[str, Any] = {
    "system_id": "caudal",
    "password": "secret",
    "system_type": "SMPP",
    "interface_version": 0x34,
    "address_range": "12345",
}
VERSION = Tlv(c.TAG_SC_INTERFACE_VERSION, b"\x34")
RECEIPT = (
    b"id:7F sub:001 dlvrd:001 submit date:2601151200 done date:2601151201 stat:DELIVRD err:000 text:hola"
)
RECEIPT_TLVS = (
    Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"7F\0"),
    Tlv(c.TAG_MESSAGE_STATE, b"\x02"),
    Tlv(c.TAG_NETWORK_ERROR_CODE, b"\x03\x00\x1b"),
)
SAR = (
    Tlv(c.TAG_SAR_MSG_REF_NUM, b"\x12\x34"),
    Tlv(c.TAG_SAR_TOTAL_SEGMENTS, b"\x02"),
    Tlv(c.TAG_SAR_SEGMENT_SEQNUM, b"\x01"),
)

PDUS: list[Pdu] = [
    p.Outbind(system_id="caudal", password="secret"),
    p.BindTransmitter(**BIND),
    p.BindTransmitterResp(system_id="mc", tlvs=(VERSION,)),
    p.BindReceiver(**BIND),
    p.BindReceiverResp(system_id="mc", tlvs=(VERSION,)),
    p.BindTransceiver(**BIND),
    p.BindTransceiverResp(system_id="mc", tlvs=(VERSION,)),
    p.SubmitSm(
        **SOURCE,
        **DESTINATION,
        esm_class=0x40,
        validity_period="000000000500000R",
        registered_delivery=1,
        short_message=b"\x05\x00\x03\x51\x02\x01" + b"x" * 153,
    ),
    p.SubmitSm(**SOURCE, **DESTINATION, data_coding=8, short_message="año 👍".encode("utf-16-be"), tlvs=SAR),
    p.SubmitSm(**SOURCE, **DESTINATION, tlvs=(Tlv(c.TAG_MESSAGE_PAYLOAD, b"y" * 400), Tlv(0x1400, b""))),
    p.SubmitSmResp(message_id="7F"),
    p.DeliverSm(**SOURCE, **DESTINATION, esm_class=4, short_message=RECEIPT, tlvs=RECEIPT_TLVS),
    p.DeliverSmResp(),
    p.DataSm(**SOURCE, **DESTINATION, registered_delivery=1, tlvs=(Tlv(c.TAG_MESSAGE_PAYLOAD, b"hola"),)),
    p.DataSmResp(message_id="80"),
    p.SubmitMulti(
        **SOURCE,
        dest_address=(p.SmeAddress(1, 1, "525512345678"), p.DistributionList("clientes")),
        short_message=b"hola",
    ),
    p.SubmitMultiResp(message_id="81", unsuccess_sme=(p.UnsuccessSme(1, 1, "525512345678", 0x0B),)),
    p.QuerySm(message_id="7F", **SOURCE),
    p.QuerySmResp(message_id="7F", final_date="260115183000024-", message_state=2, error_code=0),
    p.CancelSm(message_id="7F", **SOURCE, **DESTINATION),
    p.CancelSmResp(),
    p.ReplaceSm(message_id="7F", **SOURCE, registered_delivery=1, short_message=b"otra"),
    p.ReplaceSmResp(),
    p.AlertNotification(source_addr_ton=1, source_addr_npi=1, source_addr="525512345678", esme_addr="12345"),
    p.EnquireLink(),
    p.EnquireLinkResp(),
    p.GenericNack(),
    p.Unbind(),
    p.UnbindResp(),
]


def dissected(path: Path) -> list[dict[str, Any]]:
    """Return the SMPP layer of every packet as tshark sees it."""
    return [
        packet["_source"]["layers"]["smpp"]
        for packet in json.loads(_tshark(path, "-T", "json", "--no-duplicate-keys"))
    ]


def _tshark(path: Path, *options: str) -> str:
    tshark = need_command("tshark", package="tshark")
    command = [tshark, "-n", "-r", str(path), "-d", f"tcp.port=={SMPP_PORT},smpp", *options]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def capture(path: Path) -> Path:
    """Write one packet for each PDU; the message centre sends the responses, receipts and its own requests."""
    of_the_centre = (p.Outbind, p.DeliverSm, p.AlertNotification)
    exchange = []
    for number, pdu in enumerate(PDUS, 1):
        is_response = pdu.command_id >= 0x80000000
        from_client = isinstance(pdu, of_the_centre) == is_response
        status = c.ESME_RINVCMDID if isinstance(pdu, p.GenericNack) else 0
        exchange.append((from_client, encode(pdu, sequence_number=number, command_status=status)))
    file = path / "every-pdu.pcap"
    write_pcap(file, exchange)
    return file


def test_the_list_has_every_kind_of_pdu() -> None:
    assert {pdu.command_id for pdu in PDUS} == set(PDU_TYPES)


def test_no_pdu_of_ours_is_malformed_for_wireshark(tmp_path: Path) -> None:
    text = _tshark(capture(tmp_path), "-V", "-o", "tcp.check_checksum:TRUE")
    assert text.count("Short Message Peer to Peer") >= len(PDUS)
    for complaint in ("Malformed", "Expert Info (Error", "Expert Info (Warning", "[Dissector bug"):
        assert complaint not in text, text[max(0, text.find(complaint) - 1500) :][:2000]


def test_wireshark_names_every_pdu_as_we_do(tmp_path: Path) -> None:
    layers = dissected(capture(tmp_path))
    assert len(layers) == len(PDUS)
    seen = [(int(layer["smpp.command_id"], 16), int(layer["smpp.sequence_number"], 0)) for layer in layers]
    assert seen == [(pdu.command_id, number) for number, pdu in enumerate(PDUS, 1)]
    verbose = _tshark(tmp_path / "every-pdu.pcap", "-V")
    named = [
        line.split(":", 1)[1].split("(")[0].strip() for line in verbose.splitlines() if "Operation:" in line
    ]
    ours = [c.command_name(pdu.command_id) for pdu in PDUS]
    assert [name.lower().replace(" - ", "_").replace(" ", "_") for name in named] == ours


def test_wireshark_reads_the_fields_as_we_wrote_them(tmp_path: Path) -> None:
    """B17, B18, B19, E1, F3: the header, the TLVs and the mandatory fields of a submit and a receipt."""
    layers = dissected(capture(tmp_path))
    kinds = [type(pdu) for pdu in PDUS]
    first = kinds.index(p.SubmitSm)
    udh, sar, payload = layers[first : first + 3]
    assert (udh["smpp.source_addr"], udh["smpp.destination_addr"]) == ("BancoMX", "525512345678")
    assert (udh["smpp.source_addr_ton"], udh["smpp.dest_addr_ton"]) == ("0x05", "0x01")
    assert (udh["smpp.esm.submit.features"], udh["smpp.sm_length"]) == ("0x01", "159")
    assert float(udh["smpp.validity_period_r"]) == 300
    assert [options(sar)[name] for name in ("msg_ref_num", "total_segments", "segment_seqnum")] == [
        0x1234,
        2,
        1,
    ]
    assert (sar["smpp.data_coding"], sar["smpp.esm.submit.features"]) == ("0x08", "0x00")
    assert payload["smpp.sm_length"] == "0"
    assert ("79:" * 400)[:-1] in json.dumps(payload)
    receipt = layers[kinds.index(p.DeliverSm)]
    assert receipt["smpp.esm.submit.msg_type"] == "0x01"
    assert '"smpp.receipted_message_id": "7F"' in json.dumps(receipt)
    assert options(receipt)["message_state"] == 2
    assert options(receipt)["network_error.code"] == 0x1B
    assert layers[kinds.index(p.BindTransceiver)]["smpp.system_id"] == "caudal"
    assert layers[kinds.index(p.SubmitMultiResp)]["smpp.message_id"] == "81"


def options(layer: dict[str, Any]) -> dict[str, int]:
    """Return the TLVs that Wireshark reads as numbers, by its own names of them."""
    found = layer["smpp.opt_params"]["smpp.opt_param"]
    numbers = {}
    for option in found if isinstance(found, list) else [found]:
        for name, value in option.items():
            with contextlib.suppress(ValueError):
                numbers[name.removeprefix("smpp.").removeprefix("sar_")] = int(value, 0)
    return numbers
