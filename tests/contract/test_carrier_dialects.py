"""A dialect in caudal.toml is what the carrier hears: settings, intake, cutter and link against a message centre."""

import asyncio
import json
import ssl
import subprocess
from contextlib import asynccontextmanager
from random import Random

import pytest
import uvloop

from adapters.smpp.transport import SmppTransport
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.tlv import find_tlv
from adapters.smpp.wire.udh import parse_user_data
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.references import References
from gateway.dispatch.work import Work
from gateway.domain.gsm7 import decode_unpacked, unpack
from gateway.domain.ids import new_uuid7
from gateway.domain.message import Message, OutboundSegment
from gateway.domain.outcomes import Refusal, Submitted, Throttled
from gateway.intake.prepare import Circumstances, Preparer
from gateway.intake.requests import parse_message
from gateway.policy.routing import RouteTable
from gateway.ports.clock import SystemClock
from gateway.ports.intake_store import Account
from gateway.ports.links import BindState
from gateway.runtime.carriers import carrier_plan, check_carriers, segmentation_options
from gateway.settings import load_settings
from tests.support import link_rigs
from tests.support.message_centre import MessageCentre
from tests.support.peers import need_command

CLOCK = SystemClock()
RECEIPT = (
    b"id:00AB sub:001 dlvrd:001 submit date:2601151830 done date:2601151831 stat:DELIVRD err:000 text:hola"
)
LONG = "El caudal del rio es de 278 metros cubicos por segundo. " * 8

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the:pytest.PytestDeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    """Run every test on both loops: the product uses uvloop."""
    return request.param()


class TlsMessageCentre(MessageCentre):
    """The scripted message centre behind TLS."""

    def __init__(self, context: ssl.SSLContext | None):
        super().__init__()
        self.context = context
        self.peer_certificates: list = []

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", port, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]

    def _bind(self, transport: SmppTransport, event) -> None:
        if self.context is not None:
            self.peer_certificates.append(transport._transport.get_extra_info("peercert"))
        super()._bind(transport, event)


class Sink(link_rigs.Sink):
    def bound(self):
        return sorted(change.bind for change in self.changes if change.state is BindState.BOUND)


class Carrier:
    """One carrier of a configuration, with all that stands between a request and its socket."""

    def __init__(self, mc: MessageCentre, folder, lines: str, tls: str, access: str):
        path = folder / "caudal.toml"
        path.write_text(
            f'[carriers.telco]\nhost = "127.0.0.1"\nport = {mc.port}\nsystem_id = "acme"\npassword = "secret"\n'
            f"{access}\n[carriers.telco.tls]\n{tls}\n[carriers.telco.profile]\n{lines}\n"
        )
        settings, source = load_settings(path)
        check_carriers(settings, source=source)
        carrier = settings.carriers["telco"]
        self.mc = mc
        self.sink = Sink()
        self.outcomes: list = []
        plan = carrier_plan("telco", carrier, CLOCK)
        self.link = plan.link_factory(0, 1)
        self._cutter = Cutter(plan, References(Random(3)))
        self._preparer = Preparer(
            RouteTable([], carriers=["telco"]),
            new_id=lambda now_ms: new_uuid7(now_ms, 1),
            segmentation={"telco": segmentation_options(carrier)},
        )

    async def send(self, text: str, **more) -> tuple[Message, list]:
        """Return the message as it was accepted and the submit_sm that the carrier heard of it, all of them."""
        body = {"to": "+525512345678", "from": "22222", "content": {"text": text}, **more}
        account = Account(id="acme", default_region="MX")
        message = self._preparer.prepare(
            parse_message(json.dumps(body).encode()), Circumstances(account, CLOCK.now_ms())
        )
        assert isinstance(message, Message), message
        work = Work(message, lane=0, offset=0)
        self._cutter.cut(work)
        heard = len(self.mc.submits)
        settled = len(self.outcomes)
        for index in work.todo:
            assert self.link.ready(CLOCK.monotonic_ns()).wait_ns == 0
            segment = OutboundSegment(
                work.message, index, work.data_coding, work.segments[index - 1], self._settle
            )
            self.link.submit(segment, now_ns=CLOCK.monotonic_ns())
        await self.mc.until(lambda: len(self.outcomes) == settled + len(work.todo))
        return message, [pdu for _, _, pdu in self.mc.submits[heard:]]

    def _settle(self, segment, outcome):
        self.outcomes.append(outcome)


