"""What each command_status means for the message or the bind that got it: one table.

Pure. The link asks it for every response; a carrier profile may override single codes. An unknown
code is never success and keeps its raw number.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.constants import status_name

StatusContext = Literal["submit_sm_resp", "bind_resp", "generic_nack"]
StatusClass = Literal[
    "ok",
    "throttle",
    "retry_later",
    "failover",
    "permanent",
    "rebind",
    "bound",
    "bind_retry",
    "bind_fallback",
    "bind_fatal",
    "ignore",
]

STATUS_CONTEXTS: tuple[StatusContext, ...] = ("submit_sm_resp", "bind_resp", "generic_nack")


class StatusVerdict(NamedTuple):
    """What follows from one command_status.

    same_bind_retry: the same request may be sent again on this bind (for a bind: bind again soon).
    failover_allowed: the message may go to another route. alert: an operator has to look at it.
    """

    name: str
    status_class: StatusClass
    same_bind_retry: bool
    failover_allowed: bool
    alert: bool


class _Traits(NamedTuple):
    same_bind_retry: bool
    failover_allowed: bool
    alert: bool


_TRAITS: dict[StatusClass, _Traits] = {
    "ok": _Traits(same_bind_retry=False, failover_allowed=False, alert=False),
    # The carrier is alive and only asks for less: another route would be a failover storm.
    "throttle": _Traits(same_bind_retry=True, failover_allowed=False, alert=False),
    "retry_later": _Traits(same_bind_retry=True, failover_allowed=True, alert=False),
    "failover": _Traits(same_bind_retry=False, failover_allowed=True, alert=False),
    "permanent": _Traits(same_bind_retry=False, failover_allowed=False, alert=False),
    "rebind": _Traits(same_bind_retry=True, failover_allowed=True, alert=False),
    "bound": _Traits(same_bind_retry=False, failover_allowed=False, alert=False),
    "bind_retry": _Traits(same_bind_retry=True, failover_allowed=True, alert=False),
    "bind_fallback": _Traits(same_bind_retry=False, failover_allowed=False, alert=False),
    # Hammering with a wrong password gets the account locked.
    "bind_fatal": _Traits(same_bind_retry=False, failover_allowed=True, alert=True),
    "ignore": _Traits(same_bind_retry=False, failover_allowed=False, alert=False),
}

_SUBMIT_CLASSES: dict[int, StatusClass] = {
    c.ESME_ROK: "ok",
    c.ESME_RTHROTTLED: "throttle",
    c.ESME_RMSGQFUL: "retry_later",
    c.ESME_RSYSERR: "retry_later",
    c.ESME_RX_T_APPN: "retry_later",
    c.ESME_RUNKNOWNERR: "retry_later",
    c.ESME_RSUBMITFAIL: "failover",
    c.ESME_RINVCMDID: "failover",
    c.ESME_RSERTYPUNAVAIL: "failover",
    c.ESME_RINVBNDSTS: "rebind",
    c.ESME_RBINDFAIL: "rebind",
    c.ESME_RINVPASWD: "rebind",
    c.ESME_RINVSYSID: "rebind",
    c.ESME_RINVSYSTYP: "rebind",
}

# Permanent on this bind, but a fault of the route's sender or dialect: another route may take it once. The two
# ranges count whole, with the codes in them that SMPP keeps in reserve.
_ROUTE_FAULTS = frozenset(
    {
        c.ESME_RINVSRCADR,
        c.ESME_RINVSERTYP,
        c.ESME_RINVESMCLASS,
        *range(c.ESME_RINVSRCTON, c.ESME_RINVDSTNPI + 1),
        *range(c.ESME_RINVOPTPARSTREAM, c.ESME_RINVOPTPARAMVAL + 1),
    }
)

_BIND_CLASSES: dict[int, StatusClass] = {
    c.ESME_ROK: "bound",
    c.ESME_RINVPASWD: "bind_fatal",
    c.ESME_RINVSYSID: "bind_fatal",
    c.ESME_RINVSYSTYP: "bind_fatal",
    # The carrier does not know bind_transceiver: a transmitter and a receiver will do.
    c.ESME_RINVCMDID: "bind_fallback",
}


def _submit_verdict(code: int) -> StatusVerdict:
    if code in _ROUTE_FAULTS:
        return StatusVerdict(
            status_name(code), "permanent", same_bind_retry=False, failover_allowed=True, alert=True
        )
    status_class = _SUBMIT_CLASSES.get(code)
    if status_class is None:
        # A code without a name (vendor codes included) may be about this carrier only.
        status_class = "permanent" if code in c.STATUS_NAMES else "failover"
    return StatusVerdict(status_name(code), status_class, *_TRAITS[status_class])


def _bind_verdict(code: int) -> StatusVerdict:
    status_class = _BIND_CLASSES.get(code, "bind_retry")
    return StatusVerdict(status_name(code), status_class, *_TRAITS[status_class])


def _nack_verdict(code: int) -> StatusVerdict:
    # A generic_nack without an error says nothing about its request, least of all success.
    if code == c.ESME_ROK:
        return StatusVerdict(status_name(code), "ignore", *_TRAITS["ignore"])
    return _submit_verdict(code)


_DECIDERS = {"submit_sm_resp": _submit_verdict, "bind_resp": _bind_verdict, "generic_nack": _nack_verdict}

_VERDICTS: dict[StatusContext, dict[int, StatusVerdict]] = {
    context: {code: _DECIDERS[context](code) for code in c.STATUS_NAMES} for context in STATUS_CONTEXTS
}


def classify(
    context: StatusContext, code: int, *, overrides: Mapping[int, StatusClass] | None = None
) -> StatusVerdict:
    """Return the verdict on a command_status in the given context (SMPP 3.4 §5.1.3).

    `overrides` is the carrier profile's table of codes with another class.
    """
    if overrides and code in overrides:
        status_class = overrides[code]
        return StatusVerdict(status_name(code), status_class, *_TRAITS[status_class])
    return _VERDICTS[context].get(code) or _DECIDERS[context](code)
