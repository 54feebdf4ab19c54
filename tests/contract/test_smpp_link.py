"""SmppLink against the numbered rules of `gateway.ports.links`, over loopback sockets and a scripted message centre."""

import asyncio
import logging
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import uvloop

from adapters.smpp.link import SmppLink
from adapters.smpp.profile import BindMode, CarrierProfile
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import AlertNotification, DataSm, GenericNack, Outbind
from adapters.smpp.wire.tlv import Tlv
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, Submitted, Throttled, Unsent
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.domain.segmentation import SegmentPayload
from gateway.ports.clock import SystemClock
from gateway.ports.links import GO, WAIT_FOR_EVENT, BindState
from tests.support.link_rigs import Sink
from tests.support.message_centre import MessageCentre, a_message_centre

CLOCK = SystemClock()
RECEIPT = (
    b"id:id-1 sub:001 dlvrd:001 submit date:2601151200 done date:2601151201 stat:DELIVRD err:000 text:hola"
)

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the:pytest.PytestDeprecationWarning")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    """Run every test on both loops: the product uses uvloop."""
    return request.param()


@dataclass
class Harness:
    mc: MessageCentre
    link: SmppLink
    sink: Sink
    outcomes: list = field(default_factory=list)

    def settle(self, segment, outcome):
        self.outcomes.append(outcome)

    def segment(self, text=b"hello", tlvs=(), **fields):
        now_ms = CLOCK.now_ms()
        message = Message(
            **{
                "id": uuid4(),
                "account_id": "acme",
                "message_class": MessageClass.TRANSACTIONAL,
                "recipient": "525512345678",
                "sender": "BancoMX",
                "text": text.decode("latin-1"),
                "encoding": "gsm7",
                "segment_count": 1,
                "accepted_at": now_ms,
                "valid_until": now_ms + 300_500,
                "carrier": "telco",
                **fields,
            }
        )
        return OutboundSegment(message, 1, 0, SegmentPayload(0, b"", text, tlvs), self.settle)

    def submit(self, **fields):
        assert self.link.ready(CLOCK.monotonic_ns()) == GO
        self.link.submit(self.segment(**fields), now_ns=CLOCK.monotonic_ns())

    async def settled(self, count=1):
        await self.mc.until(lambda: len(self.outcomes) >= count)
        return self.outcomes


def a_profile(port, **options):
    return CarrierProfile(
        **{
            "carrier": "telco",
            "host": "127.0.0.1",
            "port": port,
            "system_id": "caudal",
            "password": "secret",
            "reconnect_min_s": 0.01,
            "reconnect_max_s": 0.05,
            **options,
        }
    )


@asynccontextmanager
async def a_link(mc=None, *, is_bound=True, clock=CLOCK, **options):
    if mc is None:
        async with (
            a_message_centre() as own,
            a_link(own, is_bound=is_bound, clock=clock, **options) as harness,
        ):
            yield harness
        return
    sink = Sink()
    link = SmppLink(a_profile(mc.port, **options), clock=clock)
    harness = Harness(mc, link, sink)
    await link.start(sink)
    try:
        if is_bound:
            await mc.until(lambda: any(change.state is BindState.BOUND for change in sink.changes))
        yield harness
    finally:
        link.abort()
        await asyncio.sleep(0)


# -- rule 1: every outcome comes through settle, once, not from inside submit -----------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (c.ESME_RTHROTTLED, Throttled("ESME_RTHROTTLED", "trx1")),
        (c.ESME_RSYSERR, Refused("ESME_RSYSERR", "trx1", Refusal.RETRY_LATER, try_other_route=True)),
        (c.ESME_RSUBMITFAIL, Refused("ESME_RSUBMITFAIL", "trx1", Refusal.FAILOVER, try_other_route=True)),
        (c.ESME_RINVDSTADR, Refused("ESME_RINVDSTADR", "trx1", Refusal.PERMANENT)),
        (0xFFFFFFFF, Refused("0xFFFFFFFF", "trx1", Refusal.FAILOVER, try_other_route=True)),
    ],
)
async def test_1_g1_refusals_are_outcomes_by_their_class(status, expected):
    async with a_link() as harness:
        harness.mc.answer = lambda number, pdu: (status, "")
        harness.submit()
        assert await harness.settled() == [expected]


async def test_1_a_profile_may_give_a_code_another_class():
    async with a_link(status_overrides={c.ESME_RINVDSTADR: "retry_later"}) as harness:
        harness.mc.answer = lambda number, pdu: (c.ESME_RINVDSTADR, "")
        harness.submit()
        (outcome,) = await harness.settled()
        assert outcome.refusal is Refusal.RETRY_LATER


async def test_1_what_the_dialect_cannot_say_is_refused_for_this_carrier_only():
    async with a_link(default_alphabet="ascii") as harness:
        harness.submit(text=b"\x1b\x65")
        assert harness.outcomes == []
        (outcome,) = await harness.settled()
        assert (outcome.refusal, outcome.try_other_route) == (Refusal.PERMANENT, True)
        assert harness.mc.submits == []


async def test_1_g5_a_nack_without_error_says_nothing_and_is_ambiguous():
    async with a_link() as harness:
        harness.mc.answer = lambda number, pdu: None
        harness.submit()
        await harness.mc.until(lambda: harness.mc.submits)
        session, number, _ = harness.mc.submits[0]
        session.connection._out.append(encode(GenericNack(), sequence_number=number))
        session.flush_soon()
        assert await harness.settled() == [Ambiguous("nack_without_error", "trx1")]


# -- rule 2: Unsent only when nothing left ----------------------------------------------------------


async def test_2_not_bound_any_more_means_unsent_and_a_new_bind():
    async with a_link() as harness:
        harness.mc.answer = lambda number, pdu: (c.ESME_RINVBNDSTS, "")
        harness.submit()
        assert await harness.settled() == [Unsent("ESME_RINVBNDSTS")]
        await harness.mc.until(lambda: len(harness.mc.binds) == 2)
        assert harness.mc.ends == ["peer_unbound"]


# -- rule 3: bounded by the windows ----------------------------------------------------------------


class JumpingClock(SystemClock):
    """The machine's clock with a leap on demand."""

    leap_ns = 0

    def monotonic_ns(self):
        return super().monotonic_ns() + self.leap_ns


