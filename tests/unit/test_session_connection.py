"""SmppConnection: binds, requests and answers, unbind, timers, refusals; no socket, virtual time."""

import struct

import pytest

from adapters.smpp.session.connection import NotPermittedError, Role, SessionState, WindowFullError
from adapters.smpp.session.events import (
    Answered,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    PeerUnbinding,
    RequestReceived,
    Unanswered,
)
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import (
    AlertNotification,
    BindTransceiver,
    DeliverSm,
    Outbind,
    QuerySm,
    QuerySmResp,
    SubmitSm,
)
from tests.support.sessions import (
    DELIVER_BODY,
    SECOND,
    SUBMIT_BODY,
    a_bound_pair,
    an_endpoint,
    carry,
    frames_of,
)


def raw(command_id: int, *, status: int = 0, sequence: int = 1, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, status, sequence) + body


def submit(esme, context="segment", now_ns=0):
    return esme.send_body(c.SUBMIT_SM, SUBMIT_BODY, context=context, now_ns=now_ns)


# -- bind ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bind", "state", "sends"),
    [
        (c.BIND_TRANSMITTER, SessionState.BOUND_TX, (10, 0)),
        (c.BIND_RECEIVER, SessionState.BOUND_RX, (0, 10)),
        (c.BIND_TRANSCEIVER, SessionState.BOUND_TRX, (10, 10)),
    ],
)
def test_h1_a_bind_puts_both_ends_into_its_state(bind, state, sends):
    esme, mc = a_bound_pair(bind)
    assert esme.state is mc.state is state
    assert (esme.free_slots, mc.free_slots) == sends
    assert esme.peer_interface_version == mc.peer_interface_version == 0x34


def test_bound_event_names_the_peer():
    esme, mc = an_endpoint(Role.ESME), an_endpoint(Role.MC)
    esme.send_bind(BindTransceiver(system_id="esme"), now_ns=0)
    (request,) = carry(esme, mc)
    mc.accept_bind(request.sequence_number, system_id="mc-7", now_ns=0, interface_version=None)
    assert carry(mc, esme) == [Bound(SessionState.BOUND_TRX, "mc-7", None)]


def test_e11_an_old_peer_gets_no_tlv_in_its_bind_response():
    esme, mc = an_endpoint(Role.ESME), an_endpoint(Role.MC)
    esme.send_bind(BindTransceiver(system_id="esme", interface_version=0x33), now_ns=0)
    (request,) = carry(esme, mc)
    mc.accept_bind(request.sequence_number, system_id="mc", now_ns=0)
    (frame,) = frames_of(mc.take_output())
    assert frame.body == b"mc\0"


def test_a_refused_bind_closes_the_esme_and_leaves_the_mc_open():
    esme, mc = an_endpoint(Role.ESME), an_endpoint(Role.MC)
    esme.send_bind(BindTransceiver(system_id="esme"), now_ns=0)
    (request,) = carry(esme, mc)
    assert isinstance(request, BindRequested)
    mc.reject_bind(request.sequence_number, command_status=c.ESME_RINVPASWD)
    events = carry(mc, esme)
    assert events == [BindRefused(c.ESME_RINVPASWD), Closed(CloseReason.BIND_REFUSED, "ESME_RINVPASWD")]
    assert mc.state is SessionState.OPEN


def test_a_bind_refused_by_generic_nack_is_refused():
    esme = an_endpoint(Role.ESME)
    esme.send_bind(BindTransceiver(system_id="esme"), now_ns=0)
    (frame,) = frames_of(esme.take_output())
    nack = raw(c.GENERIC_NACK, status=c.ESME_RINVCMDID, sequence=frame.sequence_number)
    assert BindRefused(c.ESME_RINVCMDID) in esme.receive_bytes(nack, now_ns=0)


def test_a_bind_response_with_a_sloppy_body_still_binds():
    esme = an_endpoint(Role.ESME)
    esme.send_bind(BindTransceiver(system_id="esme"), now_ns=0)
    (frame,) = frames_of(esme.take_output())
    answer = raw(c.BIND_TRANSCEIVER_RESP, sequence=frame.sequence_number, body=b"no terminator at all")
    assert esme.receive_bytes(answer, now_ns=0) == [Bound(SessionState.BOUND_TRX, "", None)]
    assert esme.counters.malformed_pdus == 1


