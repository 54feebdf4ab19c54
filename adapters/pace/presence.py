"""What is wanted of a bind: to be there, to be quiet, to go and come back. Owned by a bind, set by its link."""

import asyncio
import contextlib

from gateway.ports.links import LinkWish


class Presence:
    """The wishes about one bind and the waits that follow from them.

    `is_paused`: bound, but submitting nothing. `is_wanted` False: unbound once its window is empty, and away until
    wanted again. `is_leaving`: the present session ends once its window is empty, whatever comes after.
    """

    def __init__(self) -> None:
        self.is_paused = False
        self.is_leaving = False
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._hurry = asyncio.Event()
        self.stands = asyncio.Event()  # a session is bound, and not on its way out

    @property
    def is_wanted(self) -> bool:
        """Whether the bind should be there."""
        return self._wanted.is_set()

    def follow(self, wish: LinkWish, *, name: str) -> None:
        """Take over what an operator wishes for the bind `name`."""
        self.is_paused = wish.is_paused or name in wish.paused_binds
        if not wish.is_drained:
            self._wanted.set()
        elif self.is_wanted:
            self._wanted.clear()
            self.is_leaving = True

    def hurry(self) -> None:
        """End the present wait between two connections."""
        self._hurry.set()

    def release(self) -> None:
        """End every wait: the bind is being stopped."""
        self._wanted.set()
        self._hurry.set()

    async def until_wanted(self) -> None:
        """Wait until the bind should be there."""
        await self._wanted.wait()

    async def pause(self, seconds: float) -> None:
        """Wait between two connections, or until `hurry`."""
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