@asynccontextmanager
async def a_carrier(folder, lines="", *, tls="", access="", context=None, binds=1, wait=True):
    mc = TlsMessageCentre(context)
    await mc.start()
    carrier = Carrier(mc, folder, lines, tls, access)
    await carrier.link.start(carrier.sink)
    try:
        if wait:
            await mc.until(lambda: len(carrier.sink.bound()) == binds)
        yield carrier
    finally:
        carrier.link.abort()
        await mc.stop()


# -- texts ------------------------------------------------------------------------------------------


async def test_e7_the_data_coding_is_the_one_the_carrier_wants(tmp_path):
    async with a_carrier(tmp_path, "data_coding = {0 = 0xF1, 8 = 0x18}") as carrier:
        _, (plain,) = await carrier.send("hola")
        _, (accented,) = await carrier.send("válido")
        assert (plain.data_coding, accented.data_coding) == (0xF1, 0x18)
        assert (plain.short_message, accented.short_message) == (b"hola", "válido".encode("utf-16-be"))


async def test_b14_b27_references_of_16_bits_cost_a_septet_a_part_and_are_counted(tmp_path):
    async with a_carrier(tmp_path, "reference_bits = 16") as carrier:
        message, pdus = await carrier.send("a" * 305)
        assert message.segment_count == len(pdus) == 3
        heads = [parse_user_data(pdu.short_message).concatenation for pdu in pdus]
        assert [(head.reference_bits, head.segment_count) for head in heads] == [(16, 3)] * 3
        assert [head.segment_index for head in heads] == [1, 2, 3]
        assert len({head.reference for head in heads}) == 1
        assert [len(pdu.short_message) for pdu in pdus] == [159, 159, 8]
        assert all(pdu.esm_class == c.ESM_UDHI for pdu in pdus)


async def test_b17_b27_the_usual_is_a_header_with_8_bits(tmp_path):
    async with a_carrier(tmp_path) as carrier:
        message, pdus = await carrier.send("a" * 305)
        assert message.segment_count == len(pdus) == 2
        assert [pdu.short_message[:3] for pdu in pdus] == [b"\x05\x00\x03"] * 2


async def test_b18_b27_sar_goes_in_tlvs_without_a_header(tmp_path):
    async with a_carrier(tmp_path, 'split = "sar"') as carrier:
        message, pdus = await carrier.send(LONG)
        assert message.segment_count == len(pdus) == 3
        assert all(pdu.esm_class == 0 for pdu in pdus)
        assert len({find_tlv(pdu.tlvs, c.TAG_SAR_MSG_REF_NUM) for pdu in pdus}) == 1
        assert [find_tlv(pdu.tlvs, c.TAG_SAR_TOTAL_SEGMENTS) for pdu in pdus] == [b"\x03"] * 3
        assert [find_tlv(pdu.tlvs, c.TAG_SAR_SEGMENT_SEQNUM) for pdu in pdus] == [b"\x01", b"\x02", b"\x03"]
        assert "".join(decode_unpacked(pdu.short_message) for pdu in pdus) == LONG


async def test_b19_payload_is_one_submit_that_is_billed_by_segments(tmp_path):
    async with a_carrier(tmp_path, 'split = "payload"') as carrier:
        message, (pdu,) = await carrier.send(LONG)
        assert message.segment_count == 3
        assert (pdu.short_message, pdu.esm_class) == (b"", 0)
        assert decode_unpacked(find_tlv(pdu.tlvs, c.TAG_MESSAGE_PAYLOAD)) == LONG