def test_h1_second_bind_gets_0x05_and_the_first_stays():
    esme, mc = a_bound_pair()
    assert mc.receive_bytes(raw(c.BIND_RECEIVER, sequence=77, body=b"\0" * 7), now_ns=0) == []
    (frame,) = frames_of(mc.take_output())
    assert frame[:3] == (c.BIND_RECEIVER_RESP, c.ESME_RALYBND, 77)
    assert mc.state is SessionState.BOUND_TRX
    assert esme.free_slots == 10


def test_a_second_bind_while_the_first_is_being_judged_gets_0x05():
    mc = an_endpoint(Role.MC)
    bind = encode(BindTransceiver(system_id="esme"), sequence_number=1)
    assert len(mc.receive_bytes(bind, now_ns=0)) == 1
    assert mc.receive_bytes(encode(BindTransceiver(), sequence_number=2), now_ns=0) == []
    (frame,) = frames_of(mc.take_output())
    assert frame[:3] == (c.BIND_TRANSCEIVER_RESP, c.ESME_RALYBND, 2)


def test_a_bad_bind_body_is_answered_and_the_session_lives():
    mc = an_endpoint(Role.MC)
    assert mc.receive_bytes(raw(c.BIND_TRANSCEIVER, sequence=5, body=b"x"), now_ns=0) == []
    (frame,) = frames_of(mc.take_output())
    assert frame.command_id == c.BIND_TRANSCEIVER_RESP
    assert frame.command_status != 0
    assert len(mc.receive_bytes(encode(BindTransceiver(system_id="e"), sequence_number=6), now_ns=0)) == 1


def test_answering_a_bind_that_nobody_asked_for_is_a_bug():
    mc = an_endpoint(Role.MC)
    with pytest.raises(NotPermittedError):
        mc.accept_bind(1, system_id="mc", now_ns=0)


def test_binding_twice_is_a_bug():
    esme = an_endpoint(Role.ESME)
    esme.send_bind(BindTransceiver(), now_ns=0)
    with pytest.raises(NotPermittedError):
        esme.send_bind(BindTransceiver(), now_ns=0)


# -- requests and answers --------------------------------------------------------------------------


def test_an_answer_carries_the_context_and_the_message_id():
    esme, mc = a_bound_pair()
    number = submit(esme, "segment 1", now_ns=5)
    (request,) = carry(esme, mc)
    assert isinstance(request, RequestReceived)
    assert request.pdu.destination_addr == "525512345678"
    assert mc.unacknowledged_count == 1
    mc.respond_submit(request.sequence_number, message_id="7F")
    (answer,) = carry(mc, esme)
    assert answer == Answered(c.SUBMIT_SM_RESP, 0, "7F", "segment 1", 5, number, b"7F\0")
    assert mc.unacknowledged_count == 0
    assert esme.free_slots == 10


def test_h3_out_of_order_answers_complete_their_own_requests():
    esme, mc = a_bound_pair()
    for context in "abc":
        submit(esme, context)
    for request in reversed(carry(esme, mc)):
        mc.respond_submit(request.sequence_number, message_id=f"id-{request.sequence_number}")
    assert [event.context for event in carry(mc, esme)] == ["c", "b", "a"]


def test_h2_the_request_beyond_the_window_is_not_written():
    esme, _ = a_bound_pair(window_slots=2)
    submit(esme)
    submit(esme)
    with pytest.raises(WindowFullError):
        submit(esme)
    assert len(frames_of(esme.take_output())) == 2


def test_error_answers_without_body_are_answers():
    esme, mc = a_bound_pair()
    submit(esme)
    (request,) = carry(esme, mc)
    mc.respond_submit(request.sequence_number, command_status=c.ESME_RTHROTTLED)
    (answer,) = carry(mc, esme)
    assert (answer.command_status, answer.message_id) == (c.ESME_RTHROTTLED, "")


