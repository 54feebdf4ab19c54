"""How the processes of a run talk: one JSON object a line, through the pipes of a child."""

import asyncio
import sys
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


async def input_lines() -> asyncio.StreamReader:
    """Return our standard input as a stream; it ends when whoever started us is gone."""
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(what: Any) -> None:
    """Print one line, at once."""
    sys.stdout.buffer.write(_encode(what) + b"\n")
    sys.stdout.buffer.flush()