async def test_b23_septets_are_packed_where_the_carrier_wants_it(tmp_path):
    async with a_carrier(tmp_path, "packed_septets = true") as carrier:
        _, (pdu,) = await carrier.send("hello")
        assert pdu.short_message == bytes.fromhex("E8329BFD06")
        message, pdus = await carrier.send("a" * 161)
        assert message.segment_count == len(pdus) == 2
        assert len(pdus[0].short_message) == 140
        assert unpack(pdus[1].short_message[6:], 8, fill_bits=1) == b"a" * 8


async def test_b24_b27_accents_stay_septets_with_a_national_shift(tmp_path):
    async with a_carrier(tmp_path, "national_single_shift = 2") as carrier:
        message, (pdu,) = await carrier.send("válido")
        assert (message.encoding, message.segment_count, pdu.data_coding) == ("gsm7", 1, 0)
        assert pdu.short_message == b"\x03\x24\x01\x02v\x1balido"


async def test_a13_b27_the_default_alphabet_is_the_carriers_and_decides_what_is_ucs2(tmp_path):
    async with a_carrier(tmp_path, 'default_alphabet = "latin1"') as carrier:
        _, (pdu,) = await carrier.send("Año @ [1]")
        assert (pdu.data_coding, pdu.short_message) == (0, "Año @ [1]".encode("latin-1"))
        message, pdus = await carrier.send("€" * 71)
        assert message.segment_count == len(pdus) == 2
        assert {pdu.data_coding for pdu in pdus} == {8}


# -- addresses and parameters -------------------------------------------------------------------------


async def test_d3_ton_and_npi_are_the_profiles(tmp_path):
    lines = (
        "short_code = {ton = 0, npi = 1}\nlong_number = {ton = 2, npi = 8}\n"
        "alphanumeric = {ton = 5, npi = 1}\nrecipient = {ton = 2, npi = 1}"
    )
    async with a_carrier(tmp_path, lines) as carrier:
        for sender, expected in (("22222", (0, 1)), ("+56987654321", (2, 8)), ("BancoMX", (5, 1))):
            _, (pdu,) = await carrier.send("hola", **{"from": sender})
            assert (pdu.source_addr_ton, pdu.source_addr_npi) == expected
            assert (pdu.dest_addr_ton, pdu.dest_addr_npi) == (2, 1)


async def test_e4_validity_is_sent_unless_the_profile_says_otherwise(tmp_path):
    async with a_carrier(tmp_path) as carrier:
        _, (pdu,) = await carrier.send("hola")
        assert pdu.validity_period.endswith("R")
    async with a_carrier(tmp_path, "sends_validity = false") as carrier:
        _, (pdu,) = await carrier.send("hola")
        assert pdu.validity_period == ""


async def test_e5_e6_e8_the_parameters_are_the_profiles(tmp_path):
    lines = (
        'service_type = "CMT"\nprotocol_id = 0x41\nesm_class = 3\npriority_flag_otp = 2\n'
        "registered_delivery = 2\nintermediate_receipts = true"
    )
    async with a_carrier(tmp_path, lines) as carrier:
        _, (pdu,) = await carrier.send("hola", **{"class": "otp"})
        assert (pdu.service_type, pdu.protocol_id, pdu.priority_flag) == ("CMT", 0x41, 2)
        assert pdu.registered_delivery == 0x12
        _, pdus = await carrier.send("a" * 161)
        assert {pdu.esm_class for pdu in pdus} == {c.ESM_UDHI | 3}
        assert {pdu.priority_flag for pdu in pdus} == {0}


# -- answers and receipts -----------------------------------------------------------------------------


async def test_g_a_status_has_the_class_of_the_profile(tmp_path):
    lines = 'status = {ESME_RINVDSTADR = "failover", 0x0400 = "throttle"}'
    async with a_carrier(tmp_path, lines) as carrier:
        carrier.mc.answer = lambda number, pdu: (c.ESME_RINVDSTADR, "")
        await carrier.send("hola")
        (refused,) = carrier.outcomes
        assert (refused.status, refused.refusal) == ("ESME_RINVDSTADR", Refusal.FAILOVER)
        carrier.mc.answer = lambda number, pdu: (0x400, "")
        await carrier.send("hola")
        assert isinstance(carrier.outcomes[1], Throttled)