@pytest.mark.parametrize(("body", "message_id"), [(b"ABC", "ABC"), (b"", ""), (b"x" * 999, "x" * 255)])
def test_a_success_with_a_sloppy_message_id_is_still_a_success(body, message_id):
    esme, _ = a_bound_pair()
    number = submit(esme)
    (answer,) = esme.receive_bytes(raw(c.SUBMIT_SM_RESP, sequence=number, body=body), now_ns=0)
    assert answer.message_id == message_id


def test_h6_unsolicited_duplicate_and_mismatched_answers_are_ignored_and_counted():
    esme, mc = a_bound_pair()
    number = submit(esme)
    esme.take_output()
    good = raw(c.SUBMIT_SM_RESP, sequence=number, body=b"1\0")
    assert esme.receive_bytes(raw(c.QUERY_SM_RESP, sequence=number), now_ns=0) == []
    assert esme.receive_bytes(raw(c.SUBMIT_SM_RESP, sequence=999), now_ns=0) == []
    assert len(esme.receive_bytes(good + good, now_ns=0)) == 1
    assert esme.counters.unexpected_answers == 3
    assert esme.take_output() == b""
    assert mc.state is SessionState.BOUND_TRX


def test_g5_a_nack_of_an_open_request_answers_it():
    esme, _ = a_bound_pair()
    number = submit(esme, "segment")
    (answer,) = esme.receive_bytes(raw(c.GENERIC_NACK, status=c.ESME_RSYSERR, sequence=number), now_ns=0)
    assert (answer.answer_id, answer.command_status, answer.context) == (
        c.GENERIC_NACK,
        c.ESME_RSYSERR,
        "segment",
    )
    assert esme.free_slots == 10


@pytest.mark.parametrize("sequence", [0, 4711])
def test_g5_a_nack_of_nothing_fails_nothing(sequence):
    esme, _ = a_bound_pair()
    submit(esme)
    assert esme.receive_bytes(raw(c.GENERIC_NACK, status=3, sequence=sequence), now_ns=0) == []
    assert esme.in_flight_count == 1


@pytest.mark.parametrize("sequence", [0, 0x80000000, 0xFFFFFFFF])
def test_h5_the_peers_sequence_number_is_echoed_unchanged(sequence):
    esme, _ = a_bound_pair()
    (request,) = esme.receive_bytes(raw(c.DELIVER_SM, sequence=sequence, body=DELIVER_BODY), now_ns=0)
    esme.respond_deliver(request.sequence_number)
    (frame,) = frames_of(esme.take_output())
    assert frame == (c.DELIVER_SM_RESP, 0, sequence, b"\0")


def test_f19_deliver_sm_resp_is_17_octets():
    esme, mc = a_bound_pair()
    mc.send_body(c.DELIVER_SM, DELIVER_BODY, context=None, now_ns=0)
    (request,) = carry(mc, esme)
    esme.respond_deliver(request.sequence_number)
    assert len(esme.take_output()) == 17


def test_many_receipts_are_answered_as_each_would_be():
    esme, mc = a_bound_pair()
    for _ in range(3):
        mc.send_body(c.DELIVER_SM, DELIVER_BODY, context=None, now_ns=0)
    numbers = [request.sequence_number for request in carry(mc, esme)]
    esme.respond_delivers(numbers[:2], command_status=c.ESME_RX_T_APPN)
    assert esme.unacknowledged_count == 1
    assert [(one.command_status, one.sequence_number) for one in carry(esme, mc)] == [
        (c.ESME_RX_T_APPN, number) for number in numbers[:2]
    ]
    esme.abort()
    esme.respond_delivers(numbers[2:])
    assert not esme.has_output


def test_other_requests_are_decoded_and_answered_by_pdu():
    esme, mc = a_bound_pair()
    esme.send(QuerySm(message_id="7F", source_addr="BancoMX"), context="query", now_ns=0)
    (request,) = carry(esme, mc)
    assert request.pdu.message_id == "7F"
    mc.respond(request.sequence_number, QuerySmResp(message_id="7F", message_state=2))
    (answer,) = carry(mc, esme)
    assert (answer.answer_id, answer.context, answer.message_id) == (c.QUERY_SM_RESP, "query", "7F")


