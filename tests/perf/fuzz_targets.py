"""What must hold for any octets: one function per layer, each raising AssertionError (or anything else) on a finding.

Called by `tests.perf.fuzz` for hours and by `tests/property/test_fuzz_smpp.py` for seconds. A target gets the octets
and a random number generator for its own choices, so a case is repeated by its octets and its seed.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from adapters.smpp.profile import CarrierProfile
from adapters.smpp.session.connection import Role, SessionConfig, SessionState, SmppConnection
from adapters.smpp.session.events import Answered, BindRequested, Closed, RequestReceived, Unanswered
from adapters.smpp.session.matrix import UNANSWERED_REQUESTS
from adapters.smpp.translate import Translator
from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import _generic_decoder, decode, encode
from adapters.smpp.wire.fields import PduError
from adapters.smpp.wire.framer import MAX_PDU_OCTETS, Framer
from adapters.smpp.wire.receipt_text import ID_FORMATS, is_receipt, normalise_id, parse_receipt
from adapters.smpp.wire.times import parse_time
from adapters.smpp.wire.tlv import scan_tlvs, tlv_value
from adapters.smpp.wire.udh import build_udh, parse_user_data
from gateway.domain.receipts import MobileOriginated, Receipt
from loadtest.smsc.centre import MessageCentre
from loadtest.smsc.esme import EsmeSession, session_config
from loadtest.smsc.settings import SmscSettings
from loadtest.smsc.text import decode_text, split_udh
from tests.perf.fuzz_mutations import BINDS, PASSWORD, SYSTEM_ID, slices
from tests.support.sessions import DELIVER_BODY, SECOND, SUBMIT_BODY, a_bound_pair, an_endpoint

MAX_OUTPUT_SHARE = 6
"""Octets out per octet in: a submit of 49 octets may bring an answer of 82, a receipt of 200 and its repetition."""

_GENERIC = {c.SUBMIT_SM: _generic_decoder(p.SubmitSm)}
_TRANSLATORS = {
    form: Translator(
        CarrierProfile(
            carrier="telco", host="mc", port=1, system_id="a", password="b", receipt_id_format=form
        )
    )
    for form in ID_FORMATS
}


# --- bytes ---------------------------------------------------------------------------------------------


def framer(data: bytes, rng: Random) -> None:
    """Any slicing gives the same frames; nothing is buffered beyond one PDU."""
    whole, cut = Framer(), Framer()
    expected = whole.feed(data)
    found = []
    for part in slices(rng, data):
        found += cut.feed(part)
        assert cut.buffered_octets < MAX_PDU_OCTETS
        assert cut.lost is None or cut.buffered_octets == 0 or len(cut.buffered) < MAX_PDU_OCTETS
    assert found == expected
    assert (cut.lost is None) == (whole.lost is None)
    if whole.lost is None:
        taken = sum(16 + len(frame.body) for frame in expected)
        assert whole.buffered == cut.buffered == data[taken:]
    assert not whole.lost or not whole.feed(data)


def _or_error(decoder: Callable[[Any], Any], octets: Any) -> Any:
    """Return what was decoded, or the command_status it is refused with."""
    try:
        return decoder(octets)
    except PduError as error:
        return error.command_status


def codec(data: bytes, rng: Random) -> None:
    """A frame decodes or is refused with a status; what was decoded encodes, and decodes to the same."""
    for frame in Framer().feed(data):
        generic = _GENERIC.get(frame.command_id)
        pdu = _or_error(decode, frame)
        if generic is not None:
            assert _or_error(generic, frame.body) == pdu
        if isinstance(pdu, int):
            assert 0 < pdu <= 0xFFFFFFFF
            continue
        octets = encode(pdu, sequence_number=frame.sequence_number, command_status=frame.command_status)
        (again,) = Framer().feed(octets)
        second = decode(again)
        if isinstance(pdu, p.DeliverSm):
            pdu.tlv_error = False  # what was lost of the TLVs is not written again
        if not (frame.command_status and isinstance(pdu, p.SubmitSmResp)):
            assert second == pdu
        for tlv in pdu.tlvs:
            tlv_value(tlv)


def user_data(data: bytes, rng: Random) -> None:
    """A user data header is read, or the whole is opaque; the simulator's own reading does not raise either."""
    data = data[rng.randrange(len(data) + 1) :][:255] if data else data
    found = parse_user_data(data)
    assert found.header + found.payload == data
    if found.header:
        assert build_udh(found.elements) == found.header
    if found.concatenation is not None:
        assert 1 <= found.concatenation.segment_index <= found.concatenation.segment_count <= 255
    _, rest = split_udh(data)
    text = decode_text(rest, data_coding=rng.choice((0, 1, 3, 4, 8, 0x18, 0xF0, 255)))
    if text is not None:
        text.encode()  # I9: valid UTF-8, no lone surrogates


