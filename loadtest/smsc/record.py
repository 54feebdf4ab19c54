"""The simulator's own ledger of every segment it received, kept in columns and bounded.

About 50 octets a segment plus its addresses and text: two million short messages take some 250 MB, nothing is paid
before. When the limit is reached the oldest block of 16,384 segments is forgotten and counted, so a long run is
read with `after` as it goes.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from hashlib import sha1
from struct import Struct
from typing import Any, Final, NamedTuple

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import SubmitSm
from loadtest.smsc.text import Concatenation, decode_text, split_udh

BLOCK_SEGMENTS: Final = 1 << 14
_BLOCK_MASK: Final = BLOCK_SEGMENTS - 1
MAX_TEXT_OCTETS: Final = 254
"""Longer texts (message_payload) are kept as their SHA-1."""

ANSWERED: Final = 1
RECEIPT_DUE: Final = 2
RECEIPT_SENT: Final = 4
RECEIPT_ACKNOWLEDGED: Final = 8
FINAL: Final = 16
"""The final state is reached although its receipt cannot be sent yet."""

MAX_REPLACEMENTS: Final = 10_000

# system, session, command_status, message_state; esm_class, data_coding, registered_delivery, priority_flag; octets of
# source, destination, validity; SAR reference, total, sequence; octets of the text; then those four.
_ROW: Final = Struct("<HIIB7BHBBI")
_NO_SAR: Final = (0, 0, 0)
_STATE_AT: Final = 10


class Segment(NamedTuple):
    """What operations on a message look at."""

    arrival_ns: int
    system: int
    status: int
    state: int
    registered_delivery: int
    source: str
    destination: str
    flags: int


class _Block:
    """Up to BLOCK_SEGMENTS rows: what is searched or changed in columns, the rest packed."""

    __slots__ = ("arrival_ns", "flags", "octets", "receipt_ns", "start", "system")

    def __init__(self) -> None:
        self.arrival_ns = array("q")
        self.receipt_ns = array("q")
        self.system = array("H")
        self.flags = array("B")
        self.start = array("I")
        self.octets = bytearray()


class Record:
    """Segments by number, from 0; numbers are never used twice, also not after `reset`."""

    __slots__ = (
        "_block_first",
        "_blocks",
        "_first",
        "_max_blocks",
        "_newest",
        "_replacements",
        "forgotten_count",
        "system_ids",
    )

    def __init__(self, *, max_segments: int = 2_000_000) -> None:
        if max_segments < 1:
            raise ValueError(f"record limit {max_segments} is below 1")
        # One block more than the limit needs, so that the limit itself is always kept.
        self._max_blocks = -(-max_segments // BLOCK_SEGMENTS) + 1
        self._blocks: deque[_Block] = deque([_Block()])
        self._newest = self._blocks[0]
        self._first = 0
        self._block_first = 0
        self._replacements: dict[int, bytes] = {}
        self.forgotten_count = 0
        self.system_ids: list[str] = []

    @property
    def first_number(self) -> int:
        """Number of the oldest segment still held."""
        return self._first

    @property
    def next_number(self) -> int:
        """Number the next segment will get."""
        return self._block_first + len(self._newest.start)

    def report(self) -> dict[str, int]:
        """Return which numbers are held, and how many are forgotten."""
        return {
            "first_number": self._first,
            "next_number": self.next_number,
            "forgotten": self.forgotten_count,
        }

    def append(
        self, pdu: SubmitSm, *, arrival_ns: int, system: int, session: int, status: int, state: int
    ) -> int:
        """Keep one segment and return its number. `system` is an index into `system_ids`."""
        block = self._newest
        if len(block.start) == BLOCK_SEGMENTS:
            block = self._add_block()
        octets = block.octets
        block.start.append(len(octets))
        block.arrival_ns.append(arrival_ns)
        block.receipt_ns.append(0)
        block.system.append(system)
        block.flags.append(0)
        text = pdu.short_message
        text_octets = len(text)
        sar = _NO_SAR
        if pdu.tlvs:
            sar, text, text_octets = _from_tlvs(pdu)
        source, destination, validity = pdu.source_addr, pdu.destination_addr, pdu.validity_period
        octets += _ROW.pack(
            system,
            session,
            status,
            state,
            pdu.esm_class,
            pdu.data_coding,
            pdu.registered_delivery,
            pdu.priority_flag,
            len(source),
            len(destination),
            len(validity),
            *sar,
            text_octets,
        )
        octets += f"{source}{destination}{validity}".encode("latin-1")
        octets += text
        return self._block_first + len(block.start) - 1

    def _add_block(self) -> _Block:
        if len(self._blocks) == self._max_blocks:
            self._blocks.popleft()
            self._first += BLOCK_SEGMENTS
            self.forgotten_count += BLOCK_SEGMENTS
        self._newest = _Block()
        self._blocks.append(self._newest)
        self._block_first += BLOCK_SEGMENTS
        return self._newest

    def mark(self, number: int, flag: int) -> bool:
        """Set `flag` on a segment; False when it was set before or the segment is forgotten."""
        at = number - self._first
        if at < 0:
            return False
        flags = self._blocks[at // BLOCK_SEGMENTS].flags
        at &= _BLOCK_MASK
        before = flags[at]
        flags[at] = before | flag
        return not before & flag

    def receipt_sent(self, number: int, at_ns: int) -> None:
        """Note when the receipt of a segment was first sent."""
        if self.mark(number, RECEIPT_SENT):
            at = number - self._first
            self._blocks[at // BLOCK_SEGMENTS].receipt_ns[at & _BLOCK_MASK] = at_ns

    def segment(self, number: int) -> Segment | None:
        """Return one segment, None when it is not held (any more)."""
        if not self._first <= number < self.next_number:
            return None
        at = number - self._first
        block = self._blocks[at // BLOCK_SEGMENTS]
        at &= _BLOCK_MASK
        begin = block.start[at]
        row = _ROW.unpack_from(block.octets, begin)
        system, _, status, state, _, _, registered, _, source_octets, destination_octets, *_ = row
        source_end = begin + _ROW.size + source_octets
        return Segment(
            block.arrival_ns[at],
            system,
            status,
            state,
            registered,
            block.octets[begin + _ROW.size : source_end].decode("latin-1"),
            block.octets[source_end : source_end + destination_octets].decode("latin-1"),
            block.flags[at],
        )

    def set_state(self, number: int, state: int) -> None:
        """Change the message_state of a segment that is held."""
        at = number - self._first
        block = self._blocks[at // BLOCK_SEGMENTS]
        block.octets[block.start[at & _BLOCK_MASK] + _STATE_AT] = state

    def replace_text(self, number: int, text: bytes) -> None:
        """Note the text that replaces a segment's own; the own one stays beside it."""
        if len(self._replacements) >= MAX_REPLACEMENTS:
            del self._replacements[next(iter(self._replacements))]
        self._replacements[number] = text

    def reset(self) -> None:
        """Forget every segment; the numbers go on, so late marks hit nothing."""
        self._first = -(-self.next_number // BLOCK_SEGMENTS) * BLOCK_SEGMENTS
        self._newest = _Block()
        self._blocks = deque([self._newest])
        self._block_first = self._first
        self._replacements.clear()
        self.forgotten_count = 0

    def arrivals(self) -> "Iterator[tuple[array[int], array[int]]]":  # array is generic from Python 3.12
        """Yield (arrival_ns, system) columns, block by block; do not keep them."""
        for block in tuple(self._blocks):
            yield block.arrival_ns, block.system

    def rows(self, *, after: int, limit: int) -> list[dict[str, Any]]:
        """Return up to `limit` segments with a number above `after`, as the HTTP API shows them."""
        start = max(after + 1, self._first)
        return [self._row(number) for number in range(start, min(start + limit, self.next_number))]

    def _row(self, number: int) -> dict[str, Any]:
        at = number - self._first
        block = self._blocks[at // BLOCK_SEGMENTS]
        at &= _BLOCK_MASK
        begin = block.start[at]
        system, session, status, state, *rest = _ROW.unpack_from(block.octets, begin)
        esm_class, coding, registered, priority, *sizes = rest
        source_octets, destination_octets, validity_octets, *sar, text_octets = sizes
        begin += _ROW.size
        source_end = begin + source_octets
        destination_end = source_end + destination_octets
        validity_end = destination_end + validity_octets
        octets = block.octets
        is_hashed = text_octets > MAX_TEXT_OCTETS
        text = bytes(octets[validity_end : validity_end + (20 if is_hashed else text_octets)])
        concatenation = Concatenation(*sar) if sar[1] else None
        user_data = text
        if esm_class & c.ESM_UDHI and not is_hashed:
            from_udh, user_data = split_udh(text)
            concatenation = concatenation or from_udh
        flags = block.flags[at]
        replacement = self._replacements.get(number) if self._replacements else None
        return {
            **({} if replacement is None else {"replaced_by_hex": replacement.hex()}),
            "number": number,
            "arrival_ns": block.arrival_ns[at],
            "receipt_ns": block.receipt_ns[at] or None,
            "system_id": self.system_ids[system],
            "session": session,
            "source": octets[begin:source_end].decode("latin-1"),
            "destination": octets[source_end:destination_end].decode("latin-1"),
            "validity_period": octets[destination_end:validity_end].decode("latin-1"),
            "esm_class": esm_class,
            "data_coding": coding,
            "registered_delivery": registered,
            "priority_flag": priority,
            "octets": text_octets,
            "text": None if is_hashed else decode_text(user_data, data_coding=coding),
            "payload_hex": None if is_hashed else text.hex(),
            "payload_sha1": text.hex() if is_hashed else None,
            "concatenation": concatenation._asdict() if concatenation else None,
            "status": c.status_name(status),
            "is_answered": bool(flags & ANSWERED),
            "message_state": c.MESSAGE_STATE_NAMES[state] if state else None,
            "receipt": _receipt_name(flags),
        }


def _from_tlvs(pdu: SubmitSm) -> tuple[tuple[int, int, int], bytes, int]:
    """Return the SAR triple, the text to keep (hashed when long) and the true octet count of the text."""
    values = {tlv.tag: tlv.value for tlv in pdu.tlvs}
    reference = int.from_bytes(values.get(c.TAG_SAR_MSG_REF_NUM, b"")[:2], "big")
    total = int.from_bytes(values.get(c.TAG_SAR_TOTAL_SEGMENTS, b"")[:1], "big")
    sequence = int.from_bytes(values.get(c.TAG_SAR_SEGMENT_SEQNUM, b"")[:1], "big")
    text = pdu.short_message or values.get(c.TAG_MESSAGE_PAYLOAD, b"")
    text_octets = len(text)
    if text_octets > MAX_TEXT_OCTETS:
        text = sha1(text, usedforsecurity=False).digest()
    return (reference, total, sequence), text, text_octets


def _receipt_name(flags: int) -> str:
    if flags & RECEIPT_ACKNOWLEDGED:
        return "acknowledged"
    if flags & RECEIPT_SENT:
        return "sent"
    return "due" if flags & RECEIPT_DUE else "none"