# -- rule 4: every submit is settled by its deadline ------------------------------------------------


async def test_4_h8_no_answer_in_time_is_ambiguous_and_a_late_one_is_reported():
    async with a_link(response_timeout_s=0.05) as harness:
        harness.mc.answer = lambda number, pdu: None
        harness.submit()
        assert await harness.settled() == [Ambiguous("response_timeout", "trx1")]
        assert harness.link.figures()[0].timeout_count == 1
        harness.mc.answer_late()
        await harness.mc.until(lambda: harness.sink.late)
        ((_, outcome),) = harness.sink.late
        assert outcome.carrier_message_id.startswith("late-")
        assert len(harness.outcomes) == 1


async def test_4_a_silent_carrier_is_dropped_and_bound_again():
    async with a_link(enquire_link_s=0.2, enquire_link_response_s=0.2, response_timeout_s=30) as harness:
        harness.mc.answer = lambda number, pdu: None
        harness.submit()
        await harness.mc.until(lambda: harness.mc.submits)
        session = harness.mc.sessions[0]
        session._transport.pause_reading()  # the peer black-holes: TCP lives, nobody reads
        assert await harness.settled() == [Ambiguous("enquire_link_timeout", "trx1")]
        await harness.mc.until(lambda: len(harness.mc.binds) == 2)


# -- rule 5: acknowledged only when told so ---------------------------------------------------------


async def test_5_a_receipt_is_handed_over_and_acknowledged_only_afterwards():
    async with a_link() as harness:
        harness.mc.deliver(
            source_addr="525512345678", destination_addr="BancoMX", esm_class=4, short_message=RECEIPT
        )
        await harness.mc.until(lambda: harness.sink.inbound)
        await asyncio.sleep(0.02)
        assert harness.mc.answers == []
        (inbound,) = harness.sink.inbound
        receipt = inbound.item
        assert isinstance(receipt, Receipt)
        assert (receipt.carrier_message_id, receipt.message_state) == ("id-1", MessageState.DELIVERED)
        assert (receipt.carrier, receipt.bind) == ("telco", "trx1")
        assert "hola" not in receipt.raw
        harness.link.acknowledge([inbound], stored=True)
        await harness.mc.until(lambda: harness.mc.answers)
        assert harness.mc.answers[0].command_status == 0


async def test_5_f18_what_could_not_be_stored_is_sent_again_by_the_carrier():
    async with a_link() as harness:
        harness.mc.deliver(esm_class=4, short_message=RECEIPT)
        await harness.mc.until(lambda: harness.sink.inbound)
        harness.link.acknowledge(harness.sink.inbound, stored=False)
        await harness.mc.until(lambda: harness.mc.answers)
        assert harness.mc.answers[0].command_status == c.ESME_RX_T_APPN


async def test_5_many_receipts_come_in_batches():
    async with a_link() as harness:
        for _ in range(200):
            harness.mc.deliver(esm_class=4, short_message=RECEIPT)
        await harness.mc.until(lambda: len(harness.sink.inbound) == 200)
        assert harness.sink.batches < 50
        harness.link.acknowledge(harness.sink.inbound, stored=True)
        await harness.mc.until(lambda: len(harness.mc.answers) == 200)


