"""Posting for scenarios: many messages fast, or some at a steady pace, and when each was accepted."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.stack import Stack

BATCH = 1_000


def numbered(count: int, *, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield short messages to numbers of their own, none of which the simulator treats specially."""
    for index in range(start, start + count):
        # The last two digits stay at 20 to 99: below that the simulator misbehaves on purpose.
        yield {
            "to": f"+5255{12_000_000 + index // 80 * 100 + 20 + index % 80:08d}",
            "content": {"text": f"Folio {index}"},
        }


async def post_batch(stack: Stack, messages: list[dict[str, Any]], **defaults: Any) -> list[str]:
    """Post up to a thousand messages, again where the gateway is not ready; return their ids."""
    body = {"defaults": {"from": "CAUDAL", **defaults}, "messages": messages}
    for _ in range(120):
        status, answer = await stack.request("POST", "/v1/messages:batch", json=body)
        if status == 202:
            assert answer["rejected"] == 0, answer
            return [one["id"] for one in answer["results"]]
        assert status == 503, answer
        await asyncio.sleep(0.25)
    raise AssertionError("the gateway took nothing for 30 s")


async def post_many(stack: Stack, count: int, *, start: int = 0, parallel: int = 3, **defaults: Any) -> int:
    """Post `count` messages as fast as the gateway takes them; return how many."""
    messages = numbered(count, start=start)
    posted = 0

    async def worker() -> None:
        nonlocal posted
        while batch := [one for _, one in zip(range(BATCH), messages, strict=False)]:
            ids = await post_batch(stack, batch, **defaults)
            posted += len(ids)

    async with asyncio.TaskGroup() as group:
        for number in range(parallel):
            group.create_task(worker(), name=f"scenario.post.{number}")
    return posted


async def post_steadily(
    stack: Stack,
    *,
    per_s: float,
    seconds: float,
    start: int = 0,
    batch: int = 0,
    note: Callable[[str, str, float], None] | None = None,
    **defaults: Any,
) -> list[str]:
    """Post at a steady pace, open loop: late answers do not hold the next request back; return the ids.

    `note` is told (id, recipient, Unix time in seconds when it was accepted).
    """
    size = batch or max(1, int(per_s / 10))
    ids: list[str] = []
    began = time.monotonic()
    index = start

    async def one(messages: list[dict[str, Any]]) -> None:
        found = await post_batch(stack, messages, **defaults)
        accepted_at = time.time()
        ids.extend(found)
        if note is not None:
            for message_id, message in zip(found, messages, strict=True):
                note(message_id, message["to"].lstrip("+"), accepted_at)

    async with asyncio.TaskGroup() as group:
        while (passed := time.monotonic() - began) < seconds:
            due = int(passed * per_s) - (index - start)
            if due >= size or (due > 0 and per_s < 10):
                take = min(due, BATCH)
                messages = list(numbered(take, start=index))
                index += take
                group.create_task(one(messages), name="scenario.post")
            await asyncio.sleep(min(0.05, size / per_s / 2))
    return ids
