"""Blocks: how the Postgres bus stores neighbouring records in one row. Pure.

A block is the length of each record in four octets, big-endian, and then the records. It fits one page of the database
unless a single record does not.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from gateway.bus.postgres_sql import MAX_BLOCK_RECORDS
from gateway.ports.bus import Stored

MAX_BLOCK_OCTETS: Final = 8_000
"""A page of 8,192 less its header, the row's, and the other columns."""

_LENGTH_OCTETS: Final = 4


class Block(NamedTuple):
    """One block of an append: the rank of its last record there, how many it holds, and what is stored."""

    last: int
    records: int
    octets: bytes


def cut(values: Sequence[bytes]) -> Iterator[Block]:
    """Yield the blocks of the records of one partition, in order."""
    start = size = 0
    for index, value in enumerate(values):
        octets = len(value) + _LENGTH_OCTETS
        if (size + octets > MAX_BLOCK_OCTETS and index > start) or index - start == MAX_BLOCK_RECORDS:
            yield _block(values[start:index], last=index - 1)
            start, size = index, 0
        size += octets
    if values:
        yield _block(values[start:], last=len(values) - 1)


def records_in(rows: Sequence[tuple[int, int, bytes, int]], *, limit: int) -> list[Stored]:
    """Return up to `limit` records of rows (last offset, number of records, block, first offset wanted)."""
    found: list[Stored] = []
    for last, count, block, _ in rows:
        values = []
        at = count * _LENGTH_OCTETS
        for length in _lengths(count).unpack_from(block):
            values.append(block[at : at + length])
            at += length
        found.extend(map(Stored, range(last - count + 1, last + 1), values))
    if not found:
        return found
    skipped = max(0, rows[0][3] - found[0].offset)
    return found[skipped : skipped + limit]


def _block(values: Sequence[bytes], *, last: int) -> Block:
    lengths = _lengths(len(values)).pack(*map(len, values))
    return Block(last, len(values), lengths + b"".join(values))


@lru_cache(maxsize=MAX_BLOCK_RECORDS)
def _lengths(count: int) -> Struct:
    return Struct(f">{count}I")
