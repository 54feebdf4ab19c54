"""What stays of a receipt on its submission, and which receipts of a batch can go there unjudged. Pure; for `dlr.consumer`."""

from collections.abc import Sequence

import msgspec

from dlr.correlate import may_be_plain
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import PlainReceipt

_json = msgspec.json.Encoder().encode


class _Kept(msgspec.Struct, omit_defaults=True):
    """What stays of a receipt on its submission: the columns beside it say the rest."""

    message_state: MessageState
    received_at: int
    bind: str
    raw_stat: str | None = None
    err: str | None = None
    network_error_type: int | None = None
    network_error_code: int | None = None
    submit_date: str | None = None
    done_date: str | None = None
    raw: str | None = None
    parked_at: int | None = None
    paired_at: int | None = None


def kept_json(receipt: Receipt, *, now_ms: int) -> str:
    """Return the JSON that the submission keeps; `now_ms` is when a receipt that was parked found it."""
    kept = _Kept(
        receipt.message_state,
        receipt.received_at,
        receipt.bind,
        receipt.raw_stat,
        receipt.err,
        receipt.network_error_type,
        receipt.network_error_code,
        receipt.submit_date,
        receipt.done_date,
        receipt.raw,
    )
    if receipt.parked_at is not None:
        kept.parked_at = receipt.parked_at
        kept.paired_at = now_ms
    return _json(kept).decode()


def plain_candidates(receipts: Sequence[Receipt], *, now_ms: int) -> tuple[list[int], list[PlainReceipt]]:
    """Return the receipts, and their places, that may be all that is ever said of their message.

    What is said of one segment keeps its order: of receipts with one id only the first of the batch is among them.
    """
    places: list[int] = []
    rows: list[PlainReceipt] = []
    seen: set[tuple[str, str]] = set()
    for place, receipt in enumerate(receipts):
        carrier, first = key = receipt.carrier, receipt.carrier_message_id
        if may_be_plain(receipt) and key not in seen:
            places.append(place)
            rows.append(PlainReceipt(carrier, first, receipt.received_at, kept_json(receipt, now_ms=now_ms)))
        seen.add(key)
        if receipt.second_id:
            seen.add((carrier, receipt.second_id))
    return places, rows