async def test_f8_f13_receipts_are_read_by_the_profile(tmp_path):
    lines = 'receipt_id_format = "hex"\nreceipt_time_zone = "America/Mexico_City"'
    async with a_carrier(tmp_path, lines) as carrier:
        carrier.mc.deliver(esm_class=4, short_message=RECEIPT)
        await carrier.mc.until(lambda: carrier.sink.inbound)
        receipt = carrier.sink.inbound[0].item
        assert receipt.carrier_message_id == carrier.link.normalise_id("ab")
        assert (receipt.submit_date, receipt.done_date) == ("2026-01-16T00:30:00Z", "2026-01-16T00:31:00Z")
        carrier.link.acknowledge(carrier.sink.inbound, stored=True)


# -- sessions -----------------------------------------------------------------------------------------


async def test_a_transmitter_and_a_receiver_for_each_bind(tmp_path):
    access = 'bind_type = "transmitter_receiver"\nbinds = 2'
    async with a_carrier(tmp_path, access=access, binds=4) as carrier:
        assert carrier.sink.bound() == ["rx1", "rx2", "tx1", "tx2"]
        assert sorted(carrier.mc.binds) == [*[c.BIND_RECEIVER] * 2, *[c.BIND_TRANSMITTER] * 2]
        await carrier.send("hola")
        assert carrier.outcomes[0].bind.startswith("tx")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Make a self-signed certificate for 127.0.0.1 and another one for a client."""
    openssl = need_command("openssl", package="openssl")
    folder = tmp_path_factory.mktemp("certificates")
    for name, alternative in (("mc", "IP:127.0.0.1"), ("client", "DNS:client")):
        command = (
            f"req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN={name} -addext subjectAltName={alternative}"
        )
        subprocess.run(
            [openssl, *command.split(), "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=60,
        )
    return folder


@pytest.fixture
def server_context(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "mc.pem", certificates / "mc.key")
    return context


async def test_tls_with_a_certificate_of_the_carriers_own(tmp_path, certificates, server_context):
    tls = f'enabled = true\nca_file = "{certificates / "mc.pem"}"'
    async with a_carrier(tmp_path, tls=tls, context=server_context) as carrier:
        await carrier.send("hola")
        assert isinstance(carrier.outcomes[0], Submitted)


async def test_tls_with_a_client_certificate(tmp_path, certificates, server_context):
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_verify_locations(certificates / "client.pem")
    tls = (
        f'enabled = true\nca_file = "{certificates / "mc.pem"}"\n'
        f'certificate_file = "{certificates / "client.pem"}"\nkey_file = "{certificates / "client.key"}"'
    )
    async with a_carrier(tmp_path, tls=tls, context=server_context) as carrier:
        (certificate,) = carrier.mc.peer_certificates
        assert certificate["subject"] == ((("commonName", "client"),),)
        await carrier.send("hola")
        assert isinstance(carrier.outcomes[0], Submitted)


async def test_tls_by_another_name_than_the_host(tmp_path, certificates, server_context):
    tls = f'enabled = true\nca_file = "{certificates / "mc.pem"}"\nserver_name = "smpp.telco.example"'
    async with a_carrier(tmp_path, tls=tls, context=server_context, wait=False) as carrier:
        await carrier.mc.until(lambda: any(change.state is BindState.DOWN for change in carrier.sink.changes))
        assert carrier.sink.changes[-1].reason == "tls_failed"
        assert carrier.mc.binds == []


async def test_a_certificate_that_nobody_vouches_for_is_refused_unless_told_otherwise(
    tmp_path, server_context
):
    async with a_carrier(tmp_path, tls="enabled = true", context=server_context, wait=False) as carrier:
        await carrier.mc.until(lambda: any(change.state is BindState.DOWN for change in carrier.sink.changes))
        assert (carrier.sink.changes[-1].reason, carrier.sink.changes[-1].alert) == ("tls_failed", True)
        assert carrier.mc.binds == []
    async with a_carrier(tmp_path, tls="enabled = true\nverify = false", context=server_context) as carrier:
        await carrier.send("hola")
        assert isinstance(carrier.outcomes[0], Submitted)
