"""From when until when a message may be sent: what the client says, within bounds, or what its class is worth.

Called by `gateway.intake.prepare`. Pure.
"""

from datetime import datetime

from gateway.domain.message import MessageClass
from gateway.intake.requests import MessageDraft
from gateway.intake.rich import Fault

_SECOND_MS = 1_000
_HOUR_MS = 3_600 * _SECOND_MS

VALIDITY_MS: dict[MessageClass, int] = {
    MessageClass.OTP: 300 * _SECOND_MS,
    MessageClass.TRANSACTIONAL: 24 * _HOUR_MS,
    MessageClass.COLLECTIONS: 24 * _HOUR_MS,
    MessageClass.MARKETING: 24 * _HOUR_MS,
}
"""How long a message is worth delivering when the client does not say (sms-domain 4.2)."""

MAX_VALIDITY_MS = 72 * _HOUR_MS
MAX_AHEAD_MS = 14 * 24 * _HOUR_MS
"""How far in the future `send_at` may lie."""
PAST_SEND_AT_MS = 300 * _SECOND_MS
"""A `send_at` this long ago means now (clocks differ, requests wait); an older one is a mistake."""


def validity_times(
    draft: MessageDraft, message_class: MessageClass, now_ms: int, faults: list[Fault]
) -> tuple[int | None, int]:
    """Return (send_at or None for now, valid_until), both in milliseconds since the epoch."""
    send_at = None
    if draft.send_at is not None:
        send_at = _epoch_ms(draft.send_at)
        if send_at < now_ms - PAST_SEND_AT_MS:
            faults.append(Fault("invalid_send_at", "send_at is in the past", "/send_at"))
        elif send_at > now_ms + MAX_AHEAD_MS:
            days = MAX_AHEAD_MS // (24 * _HOUR_MS)
            faults.append(Fault("invalid_send_at", f"send_at is more than {days} days ahead", "/send_at"))
        if send_at <= now_ms:
            send_at = None
    start = send_at or now_ms
    if draft.expires_at is None:
        return send_at, start + VALIDITY_MS[message_class]
    valid_until = _epoch_ms(draft.expires_at)
    if valid_until <= start:
        what = "in the past" if valid_until <= now_ms else "not after send_at"
        faults.append(Fault("expired_validity", f"expires_at is {what}", "/expires_at"))
    elif valid_until > start + MAX_VALIDITY_MS:
        hours = MAX_VALIDITY_MS // _HOUR_MS
        detail = f"expires_at is more than {hours} hours after the message may first be sent"
        faults.append(Fault("validity_too_long", detail, "/expires_at"))
    return send_at, valid_until


def _epoch_ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