def receipt(data: bytes, rng: Random) -> None:
    """Any body and TLVs are a receipt or none, and become a Receipt or an MO."""
    at = rng.randrange(len(data) + 1)
    tlvs, _ = scan_tlvs(data[at:])
    body = data[:at][-254:]
    esm_class = rng.choice((0, 4, 8, 0x20, 0x24, 0x44, 0x40, 0x84, rng.randrange(256)))
    coding = rng.choice((0, 3, 8, rng.randrange(256)))
    parsed = parse_receipt(esm_class=esm_class, data_coding=coding, short_message=body, tlvs=tlvs)
    assert parsed.is_receipt == is_receipt(esm_class=esm_class, tlvs=tlvs)
    assert parsed.submit_date is None or parsed.submit_date.year < 10_000
    assert parsed.done_date is None or parsed.done_date.tzinfo is None
    for form in ID_FORMATS:
        for value in (parsed.message_id_text, parsed.message_id_tlv):
            if value is not None:
                normalise_id(value, form, side=rng.choice(("resp", "receipt")))
    parse_time(body.decode("latin-1"))
    parse_time(body[:16].decode("latin-1"))
    pdu = p.DeliverSm(esm_class=esm_class, data_coding=coding, short_message=body, tlvs=tlvs)
    item = _TRANSLATORS[rng.choice(ID_FORMATS)].inbound(pdu, bind="trx1", now_ms=1)
    assert isinstance(item, Receipt | MobileOriginated)


# --- a session -----------------------------------------------------------------------------------------


def _a_session(role: Role, state: str, first_sequence: int) -> SmppConnection:
    """Return a session of this role in this state, with two open requests where it may have them."""
    if state == "OPEN":
        endpoint = an_endpoint(role, first_sequence=first_sequence)
        if role is Role.ESME:
            endpoint.send_bind(BINDS[2], now_ns=0)
        return endpoint
    bind = {"BOUND_TX": c.BIND_TRANSMITTER, "BOUND_RX": c.BIND_RECEIVER}.get(state, c.BIND_TRANSCEIVER)
    endpoint = a_bound_pair(bind, first_sequence=first_sequence)[0 if role is Role.ESME else 1]
    command_id, body = (c.SUBMIT_SM, SUBMIT_BODY) if role is Role.ESME else (c.DELIVER_SM, DELIVER_BODY)
    for context in range(min(2, endpoint.free_slots)):
        endpoint.send_body(command_id, body, context=context, now_ns=0)
    if state == "LATE":
        endpoint.tick(31 * SECOND)
    elif state == "UNBINDING":
        endpoint.unbind(0)
    elif state == "CLOSED":
        endpoint.abort()
    endpoint.take_output()
    return endpoint


STATES = ("OPEN", "OPEN", "BOUND_TX", "BOUND_RX", "BOUND_TRX", "LATE", "UNBINDING", "CLOSED")


def _without_late(events: list[Any]) -> list[Any]:
    return [event for event in events if not (isinstance(event, Answered) and event.is_late)]


def _heard(endpoint: SmppConnection, data: bytes) -> list[Any]:
    events = endpoint.receive_bytes(data, now_ns=31 * SECOND)
    while endpoint.has_backlog:
        events += endpoint.release_backlog(31 * SECOND)
    return events


def session(data: bytes, rng: Random) -> None:
    """A session that nobody drives: the same events however the stream is cut, bounded output, slots all freed."""
    role, state = rng.choice(list(Role)), rng.choice(STATES)
    first_sequence = rng.choice((1, 1, 2, 0x7FFFFFFE))
    whole, cut = (_a_session(role, state, first_sequence) for _ in range(2))
    open_before = whole.in_flight_count
    expected = _heard(whole, data)
    found = []
    for part in slices(rng, data):
        found += _heard(cut, part)
        assert cut._framer.buffered_octets < MAX_PDU_OCTETS
        assert cut._held_octets <= MAX_PDU_OCTETS
    if any(type(event).__name__ == "PeerUnbinding" for event in expected):
        # With nothing open the end comes at once: a late answer behind the unbind may or may not be seen.
        assert _without_late(found) == _without_late(expected)
    else:
        assert found == expected, f"{role} {state}: cut {found}, whole {expected}"
    one, other = whole.take_output(), cut.take_output()
    assert len(one) <= 2 * len(data) + 64
    if not any(type(event).__name__ == "PeerUnbinding" for event in expected):
        assert one == other
    for endpoint in (whole, cut):
        events = endpoint.tick(rng.choice((31, 40, 100)) * SECOND) + endpoint.connection_lost()
        settled = [
            event
            for event in expected + events
            if isinstance(event, Unanswered) or (isinstance(event, Answered) and not event.is_late)
        ]
        assert len(settled) == open_before, f"{role} {state}: {settled}"
        assert endpoint.in_flight_count == 0
        assert endpoint.state is SessionState.CLOSED
        assert sum(isinstance(event, Closed) for event in expected + events) == (state != "CLOSED")
        assert not endpoint.receive_bytes(data, now_ns=0)