def test_an_error_response_is_its_header_only():
    esme, mc = a_bound_pair()
    esme.send(QuerySm(message_id="7F"), context="query", now_ns=0)
    (request,) = carry(esme, mc)
    mc.respond_error(request.command_id, request.sequence_number, command_status=c.ESME_RQUERYFAIL)
    (answer,) = carry(mc, esme)
    assert (answer.command_status, answer.body, mc.unacknowledged_count) == (c.ESME_RQUERYFAIL, b"", 0)


def test_an_early_tick_does_nothing():
    mc = an_endpoint(Role.MC)
    assert mc.tick(1) == []
    assert not mc.has_output


def test_the_sender_may_not_break_the_matrix():
    esme, mc = a_bound_pair(c.BIND_RECEIVER)
    with pytest.raises(NotPermittedError):
        submit(esme)
    with pytest.raises(NotPermittedError):
        mc.send_unanswered(Outbind())
    with pytest.raises(NotPermittedError):
        mc.send_unanswered(DeliverSm())


def test_h1_a_submit_that_does_not_fit_the_state_gets_0x04():
    mc = an_endpoint(Role.MC)
    assert mc.receive_bytes(encode(SubmitSm(), sequence_number=9), now_ns=0) == []
    (frame,) = frames_of(mc.take_output())
    assert frame == (c.SUBMIT_SM_RESP, c.ESME_RINVBNDSTS, 9, b"")
    assert mc.counters.refused_requests == 1


def test_a_deliver_that_does_not_fit_the_state_gets_0x04_with_its_nul():
    esme = an_endpoint(Role.ESME)
    esme.receive_bytes(raw(c.DELIVER_SM, sequence=3, body=DELIVER_BODY), now_ns=0)
    (frame,) = frames_of(esme.take_output())
    assert frame == (c.DELIVER_SM_RESP, c.ESME_RINVBNDSTS, 3, b"\0")


# -- malformed input -------------------------------------------------------------------------------


def test_i1_zeros_get_exactly_one_reaction():
    _, mc = a_bound_pair()
    events = mc.receive_bytes(b"\0" * 4096, now_ns=0)
    assert [type(event) for event in events] == [Closed]
    assert events[0].reason is CloseReason.FRAMING_LOST
    assert mc.receive_bytes(b"\0" * 4096, now_ns=0) == []
    assert frames_of(mc.take_output()) == [(c.GENERIC_NACK, c.ESME_RINVCMDLEN, 0, b"")]


def test_i2_lost_framing_reports_the_open_requests_as_having_left():
    esme, _ = a_bound_pair()
    submit(esme, "segment")
    esme.take_output()
    events = esme.receive_bytes(b"GET / HTTP/1.1\r\n", now_ns=0)
    assert [type(event) for event in events] == [Unanswered, Closed]
    assert events[0].left_process


def test_i2_good_frames_before_the_loss_still_count():
    esme, mc = a_bound_pair()
    number = submit(esme)
    events = esme.receive_bytes(raw(c.SUBMIT_SM_RESP, sequence=number, body=b"1\0") + b"\xff" * 4, now_ns=0)
    assert [type(event) for event in events] == [Answered, Closed]
    assert mc.state is SessionState.BOUND_TRX


def test_i3_unknown_request_gets_a_nack_and_unknown_answer_gets_silence():
    _, mc = a_bound_pair()
    stream = raw(0x00000042, sequence=8, body=b"whatever") + raw(0x80000042, sequence=9)
    assert mc.receive_bytes(stream, now_ns=0) == []
    assert frames_of(mc.take_output()) == [(c.GENERIC_NACK, c.ESME_RINVCMDID, 8, b"")]
    assert mc.state is SessionState.BOUND_TRX
    assert mc.counters.unknown_commands == 1


