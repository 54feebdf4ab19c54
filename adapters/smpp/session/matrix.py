"""Which PDU may be sent by whom in which state: one table, read by the connection for both directions.

SMPP 3.4 §2.2 (session states) and §2.3 (operation matrix), sms-domain H1.
"""

from enum import Enum

from adapters.smpp.wire import constants as c


class Role(Enum):
    """One end of an SMPP session."""

    ESME = "ESME"
    MC = "MC"

    @property
    def peer(self) -> "Role":
        """The role at the other end."""
        return Role.MC if self is Role.ESME else Role.ESME


class SessionState(Enum):
    """State of one session; both ends are in the same one (SMPP 3.4 §2.2)."""

    OPEN = "OPEN"
    BOUND_TX = "BOUND_TX"
    BOUND_RX = "BOUND_RX"
    BOUND_TRX = "BOUND_TRX"
    UNBOUND = "UNBOUND"
    CLOSED = "CLOSED"


_S = SessionState
_OPEN = frozenset({_S.OPEN})
_TX = frozenset({_S.BOUND_TX, _S.BOUND_TRX})
_RX = frozenset({_S.BOUND_RX, _S.BOUND_TRX})
BOUND_STATES = _TX | _RX
_CONNECTED = BOUND_STATES | {_S.OPEN, _S.UNBOUND}

STATE_BY_BIND: dict[int, SessionState] = {
    c.BIND_TRANSMITTER: _S.BOUND_TX,
    c.BIND_RECEIVER: _S.BOUND_RX,
    c.BIND_TRANSCEIVER: _S.BOUND_TRX,
}

# Requests only: an answer is legal wherever its request was. enquire_link is answered in every connected
# state (SMPP 3.4 allows it in the bound states only, 5.0 and sms-domain H7 everywhere).
MATRIX: dict[tuple[Role, int], frozenset[SessionState]] = {
    (Role.ESME, c.BIND_TRANSMITTER): _OPEN,
    (Role.ESME, c.BIND_RECEIVER): _OPEN,
    (Role.ESME, c.BIND_TRANSCEIVER): _OPEN,
    (Role.MC, c.OUTBIND): _OPEN,
    (Role.ESME, c.UNBIND): BOUND_STATES,
    (Role.MC, c.UNBIND): BOUND_STATES,
    (Role.ESME, c.SUBMIT_SM): _TX,
    (Role.ESME, c.SUBMIT_MULTI): _TX,
    (Role.ESME, c.QUERY_SM): _TX,
    (Role.ESME, c.CANCEL_SM): _TX,
    (Role.ESME, c.REPLACE_SM): _TX,
    (Role.ESME, c.DATA_SM): _TX,
    (Role.MC, c.DATA_SM): _RX,
    (Role.MC, c.DELIVER_SM): _RX,
    (Role.MC, c.ALERT_NOTIFICATION): _RX,
    (Role.ESME, c.ENQUIRE_LINK): _CONNECTED,
    (Role.MC, c.ENQUIRE_LINK): _CONNECTED,
}

KNOWN_REQUESTS: frozenset[int] = frozenset(command_id for _, command_id in MATRIX)

# alert_notification and outbind have no response PDU (SMPP 3.4 §4.12.1, §4.1.7; sms-domain H17, H18).
UNANSWERED_REQUESTS: frozenset[int] = frozenset({c.ALERT_NOTIFICATION, c.OUTBIND})


def permitted_requests(state: SessionState, *, sender: Role) -> frozenset[int]:
    """Return the command ids that `sender` may issue in `state`."""
    return frozenset(cid for (role, cid), states in MATRIX.items() if role is sender and state in states)


def refusal(state: SessionState, command_id: int, *, sender: Role) -> int:
    """Return the command_status that answers a request: 0 when the matrix permits it.

    A second bind gets ESME_RALYBND, an unknown command ESME_RINVCMDID, anything else that does not
    fit the state or the sender ESME_RINVBNDSTS (SMPP 3.4 §5.1.3).
    """
    if command_id not in KNOWN_REQUESTS:
        return c.ESME_RINVCMDID
    if state in MATRIX.get((sender, command_id), ()):
        return c.ESME_ROK
    if command_id in STATE_BY_BIND and sender is Role.ESME and state in BOUND_STATES:
        return c.ESME_RALYBND
    return c.ESME_RINVBNDSTS
