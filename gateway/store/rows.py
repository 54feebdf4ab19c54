"""What the tables of messages have in common: id floors, clean values, errors by meaning, and how batches look up.

A batch finds its rows by one index look-up each, whatever the planner believes. It plans from statistics of a day that
was nearly empty, keeps the plan, and then a plain join reads the whole day through its index, once, and compares every
row with every row of the batch. Two forms leave it no such choice, as sequential scans are off in our sessions: a
lateral subquery with an OFFSET or LIMIT, and in an UPDATE `key = ANY (ARRAY[batch.key])`, which can be looked up but
gives the order of the index no use.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from gateway.domain.ids import MAX_TIME_MS, uuid7_floor
from gateway.domain.notices import MessageFacts
from gateway.ports.bus import Transaction
from gateway.ports.record_store import DeadRow, RowRejectedError, RowsExistError

DAY_MS: Final = 86_400_000
DEADLINE_S: Final = 15.0

_INSERT_DEAD: Final = """
INSERT INTO dead_records (topic, partition, log_offset, value, error, at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""


def day_of(time_ms: int) -> int:
    """Return the midnight (UTC) at or before a time, both in milliseconds since the epoch."""
    return time_ms - time_ms % DAY_MS


def day_floor(time_ms: int) -> UUID:
    """Return the smallest UUIDv7 of the day that `time_ms` is in; the bound of that day's partition."""
    return uuid7_floor(day_of(min(max(time_ms, 0), MAX_TIME_MS)))


def storable(text: str) -> str:
    """Return the text without NUL, the one character that PostgreSQL cannot hold."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def facts_of(row: Sequence[Any]) -> MessageFacts:
    """Return the facts of a row with the columns of `MessageFacts`, in their order."""
    facts = MessageFacts._make(row)
    if facts.metadata is None:
        return facts
    # As stored, so that it need not be read to be written again.
    return facts._replace(metadata=msgspec.Raw(facts.metadata.encode()))


@contextmanager
def by_meaning() -> Iterator[None]:
    """Turn the driver's errors into those of the port: written before, refused for good; others pass."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise RowsExistError(error.constraint_name) from error
    except (
        asyncpg.DataError,
        asyncpg.IntegrityConstraintViolationError,
        ValueError,
        OverflowError,
        TypeError,
    ) as error:
        raise RowRejectedError(f"{type(error).__name__}: {error}"[:500]) from error


async def insert_dead(tx: Transaction, rows: list[DeadRow]) -> None:
    """Keep dead records; one kept before stays as it is."""
    await tx.executemany(_INSERT_DEAD, [row._replace(error=storable(row.error)) for row in rows])