def test_i5_a_bad_body_gets_an_error_response_and_the_session_lives():
    esme, mc = a_bound_pair()
    broken = SUBMIT_BODY[:-3]
    assert mc.receive_bytes(raw(c.SUBMIT_SM, sequence=4, body=broken), now_ns=0) == []
    (frame,) = frames_of(mc.take_output())
    assert (frame.command_id, frame.sequence_number) == (c.SUBMIT_SM_RESP, 4)
    assert frame.command_status in (c.ESME_RINVMSGLEN, c.ESME_RINVCMDLEN)
    assert mc.unacknowledged_count == 0
    submit(esme)
    assert len(carry(esme, mc)) == 1


def test_i6_a_truncated_submit_at_the_end_of_the_stream_is_not_accepted():
    esme, mc = a_bound_pair()
    submit(esme)
    assert mc.receive_bytes(esme.take_output()[:-1], now_ns=0) == []
    assert mc.connection_lost() == [Closed(CloseReason.CONNECTION_LOST)]


def test_i7_one_octet_at_a_time_gives_the_same_events():
    esme, mc = a_bound_pair()
    submit(esme, "a")
    submit(esme, "b")
    events = [event for octet in esme.take_output() for event in mc.receive_bytes(bytes((octet,)), now_ns=0)]
    assert [event.sequence_number for event in events] == [2, 3]


# -- enquire_link, outbind, alert_notification -----------------------------------------------------


def test_h7_enquire_link_is_answered_with_a_full_window_in_every_state():
    esme, mc = a_bound_pair(window_slots=1)
    submit(esme)
    esme.take_output()
    probe = raw(c.ENQUIRE_LINK, sequence=55)
    for endpoint in (esme, mc, an_endpoint(Role.MC), an_endpoint(Role.ESME)):
        assert endpoint.receive_bytes(probe, now_ns=0) == []
        assert frames_of(endpoint.take_output()) == [(c.ENQUIRE_LINK_RESP, 0, 55, b"")]


def test_h7_silence_is_probed_and_the_answer_keeps_the_session():
    esme, mc = a_bound_pair(inactivity_ns=0)
    assert esme.next_deadline_ns == 30 * SECOND
    assert esme.tick(30 * SECOND - 1) == []
    assert esme.take_output() == b""
    assert esme.tick(30 * SECOND) == []
    carry(esme, mc, now_ns=30 * SECOND)
    assert carry(mc, esme, now_ns=31 * SECOND) == []
    assert esme.counters.unexpected_answers == 0
    assert (esme.counters.enquire_links, esme.counters.enquire_link_ns) == (1, SECOND)
    assert esme.next_deadline_ns == 61 * SECOND
    assert esme.tick(41 * SECOND) == []


def test_h7_no_sign_of_life_ends_the_session_and_reports_open_requests():
    esme, _ = a_bound_pair(response_ns=3600 * SECOND)
    submit(esme, "segment")
    esme.take_output()
    esme.tick(30 * SECOND)
    esme.take_output()
    events = esme.tick(40 * SECOND)
    assert [type(event) for event in events] == [Unanswered, Closed]
    assert events[0].reason == events[1].reason == CloseReason.ENQUIRE_LINK_TIMEOUT
    assert esme.next_deadline_ns is None


def test_h7_two_tries_probe_twice():
    esme, _ = a_bound_pair(enquire_link_tries=2)
    esme.tick(30 * SECOND)
    esme.take_output()
    assert esme.tick(40 * SECOND) == []
    assert [frame.command_id for frame in frames_of(esme.take_output())] == [c.ENQUIRE_LINK]
    assert esme.tick(50 * SECOND) == [Closed(CloseReason.ENQUIRE_LINK_TIMEOUT)]


def test_h7_traffic_counts_as_life_for_a_running_probe():
    esme, _ = a_bound_pair()
    esme.tick(30 * SECOND)
    esme.receive_bytes(raw(c.DELIVER_SM, sequence=1, body=DELIVER_BODY), now_ns=35 * SECOND)
    assert esme.tick(40 * SECOND) == []
    assert esme.next_deadline_ns == 65 * SECOND


def test_h7_a_driver_that_does_not_read_may_hold_the_liveness_clock():
    esme, _ = a_bound_pair()
    esme.hold_liveness(29 * SECOND)
    assert esme.next_deadline_ns == 59 * SECOND


