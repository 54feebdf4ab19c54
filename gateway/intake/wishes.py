"""What the recipients of a request have asked for: one look-up for all, and none where nobody asked for anything.

Called by the doors of intake before messages are prepared.
"""

import asyncio
from collections.abc import Iterable, Mapping

from gateway.domain.errors import AddressError
from gateway.intake.numbers import parse_recipient
from gateway.intake.requests import ChannelWish, MessageDraft
from gateway.ports.consent_store import Consents, Wishes
from gateway.ports.intake_store import Account


class WishLookUp:
    """Asks the store within a deadline; without a store nobody has wishes."""

    def __init__(self, consents: Consents | None, *, deadline_s: float = 5.0) -> None:
        self._consents = consents
        self._deadline_s = deadline_s

    def concern(self, account: Account) -> bool:
        """Tell whether anybody may have asked this account for anything; costs nothing."""
        return self._consents is not None and self._consents.has_any(account.id)

    async def of(self, account: Account, drafts: Iterable[MessageDraft]) -> Mapping[str, Wishes] | None:
        """Return the wishes of all recipients, None for none; TimeoutError or StoreUnavailableError otherwise."""
        if self._consents is None:
            return None
        recipients = {number for draft in drafts for number in _recipients(draft, account)}
        if not recipients:
            return None
        async with asyncio.timeout(self._deadline_s):
            return await self._consents.wishes(account.id, recipients) or None


def _recipients(draft: MessageDraft, account: Account) -> Iterable[str]:
    texts = [draft.to]
    if draft.channels is not None:
        texts += [wish.to for wish in draft.channels if isinstance(wish, ChannelWish)]
    for text in dict.fromkeys(texts):
        if text is None:
            continue
        try:
            found = parse_recipient(
                text, account.default_region, digits_are_international=account.bare_international
            )
        except AddressError:
            continue  # the message is refused for it
        yield found.msisdn
