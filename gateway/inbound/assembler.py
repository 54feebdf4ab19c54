"""Segments and the sets they wait in: the pure `Reassembly` with the tables behind it.

Used by the consumer for every batch and by the sweeper, each in a transaction of its own; both take the store's lock
first, so a set is never completed by one and given up by the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from gateway.domain.receipts import MobileOriginated
from gateway.inbound.reading import Content
from gateway.inbound.reassembly import (
    DIGEST_OCTETS,
    Closed,
    DoneSet,
    OpenSet,
    Reassembly,
    Segment,
    SetKey,
    Why,
)
from gateway.ports.bus import Transaction
from gateway.ports.inbound_store import InboundStore, PartRow, SetRow


@dataclass(frozen=True, slots=True)
class AssemblyLimits:
    """How long and how many segments wait for the rest of their message; times in milliseconds.

    Segments of one sender beyond `max_parts_per_sender`, and of all beyond `max_parts`, are given out at once as
    messages with missing segments, the oldest first: nothing is lost, and nobody fills the database.
    """

    timeout_ms: int = 86_400_000
    repeat_ms: int = 3_600_000
    max_parts_per_sender: int = 1_020
    max_parts: int = 200_000


class Arrival(NamedTuple):
    """One record as read from the bus. `record_id` follows from its place there, so a replay has the same one."""

    record_id: UUID
    mo: MobileOriginated
    content: Content
    value: bytes


class Assembled(NamedTuple):
    """What was closed, without sets that only repeated others; how many segments were repeats; how many sets taken."""

    closed: list[Closed]
    repeated: int
    taken: int = 0


class Assembler:
    """One per process and user; keeps nothing between calls."""

    def __init__(self, store: InboundStore, *, limits: AssemblyLimits) -> None:
        self._store = store
        self._limits = limits

    async def assemble(self, tx: Transaction, arrivals: Sequence[Arrival]) -> Assembled:
        """Put segments to their sets; return the messages that are complete, or given up because of these."""
        await self._store.lock(tx)
        reassembly = self._new()
        keyed = [(set_key(one), one) for one in arrivals]
        await self._load(tx, reassembly, dict.fromkeys(key for key, _ in keyed))
        for key, one in keyed:
            reassembly.put(key, _segment(one), record_id=one.record_id)
        await self._write(tx, reassembly)
        assembled = _assembled(reassembly)
        senders = list(dict.fromkeys((one.key.carrier, one.key.sender) for one in reassembly.changed))
        if senders:
            crowding = await self._store.crowding(tx, senders, max_parts=self._limits.max_parts_per_sender)
            given_up = await self._give_up(
                tx, crowding, Why.CROWDED, now_ms=max(one.mo.received_at for one in arrivals)
            )
            assembled = Assembled(assembled.closed + given_up.closed, assembled.repeated + given_up.repeated)
        return assembled

    async def give_up_expired(self, tx: Transaction, *, now_ms: int, limit: int) -> Assembled:
        """Close up to `limit` sets that waited too long."""
        await self._store.lock(tx)
        rows = await self._store.expired(tx, now_ms=now_ms, limit=limit)
        return await self._give_up(tx, rows, Why.TIMEOUT, now_ms=now_ms)

    async def give_up_oldest(self, tx: Transaction, *, now_ms: int, limit: int) -> Assembled:
        """Close up to `limit` of the oldest sets while more segments wait than may."""
        await self._store.lock(tx)
        rows = await self._store.oldest(tx, max_parts=self._limits.max_parts, limit=limit)
        return await self._give_up(tx, rows, Why.CROWDED, now_ms=now_ms)

    def _new(self) -> Reassembly:
        return Reassembly(timeout_ms=self._limits.timeout_ms, repeat_ms=self._limits.repeat_ms)

    async def _give_up(self, tx: Transaction, rows: Sequence[SetRow], why: Why, *, now_ms: int) -> Assembled:
        if not rows:
            return Assembled([], 0)
        reassembly = self._new()
        chosen = {row.id for row in rows}
        open_sets = await self._load(tx, reassembly, dict.fromkeys(_key_of(row) for row in rows))
        reassembly.give_up([one for one in open_sets if one.id in chosen], why, now_ms=now_ms)
        await self._write(tx, reassembly)
        return _assembled(reassembly)._replace(taken=len(rows))

    async def _load(self, tx: Transaction, reassembly: Reassembly, keys: Iterable[SetKey]) -> list[OpenSet]:
        rows = await self._store.sets_of(tx, list(keys))
        parts: dict[UUID, dict[int, Segment]] = {}
        waiting = [row.id for row in rows if row.done_at is None]
        for part in await self._store.parts_of(tx, waiting):
            parts.setdefault(part.set_id, {})[part.segment_index] = Segment(*part[1:])
        open_sets = [
            OpenSet(
                row.id,
                _key_of(row),
                row.opened_at,
                row.expires_at,
                parts.get(row.id, {}),
                frozenset(parts.get(row.id, ())),
            )
            for row in rows
            if row.done_at is None
        ]
        done_sets = [
            DoneSet(_key_of(row), row.done_at, row.digests) for row in rows if row.done_at is not None
        ]
        reassembly.load(open_sets, done_sets)
        return open_sets

    async def _write(self, tx: Transaction, reassembly: Reassembly) -> None:
        done = [one for one in reassembly.closed if one.why is not Why.ECHO]
        # Closed ones first: a new set of the same key may follow, and only one of a key may be open.
        sets = [_row(one.of, done_at=one.at) for one in done]
        sets += [_row(one) for one in reassembly.changed]
        parts = [
            PartRow(one.id, *segment)
            for one in reassembly.changed
            for index, segment in one.segments.items()
            if one.stored is None or index not in one.stored
        ]
        known = [one.of for one in reassembly.closed if one.of.stored is not None]
        await self._store.write_sets(
            tx,
            sets=sets,
            parts=parts,
            emptied=[one.id for one in known],
            dropped=[
                one.of.id for one in reassembly.closed if one.why is Why.ECHO and one.of.stored is not None
            ],
        )


def set_key(arrival: Arrival) -> SetKey:
    """Return the key of an arrival that has a place."""
    mo, place = arrival.mo, arrival.content.place
    assert place is not None
    return SetKey(mo.carrier, mo.sender, mo.recipient, place.kind, place.reference, place.segment_count)


def _segment(arrival: Arrival) -> Segment:
    content, mo = arrival.content, arrival.mo
    assert content.place is not None
    digest = blake2b(
        b"%d:%d:%b%b" % (mo.data_coding, len(content.header), content.header, content.octets),
        digest_size=DIGEST_OCTETS,
    ).digest()
    return Segment(content.place.segment_index, digest, mo.received_at, arrival.value)


def _key_of(row: SetRow) -> SetKey:
    return SetKey(*row[1:7])


def _row(one: OpenSet, *, done_at: int | None = None) -> SetRow:
    is_done = done_at is not None
    return SetRow(
        one.id,
        *one.key,
        one.opened_at,
        one.expires_at,
        0 if is_done else len(one.segments),
        done_at,
        one.digests if is_done else b"",
    )


def _assembled(reassembly: Reassembly) -> Assembled:
    return Assembled([one for one in reassembly.closed if one.why is not Why.ECHO], reassembly.repeated)