def test_h18_alert_notification_is_reported_and_never_answered():
    esme, mc = a_bound_pair()
    mc.send_unanswered(AlertNotification(source_addr="525512345678", esme_addr="BancoMX"))
    (event,) = carry(mc, esme)
    assert event.command_id == c.ALERT_NOTIFICATION
    assert esme.unacknowledged_count == 0
    assert esme.receive_bytes(raw(c.ALERT_NOTIFICATION, sequence=2, body=b"junk"), now_ns=0) == []
    assert esme.take_output() == b""


def test_h17_outbind_is_reported_or_refused_but_never_answered():
    esme, mc = an_endpoint(Role.ESME), an_endpoint(Role.MC)
    mc.send_unanswered(Outbind(system_id="mc"))
    (event,) = carry(mc, esme)
    assert event.command_id == c.OUTBIND
    bound, _ = a_bound_pair()
    assert bound.receive_bytes(encode(Outbind(), sequence_number=1), now_ns=0) == []
    assert esme.take_output() == bound.take_output() == b""
    assert bound.counters.refused_requests == 1


# -- timeouts --------------------------------------------------------------------------------------


def test_h8_a_timeout_frees_the_slot_once_and_a_late_answer_still_brings_the_id():
    esme, _ = a_bound_pair(window_slots=1)
    number = submit(esme, "segment", now_ns=SECOND)
    esme.take_output()
    (unanswered,) = esme.tick(31 * SECOND)
    assert unanswered == Unanswered(
        c.SUBMIT_SM_RESP, "segment", SECOND, number, left_process=True, reason="response_timeout"
    )
    assert esme.free_slots == 1
    (late,) = esme.receive_bytes(raw(c.SUBMIT_SM_RESP, sequence=number, body=b"7F\0"), now_ns=32 * SECOND)
    assert (late.is_late, late.message_id, late.context) == (True, "7F", "segment")
    assert esme.free_slots == 1


def test_the_next_deadline_is_the_oldest_request_or_the_clocks_whichever_is_first():
    esme, _ = a_bound_pair(response_ns=10 * SECOND)
    submit(esme, now_ns=SECOND)
    assert esme.next_deadline_ns == 11 * SECOND
    esme.tick(11 * SECOND)
    assert esme.next_deadline_ns == 30 * SECOND


def test_h12_a_connection_without_bind_is_closed():
    mc = an_endpoint(Role.MC)
    assert mc.next_deadline_ns == 5 * SECOND
    assert mc.tick(5 * SECOND) == [Closed(CloseReason.SESSION_INIT_TIMEOUT)]


def test_a_bind_without_answer_is_given_up():
    esme = an_endpoint(Role.ESME)
    esme.send_bind(BindTransceiver(), now_ns=SECOND)
    assert esme.tick(11 * SECOND) == [Closed(CloseReason.BIND_TIMEOUT)]


def test_inactivity_unbinds_and_names_its_reason():
    esme, mc = a_bound_pair(inactivity_ns=20 * SECOND)
    assert mc.tick(20 * SECOND) == []
    assert carry(mc, esme, now_ns=20 * SECOND) == [PeerUnbinding(), Closed(CloseReason.PEER_UNBOUND)]
    assert carry(esme, mc, now_ns=20 * SECOND) == [Closed(CloseReason.INACTIVE)]


def test_enquire_link_is_no_activity_but_messages_are():
    esme, mc = a_bound_pair(inactivity_ns=20 * SECOND)
    mc.receive_bytes(raw(c.ENQUIRE_LINK), now_ns=15 * SECOND)
    assert mc.next_deadline_ns == 20 * SECOND
    submit(esme)
    carry(esme, mc, now_ns=16 * SECOND)
    assert mc.next_deadline_ns == 36 * SECOND


# -- unbind and the end ----------------------------------------------------------------------------


def test_h10_unbind_is_answered_and_both_sides_end():
    esme, mc = a_bound_pair()
    esme.unbind(0)
    assert esme.is_unbinding
    assert esme.free_slots == 0
    assert carry(esme, mc) == [PeerUnbinding(), Closed(CloseReason.PEER_UNBOUND)]
    assert carry(mc, esme) == [Closed(CloseReason.UNBOUND)]
    assert mc.unbind(0) is None
    assert mc.take_output() == b""