async def test_5_a_mobile_originated_message_keeps_its_octets():
    async with a_link() as harness:
        harness.mc.deliver(source_addr="525512345678", destination_addr="22222", short_message=b"BAJA")
        await harness.mc.until(lambda: harness.sink.inbound)
        item = harness.sink.inbound[0].item
        assert isinstance(item, MobileOriginated)
        assert (item.sender, item.recipient, item.short_message_hex) == (
            "525512345678",
            "22222",
            b"BAJA".hex(),
        )


async def test_5_data_sm_is_acknowledged_by_its_own_response():
    async with a_link(receipt_id_format="hex") as harness:
        session = harness.mc.sessions[0]
        pdu = DataSm(esm_class=4, tlvs=(Tlv(c.TAG_MESSAGE_PAYLOAD, b"id:00AB stat:DELIVRD"),))
        session.connection.send(pdu, context=None, now_ns=CLOCK.monotonic_ns())
        session.flush_soon()
        await harness.mc.until(lambda: harness.sink.inbound)
        assert harness.sink.inbound[0].item.carrier_message_id == harness.link.normalise_id("ab")
        harness.link.acknowledge(harness.sink.inbound, stored=True)
        await harness.mc.until(lambda: harness.mc.answers)
        assert harness.mc.answers[0].answer_id == c.DATA_SM_RESP


async def test_5_a_sink_that_fails_makes_the_carrier_keep_its_receipts():
    async with a_link() as harness:

        def broken(batch):
            raise KeyError("a bug")

        harness.sink.on_inbound = broken
        harness.mc.deliver(esm_class=4, short_message=RECEIPT)
        await harness.mc.until(lambda: harness.mc.answers)
        assert harness.mc.answers[0].command_status == c.ESME_RX_T_APPN


async def test_5_reading_stops_while_too_many_receipts_wait_and_goes_on_afterwards():
    async with a_link(max_unacknowledged=10) as harness:
        for _ in range(20):
            for _ in range(20):
                harness.mc.deliver(esm_class=4, short_message=RECEIPT * 2)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        held = len(harness.sink.inbound)
        assert held < 400
        acknowledged = 0
        while acknowledged < 400:
            await harness.mc.until(lambda seen=acknowledged: len(harness.sink.inbound) > seen)
            batch = harness.sink.inbound[acknowledged:]
            harness.link.acknowledge(batch, stored=True)
            acknowledged += len(batch)
        await harness.mc.until(lambda: len(harness.mc.answers) == 400)


async def test_h17_h18_outbind_and_alert_notification_are_no_messages():
    async with a_link() as harness:
        session = harness.mc.sessions[0]
        session.connection.send_unanswered(AlertNotification(source_addr="525512345678", esme_addr="BancoMX"))
        session.connection._out.append(encode(Outbind(system_id="mc"), sequence_number=9))
        session.flush_soon()
        harness.submit()
        await harness.settled()
        assert harness.sink.inbound == []


# -- rule 6: drain ----------------------------------------------------------------------------------


async def test_6_h10_drain_waits_for_answers_and_unbinds():
    async with a_link() as harness:
        harness.mc.answer = lambda number, pdu: None
        harness.submit()
        await harness.mc.until(lambda: harness.mc.submits)
        draining = asyncio.create_task(harness.link.drain(deadline_s=5))
        await harness.mc.until(lambda: BindState.DRAINING in harness.sink.states("trx1"))
        assert harness.link.ready(CLOCK.monotonic_ns()) == (WAIT_FOR_EVENT, "draining")
        harness.mc.answer_late()
        assert await draining == 0
        assert isinstance(harness.outcomes[0], Submitted)
        assert harness.mc.ends == ["peer_unbound"]
        assert harness.sink.states("trx1")[-1] is BindState.DOWN
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("smpp.")]


async def test_6_drain_waits_for_receipts_that_the_sink_still_stores():
    async with a_link() as harness:
        harness.mc.deliver(esm_class=4, short_message=RECEIPT)
        await harness.mc.until(lambda: harness.sink.inbound)
        draining = asyncio.create_task(harness.link.drain(deadline_s=5))
        await asyncio.sleep(0.02)
        assert not draining.done()
        harness.link.acknowledge(harness.sink.inbound, stored=True)
        assert await draining == 0
        assert harness.mc.answers[0].command_status == 0


def mc_at(port):
    mc = MessageCentre()
    mc.port = port
    return mc


# -- rule 7: typed state changes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "connect_timeout"),
        (ssl.SSLError("bad"), "tls_failed"),
        (OSError("no route"), "connect_failed"),
    ],
)
async def test_7_each_way_not_to_connect_has_its_reason(monkeypatch, error, reason):
    async def failing(*arguments, **options):
        raise error

    monkeypatch.setattr("adapters.smpp.dial.connect", failing)
    async with a_link(mc_at(1), is_bound=False) as harness:
        await harness.mc.until(lambda: BindState.DOWN in harness.sink.states("trx1"))
        assert harness.sink.changes[1].reason == reason
        with pytest.raises(RuntimeError, match="started"):
            await harness.link.start(harness.sink)


