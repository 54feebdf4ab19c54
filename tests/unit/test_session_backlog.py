"""What a peer sends behind its bind, before that is answered: its fate must not hang on how TCP cut the stream (I7)."""

import struct

from adapters.smpp.session.connection import Role, SessionState
from adapters.smpp.session.events import BindRequested, Closed, CloseReason, RequestReceived
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import BindTransceiver
from tests.support.sessions import SECOND, SUBMIT_BODY, a_bound_pair, an_endpoint, frames_of

BIND = encode(BindTransceiver(system_id="esme", password="secret"), sequence_number=1)


def raw(command_id: int, *, sequence: int, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, 0, sequence) + body


def submits(*numbers: int) -> bytes:
    return b"".join(raw(c.SUBMIT_SM, sequence=number, body=SUBMIT_BODY) for number in numbers)


def test_i7_submits_in_the_segment_of_the_bind_wait_for_it():
    mc = an_endpoint(Role.MC)
    (request,) = mc.receive_bytes(BIND + submits(2, 3), now_ns=0)
    assert isinstance(request, BindRequested)
    assert not mc.has_output
    assert not mc.has_backlog
    mc.accept_bind(1, system_id="mc", now_ns=0)
    assert mc.has_backlog
    events = mc.release_backlog(0)
    assert [event.sequence_number for event in events] == [2, 3]
    assert all(isinstance(event, RequestReceived) for event in events)
    assert not mc.has_backlog


def test_i7_the_backlog_comes_by_tick_or_with_the_next_octets_as_well():
    for way in (lambda mc: mc.tick(mc.next_deadline_ns), lambda mc: mc.receive_bytes(b"", now_ns=0)):
        mc = an_endpoint(Role.MC)
        mc.receive_bytes(BIND + submits(2), now_ns=0)
        mc.accept_bind(1, system_id="mc", now_ns=0)
        assert [event.sequence_number for event in way(mc)] == [2]


def test_h1_submits_behind_a_bind_that_is_refused_get_0x04():
    mc = an_endpoint(Role.MC)
    mc.receive_bytes(BIND + submits(2), now_ns=0)
    mc.reject_bind(1, command_status=c.ESME_RINVPASWD)
    assert mc.release_backlog(0) == []
    refused = frames_of(mc.take_output())[1]
    assert refused[:3] == (c.SUBMIT_SM_RESP, c.ESME_RINVBNDSTS, 2)


def test_what_waits_behind_a_bind_is_bounded_by_one_pdu():
    mc = an_endpoint(Role.MC)
    mc.receive_bytes(BIND, now_ns=0)
    count = 70_000 // (16 + len(SUBMIT_BODY))
    mc.receive_bytes(submits(*range(2, count)), now_ns=0)
    refused = frames_of(mc.take_output())
    assert refused
    assert {frame.command_status for frame in refused} == {c.ESME_RINVBNDSTS}
    mc.accept_bind(1, system_id="mc", now_ns=0)
    mc.take_output()
    kept = mc.release_backlog(0)
    assert len(kept) + len(refused) == count - 2


def test_i1_framing_lost_behind_a_bind_counts_after_its_answer():
    mc = an_endpoint(Role.MC)
    (request,) = mc.receive_bytes(BIND + submits(2) + b"GET / HTTP/1.1", now_ns=0)
    assert isinstance(request, BindRequested)
    mc.accept_bind(1, system_id="mc", now_ns=0)
    (taken,) = mc.release_backlog(0)
    assert isinstance(taken, RequestReceived)
    mc.respond_submit(2, message_id="7")
    (closed,) = mc.release_backlog(0)
    assert closed == Closed(CloseReason.FRAMING_LOST, closed.detail)
    assert mc.state is SessionState.CLOSED
    assert [frame[:3] for frame in frames_of(mc.take_output())] == [
        (c.BIND_TRANSCEIVER_RESP, 0, 1),
        (c.SUBMIT_SM_RESP, 0, 2),
        (c.GENERIC_NACK, c.ESME_RINVCMDLEN, 0),
    ]


def test_i1_framing_lost_behind_requests_that_nobody_answers_ends_the_session_all_the_same():
    _, mc = a_bound_pair()
    (taken,) = mc.receive_bytes(submits(2) + bytes(16), now_ns=0)
    assert isinstance(taken, RequestReceived)
    (closed,) = mc.tick(mc.next_deadline_ns)
    assert closed.reason is CloseReason.FRAMING_LOST
    assert mc.tick(SECOND) == []


def test_h12_a_bind_that_is_never_judged_ends_by_the_session_init_timer():
    mc = an_endpoint(Role.MC)
    mc.receive_bytes(BIND + submits(2) + bytes(4), now_ns=0)
    assert mc.tick(4 * SECOND) == []
    (closed,) = mc.tick(6 * SECOND)
    assert closed.reason is CloseReason.SESSION_INIT_TIMEOUT
