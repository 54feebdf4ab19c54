"""The whole life of messages cut into its stages, and what each costs by process. Used by `tests.perf.bench`.

Everything is accepted while the carrier is paused, then submitted while the carrier keeps its receipts, then the
receipts are let go; once more with an endpoint that is told of each delivery. A life that is cut so costs more than
one that flows: what flows is recorded as accepted and submitted in one write.
"""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from tests.perf.report import Cell
from tests.perf.sink import Sink
from tests.support.ledger import database
from tests.support.stack import Stack, until
from tests.support.traffic import rows

Usage = Callable[[Stack], Coroutine[Any, Any, dict[str, Any]]]
Post = Callable[[Stack, list[dict[str, Any]]], Coroutine[Any, Any, Any]]

COLUMNS = ("api", "dispatch", "back", "postgres")


async def by_stage(
    stack: Stack, sink: Sink, count: int, *, usage: Usage, post: Post
) -> tuple[list[str], list[list[Cell]]]:
    """Measure CPU seconds per 1,000 messages by stage and process, first without and then with an endpoint.

    Returns the head and the rows of a table.
    """
    print(f"\nby stage, {count} messages of one segment")
    found = await _round(stack, sink, count, usage=usage, post=post, is_told=False)
    await sink.subscribe(stack, "message.delivered")
    found += await _round(stack, sink, count, usage=usage, post=post, is_told=True)
    return ["", *COLUMNS, "gateway", "seconds"], found


async def _round(
    stack: Stack, sink: Sink, count: int, *, usage: Usage, post: Post, is_told: bool
) -> list[list[Cell]]:
    base = await stack.simulator()
    messages = [
        {key: value for key, value in row.items() if key != "client_ref"}
        for row in rows(count, single_segment=True)
    ]
    connection = await database(stack)

    async def counted(what: str) -> int:
        return await connection.fetchval(f"SELECT count(*) FROM {what}")

    async def reached(what: str, wanted: int) -> None:
        async def is_there() -> bool:
            return await counted(what) >= wanted

        await until(is_there, limit_s=60 + count / 200, every_s=max(0.25, count / 50_000))

    try:
        accepted, submitted = await counted("messages") + count, await counted("submissions") + count
        final, told = await counted("messages WHERE state_rank = 3") + count, sink.events + count
        await stack.caudal("carriers", "pause", "simulator", "--reason", "stages")
        await stack.post_json(f"{base}/faults", {"hold_receipts": True})
        meter = await _Meter.start(stack, usage, count)
        await post(stack, messages)
        await reached("messages", accepted)
        await meter.lap("accept, record")
        await stack.caudal("carriers", "resume", "simulator", "--reason", "stages")
        await reached("submissions", submitted)
        await meter.lap("submit, record")
        await stack.post_json(f"{base}/faults", {"hold_receipts": False})
        await reached("messages WHERE state_rank = 3", final)
        if is_told:
            await until(lambda: sink.events >= told, limit_s=60 + count / 200)
        await meter.lap("receipt, callback" if is_told else "receipt")
        return meter.total()
    finally:
        await connection.close()


class _Meter:
    """Keeps what was used since the last look."""

    def __init__(self, stack: Stack, usage: Usage, count: int, first: dict[str, Any]) -> None:
        self._stack = stack
        self._usage = usage
        self._count = count
        self._first = self._last = first
        self._began = self._at = time.perf_counter()
        self._rows: list[list[Cell]] = []

    @classmethod
    async def start(cls, stack: Stack, usage: Usage, count: int) -> "_Meter":
        """Begin."""
        return cls(stack, usage, count, await usage(stack))

    async def lap(self, stage: str) -> None:
        """End one stage."""
        now = await self._usage(self._stack)
        self._add(stage, self._last, now, time.perf_counter() - self._at)
        self._last, self._at = now, time.perf_counter()

    def total(self) -> list[list[Cell]]:
        """Add a row of all stages together and return the rows."""
        self._add("together", self._first, self._last, self._at - self._began)
        return self._rows

    def _add(self, stage: str, before: dict[str, Any], after: dict[str, Any], seconds: float) -> None:
        spent = [(after[name].cpu_s - before[name].cpu_s) / self._count * 1000 for name in COLUMNS]
        print(f"  {stage}: {seconds:.1f} s")
        self._rows.append([stage, *spent, sum(spent), seconds])