def _drive(endpoint: SmppConnection, events: list[Any], taken: list[RequestReceived]) -> None:
    """Do what a driver does: judge binds, answer everything, and look at what came behind the bind."""
    while events:
        for event in events:
            if isinstance(event, BindRequested):
                if event.pdu.password == PASSWORD:
                    endpoint.accept_bind(event.sequence_number, system_id="mc", now_ns=0)
                else:
                    endpoint.reject_bind(event.sequence_number, command_status=c.ESME_RINVPASWD)
                    endpoint.abort()
            elif isinstance(event, RequestReceived):
                taken.append(event)
                if event.command_id == c.SUBMIT_SM:
                    endpoint.respond_submit(event.sequence_number, message_id="7")
                elif event.command_id == c.DELIVER_SM:
                    endpoint.respond_deliver(event.sequence_number)
                elif event.command_id not in UNANSWERED_REQUESTS:
                    endpoint.respond_error(
                        event.command_id, event.sequence_number, command_status=c.ESME_RSYSERR
                    )
        events = endpoint.release_backlog(0)


def driven_session(data: bytes, rng: Random) -> None:
    """A session with a driver takes the same requests however the stream is cut, and answers each once."""
    role, state = rng.choice(((Role.MC, "OPEN"), (Role.MC, "BOUND_TRX"), (Role.ESME, "BOUND_TRX")))
    taken: list[list[RequestReceived]] = []
    for parts in ([data], slices(rng, data)):
        endpoint = _a_session(role, state, 1)
        requests: list[RequestReceived] = []
        output = b""
        for part in parts:
            _drive(endpoint, endpoint.receive_bytes(part, now_ns=0), requests)
            output += endpoint.take_output()
        assert endpoint.unacknowledged_count == 0 or endpoint.state is SessionState.CLOSED
        answers = [frame[:3] for frame in Framer().feed(output)]
        for request in requests:
            if request.command_id not in UNANSWERED_REQUESTS and endpoint.state is not SessionState.CLOSED:
                assert any(
                    answer[0] == request.command_id | c.RESPONSE_BIT and answer[2] == request.sequence_number
                    for answer in answers
                )
        assert len(output) <= MAX_OUTPUT_SHARE * len(data) + 64
        taken.append(requests)
    assert taken[0] == taken[1]


# --- the simulator -------------------------------------------------------------------------------------


class _Wire(asyncio.Transport):
    """A transport that counts what is written and never fails."""

    def __init__(self) -> None:
        super().__init__()
        self.octets = 0
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.octets += len(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        """Everything is gone at once."""
        return 0

    def pause_reading(self) -> None:
        """Nothing to stop."""

    def resume_reading(self) -> None:
        """Nothing to go on with."""


class _Centre(MessageCentre):
    """A centre whose time is moved by hand."""

    def __init__(self) -> None:
        self.now_ns = SECOND
        super().__init__(
            SmscSettings(
                accounts={SYSTEM_ID: PASSWORD}, record_limit=1, receipt_limit=1000, first_message_id=7
            ),
            clock=lambda: self.now_ns,
        )

    def _arm(self, now_ns: int) -> None:
        """No timer: `settle` moves the time."""

    def settle(self) -> None:
        """Let everything due happen."""
        for _ in range(3):
            self.now_ns += SECOND
            self._on_timer()
        self.housekeep()


_centre: list[_Centre] = []


def simulator(data: bytes, rng: Random) -> None:
    """One connection of the simulator takes the octets; its counts stay whole and nothing waits for it for ever."""
    if not _centre or _centre[0].record.next_number > 300:
        _centre[:] = [_Centre()]
    centre = _centre[0]
    driver = EsmeSession(centre, session_config(centre.settings))
    wire = _Wire()
    driver.connection_made(wire)
    for part in slices(rng, data):
        if not wire.is_closed:
            driver.data_received(part)
    assert driver.connection.unacknowledged_count >= 0
    centre.settle()
    assert wire.octets <= MAX_OUTPUT_SHARE * len(data) + 20_000
    driver.connection_lost(None)
    centre.settle()
    assert not centre.sessions
    for account in centre.accounts.values():
        assert account.session_count == 0
        assert not account.receivers
        account.held.clear()
    assert driver.connection.state is SessionState.CLOSED
    assert SessionConfig().max_pdu_octets == MAX_PDU_OCTETS


TARGETS: dict[str, Callable[[bytes, Random], None]] = {
    target.__name__: target
    for target in (framer, codec, user_data, receipt, session, driven_session, simulator)
}
