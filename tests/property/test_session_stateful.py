"""Two session cores driven against each other, and one driven with noise: nothing is lost, nothing raises."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adapters.smpp.session.connection import Role, SessionState
from adapters.smpp.session.events import Answered, Closed, RequestReceived, Unanswered
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import BindTransceiver
from tests.support.sessions import DELIVER_BODY, SECOND, SUBMIT_BODY, a_bound_pair, an_endpoint

WINDOW = 4


class TwoEndpoints(RuleBasedStateMachine):
    """An ESME and an MC; octets are delivered in slices, answers in any order, time jumps."""

    @initialize(first_sequence=st.sampled_from([1, 1000, 0x7FFFFFFC]))
    def bind(self, first_sequence):
        self.now_ns = 0
        self.esme, self.mc = a_bound_pair(
            window_slots=WINDOW, first_sequence=first_sequence, response_ns=20 * SECOND
        )
        self.wires = {"esme": b"", "mc": b""}
        self.to_answer = {"esme": [], "mc": []}
        self.sent = {"esme": set(), "mc": set()}
        self.ended = {"esme": [], "mc": []}
        self.late = {"esme": [], "mc": []}
        self.counter = 0

    def endpoint(self, name):
        return self.esme if name == "esme" else self.mc

    def handle(self, name, events):
        for position, event in enumerate(events):
            match event:
                case Answered(is_late=True):
                    self.late[name].append(event.context)
                case Answered():
                    assert event.message_id in ("", f"id-{event.context}")
                    self.ended[name].append(event.context)
                case Unanswered():
                    self.ended[name].append(event.context)
                case RequestReceived():
                    self.to_answer[name].append(event)
                case Closed():
                    assert position == len(events) - 1

    @rule(name=st.sampled_from(["esme", "mc"]))
    def send(self, name):
        endpoint = self.endpoint(name)
        if endpoint.free_slots == 0:
            return
        self.counter += 1
        body, command_id = (SUBMIT_BODY, c.SUBMIT_SM) if name == "esme" else (DELIVER_BODY, c.DELIVER_SM)
        endpoint.send_body(command_id, body, context=self.counter, now_ns=self.now_ns)
        self.sent[name].add(self.counter)

    @rule(name=st.sampled_from(["esme", "mc"]))
    def flush(self, name):
        self.wires[name] += self.endpoint(name).take_output()

    @rule(name=st.sampled_from(["esme", "mc"]), octets=st.integers(1, 400))
    def deliver(self, name, octets):
        chunk, self.wires[name] = self.wires[name][:octets], self.wires[name][octets:]
        other = "mc" if name == "esme" else "esme"
        self.handle(other, self.endpoint(other).receive_bytes(chunk, now_ns=self.now_ns))

    @precondition(lambda self: self.to_answer["mc"])
    @rule(data=st.data())
    def answer_submit(self, data):
        waiting = self.to_answer["mc"]
        request = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
        status = data.draw(st.sampled_from([0, 0, c.ESME_RTHROTTLED]))
        self.mc.respond_submit(request.sequence_number, command_status=status)

    @precondition(lambda self: self.to_answer["esme"])
    @rule()
    def answer_deliver(self):
        self.esme.respond_deliver(self.to_answer["esme"].pop().sequence_number)

    @rule(seconds=st.sampled_from([0.001, 1, 5, 21, 31]))
    def let_time_pass(self, seconds):
        self.now_ns += int(seconds * SECOND)
        for name in ("esme", "mc"):
            self.handle(name, self.endpoint(name).tick(self.now_ns))

    @rule(name=st.sampled_from(["esme", "mc"]))
    def unbind(self, name):
        if self.counter > 5:
            self.endpoint(name).unbind(self.now_ns)

    @invariant()
    def slots_are_bounded_and_requests_end_once(self):
        for name in ("esme", "mc"):
            endpoint = self.endpoint(name)
            assert 0 <= endpoint.in_flight_count <= WINDOW
            assert 0 <= endpoint.free_slots <= WINDOW
            ended = self.ended[name]
            assert len(ended) == len(set(ended))
            assert set(ended) <= self.sent[name]
            assert len(self.sent[name]) == len(ended) + endpoint.in_flight_count
            assert set(self.late[name]) <= set(ended)
            assert len(self.late[name]) == len(set(self.late[name]))

    def teardown(self):
        if not hasattr(self, "esme"):
            return
        for name in ("esme", "mc"):
            self.handle(name, self.endpoint(name).connection_lost())
            assert self.endpoint(name).in_flight_count == 0
            assert set(self.ended[name]) == self.sent[name]
            assert self.endpoint(name).state is SessionState.CLOSED


TestTwoEndpoints = TwoEndpoints.TestCase
TestTwoEndpoints.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def _header(draw_length, command_id, status, sequence, body):
    return (
        (16 + len(body) + draw_length).to_bytes(4, "big")
        + b"".join(number.to_bytes(4, "big") for number in (command_id, status, sequence))
        + body
    )


ANY_COMMAND = st.one_of(st.sampled_from(sorted(c.COMMAND_NAMES)), st.integers(0, 0xFFFFFFFF))
NEARLY_PDUS = st.builds(
    _header,
    st.sampled_from([0, 0, 0, 0, 0, 0, 0, -1, 1, 70_000]),
    ANY_COMMAND,
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from([0, 1, 2, 3, 0x7FFFFFFF, 0xFFFFFFFF]),
    st.one_of(
        st.binary(max_size=80), st.sampled_from([SUBMIT_BODY, DELIVER_BODY, SUBMIT_BODY[:-2], b"\0", b"id\0"])
    ),
)


@settings(max_examples=200, deadline=None)
@given(
    role=st.sampled_from(list(Role)),
    is_bound=st.booleans(),
    chunks=st.lists(st.one_of(st.binary(max_size=100), NEARLY_PDUS), max_size=15),
    seconds=st.integers(0, 40),
)
def test_no_octets_ever_raise_out_of_a_session(role, is_bound, chunks, seconds):
    if is_bound:
        endpoint = a_bound_pair()[0 if role is Role.ESME else 1]
        command_id, body = (c.SUBMIT_SM, SUBMIT_BODY) if role is Role.ESME else (c.DELIVER_SM, DELIVER_BODY)
        for context in range(3):
            endpoint.send_body(command_id, body, context=context, now_ns=0)
    else:
        endpoint = an_endpoint(role)
        if role is Role.ESME:
            endpoint.send_bind(BindTransceiver(system_id="esme"), now_ns=0)
    settled = 0
    for chunk in chunks:
        events = endpoint.receive_bytes(chunk, now_ns=SECOND)
        settled += sum(
            isinstance(event, (Answered, Unanswered)) and not getattr(event, "is_late", False)
            for event in events
        )
        assert sum(isinstance(event, Closed) for event in events) <= 1
    events = endpoint.tick(seconds * SECOND) + endpoint.connection_lost()
    settled += sum(isinstance(event, (Answered, Unanswered)) for event in events)
    assert settled == (3 if is_bound else 0)
    assert endpoint.in_flight_count == 0
    assert endpoint.state is SessionState.CLOSED
    endpoint.take_output()


@settings(max_examples=100, deadline=None)
@given(cuts=st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_any_slicing_of_the_stream_gives_the_same_events(cuts):
    stream = b"".join(
        (
            encode(BindTransceiver(system_id="esme"), sequence_number=1),
            *(_header(0, c.SUBMIT_SM, 0, number, SUBMIT_BODY) for number in range(2, 6)),
            _header(0, 0x42, 0, 7, b"?"),
        )
    )
    whole, sliced = an_endpoint(Role.MC), an_endpoint(Role.MC)
    expected = whole.receive_bytes(stream, now_ns=0)
    events, at = [], 0
    for cut in [*cuts, len(stream)]:
        events += sliced.receive_bytes(stream[at : at + cut], now_ns=0)
        at += cut
    assert events == expected
    assert sliced.take_output() == whole.take_output()
