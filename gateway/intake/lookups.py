"""What a request names or touches that only the database knows: webhook endpoints, files, what recipients asked for.

Called by `gateway.intake.entry` before messages are prepared, once for a request whatever its size; a request with
nothing of the kind costs no await.
"""

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from gateway.intake.prepare import Circumstances
from gateway.intake.requests import ChannelWish, MessageDraft
from gateway.intake.rich import media_ids
from gateway.intake.wishes import WishLookUp
from gateway.ports.consent_store import Consents
from gateway.ports.intake_store import Account, WebhookNames
from gateway.ports.media_store import KnownMedia


class LookUps:
    """Asks the stores, each within `deadline_s`; a store that is not there knows nothing and forbids nothing."""

    def __init__(
        self,
        *,
        webhooks: WebhookNames | None = None,
        media: KnownMedia | None = None,
        consents: Consents | None = None,
        deadline_s: float = 5.0,
    ) -> None:
        self._webhooks = webhooks
        self._media = media
        self.wishes = WishLookUp(consents, deadline_s=deadline_s)
        self._deadline_s = deadline_s

    def are_needed(self, account: Account, draft: MessageDraft) -> bool:
        """Tell whether `complete` would have to ask for anything; costs nothing."""
        if draft.webhook_id is not None or draft.channels is not None or self.wishes.concern(account):
            return True
        content = draft.content
        return content is not None and not content.is_plain and bool(media_ids(content))

    async def complete(self, common: Circumstances, drafts: Sequence[MessageDraft]) -> Circumstances:
        """Return the circumstances with what the drafts need; TimeoutError or StoreUnavailableError."""
        account = common.account
        webhook_ids = {draft.webhook_id for draft in drafts if draft.webhook_id is not None}
        if webhook_ids and self._webhooks is not None:
            async with asyncio.timeout(self._deadline_s):
                known = await self._webhooks.among(account.id, webhook_ids)
            common = replace(common, webhook_ids=known)
        files = {media_id for draft in drafts for media_id in _files(draft)}
        if files and self._media is not None:
            async with asyncio.timeout(self._deadline_s):
                media = await self._media.among(account.id, files)
            common = replace(common, media=media)
        if self.wishes.concern(account):
            common = replace(common, wishes=await self.wishes.of(account, drafts))
        return common


def _files(draft: MessageDraft) -> list[str]:
    found = media_ids(draft.content) if draft.content is not None else []
    if draft.channels is not None:
        for wish in draft.channels:
            if isinstance(wish, ChannelWish):
                found += media_ids(wish.content)
    return found
