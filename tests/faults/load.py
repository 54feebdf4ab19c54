"""Steady traffic for the fault suite: small batches of all four classes, each posted until it is answered."""

import asyncio
import contextlib
import time
from typing import Any
from uuid import UUID

import aiohttp

from gateway.domain.ids import parse_id
from gateway.domain.message import CLASSES, MessageClass
from tests.scenarios.posting import numbered
from tests.support.stack import Stack

BATCH = 20
MAX_OPEN_POSTS = 64
_ANSWER_S = 20.0
_PATIENCE_S = 120.0


class Load:
    """Posts `per_s` messages a second from `run` on until `stop`; `accepted` is what was promised: id to (recipient, class).

    `first` is the first of the numbers whose recipients are this load's alone, `key` makes its idempotency keys.
    """

    def __init__(self, stack: Stack, *, first: int, per_s: float, key: str) -> None:
        self._stack = stack
        self._next = first
        self._gap_s = BATCH / per_s
        self._key = key
        self._over = asyncio.Event()
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._batches = 0
        self.accepted: dict[UUID, tuple[str, MessageClass]] = {}

    async def close(self) -> None:
        """Give up what is open."""
        self._over.set()
        await self._http.close()

    def stop(self) -> None:
        """Begin nothing more; `run` returns when everything is answered."""
        self._over.set()

    async def run(self) -> None:
        """Post at a steady pace; a stall is not made good, so that the load stays below the carrier's rate."""
        places = asyncio.Semaphore(MAX_OPEN_POSTS)
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._over.is_set():
                due = max(due + self._gap_s, time.monotonic())
                await places.acquire()
                posting = group.create_task(self.post(BATCH, CLASSES[self._batches % len(CLASSES)]))
                posting.add_done_callback(lambda _: places.release())
                self._batches += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(due - time.monotonic(), 0.0)):
                        await self._over.wait()

    async def post(self, count: int, message_class: MessageClass) -> list[UUID]:
        """Post new messages until the gateway takes them; return their ids."""
        messages = list(numbered(count, start=self._next))
        key = f"{self._key}-{self._next}"
        self._next += count
        body = {"defaults": {"from": "CAUDAL", "class": message_class}, "messages": messages}
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                status, answer = await self._send(body, key=key)
                if status == 202:
                    assert answer["rejected"] == 0, answer
                    ids = [parse_id("msg", result["id"]) for result in answer["results"]]
                    for one, message in zip(ids, messages, strict=True):
                        self.accepted[one] = (message["to"].lstrip("+"), message_class)
                    return ids
                assert status in (409, 503), (status, answer)
            await asyncio.sleep(0.25)
        raise AssertionError(f"the gateway took nothing for {_PATIENCE_S:.0f} s")

    async def _send(self, body: dict[str, Any], *, key: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._stack.key}", "Idempotency-Key": key}
        async with (
            asyncio.timeout(_ANSWER_S),
            self._http.post(self._stack.api + "/v1/messages:batch", json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json(content_type=None)