def test_h10_unbind_without_answer_ends_at_its_deadline():
    esme, _ = a_bound_pair()
    esme.unbind(SECOND)
    assert esme.next_deadline_ns == 6 * SECOND
    assert esme.tick(6 * SECOND) == [Closed(CloseReason.UNBOUND, "no unbind_resp")]


def test_h11_the_peers_unbind_waits_for_our_answers_to_its_requests():
    esme, mc = a_bound_pair()
    submit(esme)
    esme.unbind(0)
    submitted, unbinding = carry(esme, mc)
    assert isinstance(unbinding, PeerUnbinding)
    assert mc.take_output() == b""
    mc.respond_submit(submitted.sequence_number, message_id="1")
    assert mc.next_deadline_ns == 0
    assert mc.tick(0) == [Closed(CloseReason.PEER_UNBOUND)]
    answer, closed = carry(mc, esme)
    assert (answer.message_id, closed.reason) == ("1", CloseReason.UNBOUND)


def test_h11_the_peers_unbind_is_answered_after_the_linger_time_anyway():
    esme, mc = a_bound_pair()
    mc.send_body(c.DELIVER_SM, DELIVER_BODY, context="receipt", now_ns=0)
    mc.take_output()
    esme.unbind(0)
    carry(esme, mc)
    assert mc.next_deadline_ns == SECOND
    events = mc.tick(SECOND)
    assert [type(event) for event in events] == [Unanswered, Closed]
    assert [frame.command_id for frame in frames_of(mc.take_output())] == [c.UNBIND_RESP]


def test_h11_a_submit_after_unbind_is_refused():
    esme, mc = a_bound_pair()
    esme.unbind(0)
    stream = esme.take_output() + raw(c.SUBMIT_SM, sequence=90, body=SUBMIT_BODY)
    events = mc.receive_bytes(stream, now_ns=0)
    assert not any(isinstance(event, RequestReceived) for event in events)
    refused, unbound = frames_of(mc.take_output())
    assert refused[:3] == (c.SUBMIT_SM_RESP, c.ESME_RINVBNDSTS, 90)
    assert unbound.command_id == c.UNBIND_RESP


def test_both_sides_unbinding_at_once_both_end():
    esme, mc = a_bound_pair()
    esme.unbind(0)
    mc.unbind(0)
    to_mc, to_esme = esme.take_output(), mc.take_output()
    assert Closed(CloseReason.UNBOUND) in mc.receive_bytes(to_mc, now_ns=0)
    assert Closed(CloseReason.UNBOUND) in esme.receive_bytes(to_esme, now_ns=0)


def test_what_was_never_handed_out_has_not_left_the_process():
    esme, _ = a_bound_pair()
    submit(esme, "written")
    esme.take_output()
    submit(esme, "still here")
    events = esme.connection_lost()
    assert [(event.context, event.left_process) for event in events[:-1]] == [
        ("written", True),
        ("still here", False),
    ]
    assert esme.take_output() == b""


def test_what_is_still_here_is_told_across_the_wrap_of_the_sequence():
    esme, _ = a_bound_pair(first_sequence=0x7FFFFFFE)
    submit(esme, "written")
    esme.take_output()
    submit(esme, "still here")
    assert [event.left_process for event in esme.abort()[:-1]] == [True, False]


def test_after_the_end_everything_is_ignored():
    esme, mc = a_bound_pair()
    mc.send_body(c.DELIVER_SM, DELIVER_BODY, context=None, now_ns=0)
    (request,) = carry(mc, esme)
    assert esme.abort() == [Closed(CloseReason.ABORTED)]
    esme.respond_deliver(request.sequence_number)
    assert esme.abort() == esme.connection_lost() == esme.tick(SECOND) == []
    assert esme.receive_bytes(b"\0" * 64, now_ns=0) == []
    assert not esme.has_output
    assert esme.free_slots == 0


def test_repr_is_the_operators_view():
    esme, _ = a_bound_pair()
    submit(esme)
    assert repr(esme) == "<ESME BOUND_TRX window 1/10>"
