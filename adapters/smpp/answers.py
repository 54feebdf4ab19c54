"""What a carrier's answer means for its segment, and our answers to what a carrier brings. Used by `bind` and `link`."""

from collections.abc import Sequence
from typing import NamedTuple

from adapters.smpp.classify import StatusClass, StatusVerdict
from adapters.smpp.transport import SmppTransport
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSmResp
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, SubmitOutcome, Throttled, Unsent
from gateway.ports.links import Inbound

_REFUSALS: dict[StatusClass, Refusal] = {
    "retry_later": Refusal.RETRY_LATER,
    "failover": Refusal.FAILOVER,
    "permanent": Refusal.PERMANENT,
}


class Token(NamedTuple):
    """What acknowledges one inbound thing: the session it came on, and how it is numbered there."""

    transport: SmppTransport
    command_id: int
    sequence_number: int


def failed_outcome(verdict: StatusVerdict, *, bind: str) -> SubmitOutcome:
    """Return the outcome of an answer that is not success (sms-domain G)."""
    refusal = _REFUSALS.get(verdict.status_class)
    if refusal is not None:
        return Refused(
            verdict.name, bind, refusal, try_other_route=verdict.failover_allowed, alert=verdict.alert
        )
    match verdict.status_class:
        case "throttle":
            return Throttled(verdict.name, bind)
        case "rebind":
            # The carrier does not take us for bound any more: nothing was taken.
            return Unsent(verdict.name)
        case _:
            # A generic_nack without error says neither yes nor no.
            return Ambiguous("nack_without_error", bind)


def acknowledge(batch: Sequence[Inbound], *, is_stored: bool) -> None:
    """Answer deliver_sm and data_sm: status 0, or ESME_RX_T_APPN to hear them again later (F18)."""
    command_status = c.ESME_ROK if is_stored else c.ESME_RX_T_APPN
    delivers: dict[SmppTransport, list[int]] = {}
    for inbound in batch:
        transport, command_id, sequence_number = inbound.token
        numbers = delivers.get(transport)
        if numbers is None:
            numbers = delivers[transport] = []
        if command_id == c.DELIVER_SM:
            numbers.append(sequence_number)
        else:
            transport.connection.respond(sequence_number, DataSmResp(), command_status=command_status)
    for transport, numbers in delivers.items():
        transport.connection.respond_delivers(numbers, command_status=command_status)
        transport.flush_soon()
