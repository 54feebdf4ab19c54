"""Receipts for customers' ESMEs (sms-domain F21): from a message's end to rows that wait, from a row to a deliver_sm."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.receipt_format import format_receipt_date, format_receipt_text
from gateway.domain.ids import uuid7_time_ms
from gateway.domain.lifecycle import State
from gateway.ports.smpp_store import WaitingReceipt
from gateway.smppd.ids import format_smpp_id
from gateway.smppd.origin import Address, Origin, wants_receipt

EXPIRY_MS: Final = 48 * 3600 * 1000
"""How long a receipt waits for its customer, by default."""


class _Told(NamedTuple):
    """How a final state is told: `stat` and `err` of the text (SMPP 3.4 appendix B), message_state (§5.2.28)."""

    stat: str
    err: str
    message_state: int


TOLD: Final[dict[State, _Told]] = {
    State.DELIVERED: _Told("DELIVRD", "000", c.MESSAGE_STATE_CODES["DELIVERED"]),
    State.EXPIRED: _Told("EXPIRED", "001", c.MESSAGE_STATE_CODES["EXPIRED"]),
    State.CANCELLED: _Told("DELETED", "002", c.MESSAGE_STATE_CODES["DELETED"]),
    State.UNDELIVERABLE: _Told("UNDELIV", "003", c.MESSAGE_STATE_CODES["UNDELIVERABLE"]),
    State.UNKNOWN: _Told("UNKNOWN", "004", c.MESSAGE_STATE_CODES["UNKNOWN"]),
    State.REJECTED: _Told("REJECTD", "005", c.MESSAGE_STATE_CODES["REJECTED"]),
    # No state of SMPP says "ended on the way"; for the sender the message cannot be delivered.
    State.FAILED: _Told("UNDELIV", "006", c.MESSAGE_STATE_CODES["UNDELIVERABLE"]),
}
ENROUTE: Final = c.MESSAGE_STATE_CODES["ENROUTE"]


def message_state_of(state: State) -> tuple[int, int]:
    """Return (message_state, error_code) of a message for query_sm (SMPP 3.4 §4.8.2)."""
    told = TOLD.get(state)
    return (ENROUTE, 0) if told is None else (told.message_state, int(told.err))


def receipts_of(
    origin: Origin, *, message_id: UUID, state: State, done_at: int, expiry_ms: int = EXPIRY_MS
) -> list[WaitingReceipt]:
    """Return the receipts that the end of a message owes its sender: none, one, or one for each part that asked."""
    if not wants_receipt(origin.registered_delivery, state):
        return []
    head = receipt_head(origin.source, origin.destination)
    submitted_at = uuid7_time_ms(message_id)
    return [
        WaitingReceipt(
            0,
            origin.system_id,
            message_id,
            told_id,
            head,
            state.value,
            submitted_at,
            done_at,
            done_at + expiry_ms,
        )
        for told_id in origin.told_ids or (format_smpp_id(message_id),)
    ]


def receipt_head(source: Address, destination: Address) -> bytes:
    """Return the fields of the deliver_sm up to its destination: the submit's addresses, swapped (SMPP 3.4 §4.6.1)."""
    return b"\0%c%c%b\0%c%c%b\0" % (
        destination[0],
        destination[1],
        destination[2].encode("latin-1", "replace"),
        source[0],
        source[1],
        source[2].encode("latin-1", "replace"),
    )


def receipt_body(receipt: WaitingReceipt, *, with_tlvs: bool) -> bytes:
    """Return the deliver_sm of a receipt: esm_class 04, the text of appendix B in UTC, and the TLVs of §5.3.2.12, §5.3.2.35.

    `with_tlvs` is false for a peer below version 3.4 (sms-domain E11).
    """
    stat, err, message_state = TOLD[State(receipt.state)]
    text = format_receipt_text(
        receipt.told_id,
        stat=stat,
        submit_date=_date(receipt.submitted_at // 60_000),
        done_date=_date(receipt.done_at // 60_000),
        err=err,
    )
    fixed = b"%b\x04\0\0\0\0\0\0\0\0%c%b" % (receipt.head, len(text), text)
    if not with_tlvs:
        return fixed
    octets = receipt.told_id.encode("ascii")
    return b"%b\0\x1e\0%c%b\0\x04\x27\0\x01%c" % (fixed, len(octets) + 1, octets, message_state)


@lru_cache(maxsize=4096)
def _date(minute: int) -> str:
    return format_receipt_date(datetime.fromtimestamp(minute * 60, UTC))
