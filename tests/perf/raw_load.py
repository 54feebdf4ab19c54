"""Requests over kept-alive connections at a tenth of the cost of a full client. Used by benches that POST one by one."""

import asyncio
import time
from typing import NamedTuple

from loadtest.http_client import HttpChannel, Target


class Request(NamedTuple):
    """One request, ready to be sent; `headers` are lines, each with its CRLF."""

    method: str
    path: str
    headers: bytes = b""
    body: bytes = b""


async def in_parallel(port: int, requests: list[Request], *, at_once: int) -> tuple[list[float], list[bytes]]:
    """Send everything to a port of loopback with so many open; return seconds and bodies. All must be answered 202."""
    todo = requests[::-1]
    latencies: list[float] = []
    bodies: list[bytes] = []

    async def worker() -> None:
        channel = HttpChannel(Target(False, "127.0.0.1", port, "/"))
        try:
            while todo:
                method, path, headers, body = todo.pop()
                began = time.perf_counter()
                answer = await channel.request(method, path, headers=headers, body=body, timeout_s=60)
                latencies.append(time.perf_counter() - began)
                assert answer.status == 202, answer
                bodies.append(answer.body)
        finally:
            channel.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return latencies, bodies
