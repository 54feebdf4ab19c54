"""What the recipients of a request have asked for: one look-up for all, and none where nobody asked for anything.

Called by the doors of intake before messages are prepared. Requests of an account that come while a look-up for it runs
share the next one: a look-up for each single POST would cost more than all else that accepting it needs.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from gateway.domain.errors import AddressError
from gateway.intake.numbers import parse_recipient
from gateway.intake.requests import ChannelWish, MessageDraft
from gateway.ports.consent_store import Consents, Wishes
from gateway.ports.intake_store import Account

MOST_SHARED: Final = 1_000
"""Recipients in one shared look-up; a request with more has its own."""


class _Group:
    """Requests that share one look-up; `task` makes it once the one before is over."""

    __slots__ = ("recipients", "task")

    def __init__(self) -> None:
        self.recipients: set[str] = set()
        self.task: asyncio.Task[Mapping[str, Wishes]] | None = None


class WishLookUp:
    """Asks the store within a deadline, once at a time for an account; without a store nobody has wishes."""

    def __init__(self, consents: Consents | None, *, deadline_s: float = 5.0) -> None:
        self._consents = consents
        self._deadline_s = deadline_s
        self._gathering: dict[str, _Group] = {}
        self._last: dict[str, asyncio.Task[Mapping[str, Wishes]]] = {}

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
            if len(recipients) > MOST_SHARED:
                return await self._consents.wishes(account.id, recipients) or None
            found = await self._shared(account.id, recipients)
        return {number: found[number] for number in recipients if number in found} or None

    async def _shared(self, account_id: str, recipients: Collection[str]) -> Mapping[str, Wishes]:
        """Return the wishes of these recipients, and of others that were asked for meanwhile."""
        group = self._gathering.get(account_id)
        if group is None or len(group.recipients) + len(recipients) > MOST_SHARED:
            group = self._gathering[account_id] = _Group()
            before = self._last.get(account_id)
            task = asyncio.create_task(self._look_up(account_id, group, before), name="intake.wishes")
            task.add_done_callback(_seen)
            group.task = self._last[account_id] = task
        group.recipients.update(recipients)
        assert group.task is not None
        return await asyncio.shield(group.task)  # others wait for it, too

    async def _look_up(
        self, account_id: str, group: _Group, before: asyncio.Task[Mapping[str, Wishes]] | None
    ) -> Mapping[str, Wishes]:
        assert self._consents is not None
        try:
            if before is not None:
                await asyncio.wait((before,))  # it has a deadline of its own
            if self._gathering.get(account_id) is group:
                del self._gathering[account_id]
            async with asyncio.timeout(self._deadline_s):
                return await self._consents.wishes(account_id, group.recipients)
        finally:
            if self._last.get(account_id) is group.task:
                del self._last[account_id]


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


def _seen(task: asyncio.Task[Mapping[str, Wishes]]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
