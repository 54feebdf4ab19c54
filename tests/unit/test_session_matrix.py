"""The operation matrix, exhaustively: every state, command and sender."""

import pytest

from adapters.smpp.session.matrix import (
    BOUND_STATES,
    KNOWN_REQUESTS,
    STATE_BY_BIND,
    Role,
    SessionState,
    permitted_requests,
    refusal,
)
from adapters.smpp.wire import constants as c

S = SessionState
SUBMITS = {c.SUBMIT_SM, c.SUBMIT_MULTI, c.QUERY_SM, c.CANCEL_SM, c.REPLACE_SM, c.DATA_SM}
DELIVERS = {c.DELIVER_SM, c.DATA_SM, c.ALERT_NOTIFICATION}
EVERYWHERE = {c.ENQUIRE_LINK}
BOUND = EVERYWHERE | {c.UNBIND}

EXPECTED = {
    (Role.ESME, S.OPEN): set(STATE_BY_BIND) | EVERYWHERE,
    (Role.MC, S.OPEN): {c.OUTBIND} | EVERYWHERE,
    (Role.ESME, S.BOUND_TX): SUBMITS | BOUND,
    (Role.MC, S.BOUND_TX): BOUND,
    (Role.ESME, S.BOUND_RX): BOUND,
    (Role.MC, S.BOUND_RX): DELIVERS | BOUND,
    (Role.ESME, S.BOUND_TRX): SUBMITS | BOUND,
    (Role.MC, S.BOUND_TRX): DELIVERS | BOUND,
    (Role.ESME, S.UNBOUND): EVERYWHERE,
    (Role.MC, S.UNBOUND): EVERYWHERE,
    (Role.ESME, S.CLOSED): set(),
    (Role.MC, S.CLOSED): set(),
}


@pytest.mark.parametrize(("role", "state"), list(EXPECTED))
def test_h1_permitted_requests_per_state_and_sender(role, state):
    assert permitted_requests(state, sender=role) == EXPECTED[role, state]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", list(SessionState))
def test_h1_refusal_says_ok_exactly_for_what_is_permitted(role, state):
    permitted = permitted_requests(state, sender=role)
    for command_id in KNOWN_REQUESTS:
        assert (refusal(state, command_id, sender=role) == c.ESME_ROK) == (command_id in permitted)


@pytest.mark.parametrize("state", [S.OPEN, S.BOUND_RX])
def test_h1_submit_on_open_or_rx_gives_rinvbndsts(state):
    assert refusal(state, c.SUBMIT_SM, sender=Role.ESME) == c.ESME_RINVBNDSTS


@pytest.mark.parametrize("state", list(BOUND_STATES))
@pytest.mark.parametrize("bind", list(STATE_BY_BIND))
def test_h1_second_bind_gives_ralybnd(state, bind):
    assert refusal(state, bind, sender=Role.ESME) == c.ESME_RALYBND


def test_i3_unknown_commands_give_rinvcmdid():
    assert refusal(S.BOUND_TRX, 0x00000042, sender=Role.ESME) == c.ESME_RINVCMDID


def test_the_peer_of_an_esme_is_a_message_centre():
    assert Role.ESME.peer is Role.MC
    assert Role.MC.peer is Role.ESME
