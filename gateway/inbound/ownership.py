"""Whose reply it is. Used by `gateway.inbound.delivery` for every message, and again for those without an account."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.ports.bus import Transaction
from gateway.ports.inbound_store import Conversation, InboundMessage, InboundStore, NumberRow, Sent

_DAY_MS: Final = 86_400_000
_CLOCKS_APART_MS: Final = 5_000
"""A reply may seem to be this much older than its message: they have the times of two hosts."""


class Ownership:
    """Finds the account of each message.

    The first of these that answers: the account that owns the number written to (of this carrier, else of any); the
    account whose message from that number the person got last; the account whose message from a name the person got
    last over the same carrier, since carriers replace names by numbers of their own where names are not allowed (as in
    Mexico, Chile and Colombia). Messages more than `reply_days` older than the reply are not looked at. Otherwise it
    is nobody's, and is kept for operators.
    """

    def __init__(self, store: InboundStore, *, reply_days: int = 7) -> None:
        self._store = store
        self._reply_ms = reply_days * _DAY_MS

    async def assigned(self, tx: Transaction, messages: Sequence[InboundMessage]) -> list[InboundMessage]:
        """Return the messages with their accounts, as far as these can be told; two questions for all of them."""
        if not messages:
            return []
        rows = await self._store.numbers(tx, list({message.recipient for message in messages}))
        owners = {(row.number, row.carrier): row for row in rows}
        conversations = [self._conversation(message) for message in messages]
        sent = await self._store.last_sent(tx, sorted({one for one in conversations if one is not None}))
        return [
            _with_account(
                message,
                owner=owners.get((message.recipient, message.carrier)) or owners.get((message.recipient, "")),
                last=None if conversation is None else sent.get(conversation),
            )
            for message, conversation in zip(messages, conversations, strict=True)
        ]

    def _conversation(self, message: InboundMessage) -> Conversation | None:
        if not message.sender_is_e164 and message.channel == "sms":
            return None  # of other channels an address need not be a number
        at = message.received_at
        return Conversation(
            message.carrier, message.sender, message.recipient, at - self._reply_ms, at + _CLOCKS_APART_MS
        )


def _with_account(message: InboundMessage, *, owner: NumberRow | None, last: Sent | None) -> InboundMessage:
    if owner is not None:
        # What another account sent is none of the owner's business.
        is_own = last is not None and last.account_id == owner.account_id
        return replace(
            message,
            account_id=owner.account_id,
            assigned_by="number",
            in_reply_to=last.message_id if last is not None and is_own else None,
        )
    if last is None:
        return message
    return replace(
        message,
        account_id=last.account_id,
        assigned_by="sender" if last.same_number else "carrier",
        in_reply_to=last.message_id,
    )
