"""Files that a carrier must have before a message can go: read from where they are kept, given once, whoever waits.

Used by `bind`; one per link. What fails here has submitted nothing, so it can always be tried again.
"""

import asyncio
from typing import Final

from adapters.http.dialect import HttpDialect
from adapters.http.wire import Exchange, ExchangeError
from gateway.domain.outcomes import Refusal, Refused, SubmitOutcome
from gateway.ports.clock import Clock
from gateway.ports.media_store import MediaSource

READ_S: Final = 10.0


class Uploads:
    """Gives the carrier files. Of messages that need the same one at a time, the first brings it and the others wait."""

    def __init__(self, dialect: HttpDialect, *, media: MediaSource | None, clock: Clock) -> None:
        self._dialect = dialect
        self._media = media
        self._clock = clock
        self._under_way: dict[str, asyncio.Future[SubmitOutcome | None]] = {}

    async def bring(self, media_id: str, *, exchange: Exchange) -> SubmitOutcome | None:
        """Give the carrier a file; return the outcome of its messages where that failed, None when it has it.

        Raises ExchangeError where the carrier cannot be reached: nothing was submitted.
        """
        other = self._under_way.get(media_id)
        if other is not None:
            return await asyncio.shield(other)
        mine = self._under_way[media_id] = asyncio.get_running_loop().create_future()
        outcome: SubmitOutcome | None = _later("upload_interrupted")
        try:
            outcome = await self._bring(media_id, exchange)
        except ExchangeError as error:
            if not error.has_left:
                raise
            outcome = _later(f"upload_{error.reason}")
        finally:
            exchange.is_aside = False
            exchange.rest()
            del self._under_way[media_id]
            mine.set_result(outcome)
        return outcome

    async def _bring(self, media_id: str, exchange: Exchange) -> SubmitOutcome | None:
        if self._media is None:
            return Refused("no_media_store", "", Refusal.PERMANENT, try_other_route=True, alert=True)
        try:
            async with asyncio.timeout(READ_S):
                found = await self._media.read_media(media_id, now_ms=self._clock.now_ms())
        except Exception:  # noqa: BLE001 - the store is away, and comes back
            return _later("media_unavailable")
        if found is None:
            return Refused("media_missing", "", Refusal.PERMANENT)
        request = self._dialect.upload_request(
            media_id, content_type=found.content_type, name=found.name, octets=found.octets
        )
        exchange.is_aside = True
        response = await exchange.wire.ask(exchange, request)
        return self._dialect.uploaded(media_id, response, now_ms=self._clock.now_ms())


def _later(status: str) -> Refused:
    return Refused(status, "", Refusal.RETRY_LATER, try_other_route=True)