# -- rule 8: reconnects -----------------------------------------------------------------------------


async def test_8_h9_a_closed_connection_is_made_again():
    async with a_link() as harness:
        harness.mc.sessions[0].abort()
        await harness.mc.until(lambda: len(harness.mc.binds) == 2)
        await harness.mc.until(lambda: harness.sink.states("trx1")[-1] is BindState.BOUND)
        harness.submit()
        await harness.settled()


async def test_8_h11_the_carriers_unbind_is_answered_and_followed_by_a_new_bind():
    async with a_link() as harness:
        harness.mc.sessions[0].unbind()
        await harness.mc.until(lambda: harness.mc.ends == ["unbound"])
        await harness.mc.until(lambda: len(harness.mc.binds) == 2)


async def test_8_a_wrong_password_is_not_hammered_and_raises_an_alert():
    async with a_message_centre() as mc:
        mc.bind_status = {c.BIND_TRANSCEIVER: c.ESME_RINVPASWD}
        async with a_link(mc, is_bound=False) as harness:
            await mc.until(lambda: BindState.DOWN in harness.sink.states("trx1"))
            change = harness.sink.changes[-1]
            assert (change.reason, change.alert) == ("ESME_RINVPASWD", True)
            await asyncio.sleep(0.2)
            assert len(mc.binds) == 1
            assert harness.link.figures()[0].last_error == "ESME_RINVPASWD"


async def test_8_a_bind_that_stands_again_calls_those_that_wait_to_try():
    async with a_message_centre() as mc:
        mc.bind_status = {c.BIND_TRANSCEIVER: c.ESME_RINVPASWD}
        async with a_link(mc, is_bound=False, bind_count=2) as harness:
            await mc.until(
                lambda: all(BindState.DOWN in harness.sink.states(bind) for bind in ("trx1", "trx2"))
            )
            mc.bind_status = {}
            harness.link.reconnect("trx1")
            await mc.until(
                lambda: all(harness.sink.states(bind)[-1] is BindState.BOUND for bind in ("trx1", "trx2"))
            )


async def test_8_a_carrier_without_transceiver_gets_a_transmitter_and_a_receiver():
    async with a_message_centre() as mc:
        mc.bind_status = {c.BIND_TRANSCEIVER: c.ESME_RINVCMDID}
        async with a_link(mc, is_bound=False) as harness:
            await mc.until(lambda: len(mc.sessions) == 2)
            await mc.until(
                lambda: len([1 for change in harness.sink.changes if change.state is BindState.BOUND]) == 2
            )
            assert sorted(figures.bind for figures in harness.link.figures()) == ["rx1", "tx1"]
            assert harness.sink.states("trx1")[-1] is BindState.DOWN
            harness.submit()
            (outcome,) = await harness.settled()
            assert outcome.bind == "tx1"
            receiver = next(i for i, s in enumerate(mc.sessions) if s.connection.state.value == "BOUND_RX")
            mc.deliver(receiver, esm_class=4, short_message=RECEIPT)
            await mc.until(lambda: harness.sink.inbound)
            assert harness.sink.inbound[0].item.bind == "rx1"


async def test_8_a_pair_of_binds_may_be_configured():
    async with a_link(bind_mode=BindMode.TX_RX) as harness:
        await harness.mc.until(lambda: sorted(harness.mc.binds) == [c.BIND_RECEIVER, c.BIND_TRANSMITTER])


# -- rule 9: no secrets in logs ---------------------------------------------------------------------


async def test_9_nothing_is_logged_about_messages_or_passwords(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    async with a_link() as harness:
        harness.submit(text=b"codigo 48151623")
        harness.mc.deliver(esm_class=4, short_message=RECEIPT)
        await harness.settled()
        await harness.mc.until(lambda: harness.sink.inbound)
        shown = repr(harness.link) + repr(a_profile(1))
    logged = caplog.text + "".join(capsys.readouterr()) + shown
    for secret in ("48151623", "525512345678", "secret", "hola"):
        assert secret not in logged


async def test_what_the_carrier_hears_is_the_segment():
    async with a_link(service_type="CMT", protocol_id=0) as harness:
        harness.submit(text=b"hello")
        await harness.settled()
        ((_, _, pdu),) = harness.mc.submits
        assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == ("BancoMX", 5, 0)
        assert (pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi) == ("525512345678", 1, 1)
        assert (pdu.short_message, pdu.data_coding, pdu.registered_delivery) == (b"hello", 0, 1)
        assert (pdu.service_type, pdu.validity_period) == ("CMT", "000000000500000R")
