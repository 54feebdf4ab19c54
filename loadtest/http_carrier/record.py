"""The simulator's own ledger of every message it received, kept in columns and bounded.

Reads like `loadtest.smsc.record`: numbers from 0 that are never used twice, arrivals in nanoseconds of the monotonic
clock, blocks of 16,384 forgotten when the limit is reached. A file, if asked for, has one JSON line for each message.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, Final

import msgspec

from loadtest.http_carrier.exchange import Message

BLOCK_MESSAGES: Final = 1 << 14
_BLOCK_MASK: Final = BLOCK_MESSAGES - 1
MAX_TEXT_OCTETS: Final = 254
"""Longer texts are kept as their SHA-1."""

ANSWERED: Final = 1
RECEIPT_DUE: Final = 2
RECEIPT_SENT: Final = 4
RECEIPT_ACKNOWLEDGED: Final = 8

MAX_NAME_OCTETS: Final = 255
MAX_REF_OCTETS: Final = 1_000
MAX_WORDS: Final = 255
_FILE_OCTETS: Final = 1 << 16

# session, http status; word of the answer, form; octets of destination, source, ref, text.
_ROW: Final = Struct("<IHBBBBHI")


class _Block:
    """Up to BLOCK_MESSAGES rows: what is searched or changed in columns, the rest packed."""

    __slots__ = ("arrival_ns", "flags", "octets", "start")

    def __init__(self) -> None:
        self.arrival_ns = array("q")
        self.flags = array("B")
        self.start = array("I")
        self.octets = bytearray()


class Record:
    """Messages by number. A word is the answer a message got: "" when it was taken, else the refusal."""

    def __init__(self, *, max_messages: int, file: Path | None = None) -> None:
        if max_messages < 1:
            raise ValueError(f"record limit {max_messages} is below 1")
        self._max_blocks = -(-max_messages // BLOCK_MESSAGES) + 1
        self._blocks: deque[_Block] = deque([_Block()])
        self._newest = self._blocks[0]
        self._first = 0
        self._block_first = 0
        self._words: list[str] = [""]
        self._indexes: dict[str, int] = {"": 0}
        self.forgotten_count = 0
        self._file: BinaryIO | None = None if file is None else file.open("ab", buffering=_FILE_OCTETS)

    @property
    def first_number(self) -> int:
        """Number of the oldest message still held."""
        return self._first

    @property
    def next_number(self) -> int:
        """Number the next message will get."""
        return self._block_first + len(self._newest.start)

    def append(
        self, message: Message, *, arrival_ns: int, session: int, code: str, http_status: int, message_id: str
    ) -> int:
        """Keep one message and return its number."""
        block = self._newest
        if len(block.start) == BLOCK_MESSAGES:
            block = self._add_block()
        octets = block.octets
        block.start.append(len(octets))
        block.arrival_ns.append(arrival_ns)
        block.flags.append(0)
        destination, source, ref, text, form = message
        to, sender, reference = (
            destination.encode("utf-8", "replace")[:MAX_NAME_OCTETS],
            source.encode("utf-8", "replace")[:MAX_NAME_OCTETS],
            ref.encode("utf-8", "replace")[:MAX_REF_OCTETS],
        )
        text_octets = len(text)
        if text_octets > MAX_TEXT_OCTETS:
            text = sha1(text, usedforsecurity=False).digest()
        octets += _ROW.pack(
            session,
            http_status,
            self._index(code),
            self._index(form),
            len(to),
            len(sender),
            len(reference),
            text_octets,
        )
        octets += to
        octets += sender
        octets += reference
        octets += text
        number = self._block_first + len(block.start) - 1
        if self._file is not None:
            line = {
                "number": number,
                "arrival_ns": arrival_ns,
                "message_id": message_id,
                "code": code,
                "destination": destination,
                "source": source,
                "ref": ref,
                "text_sha1": sha1(message.text, usedforsecurity=False).hexdigest(),
            }
            self._file.write(msgspec.json.encode(line) + b"\n")
        return number

    def _index(self, word: str) -> int:
        """Return the index of a word; there are few of them, what comes above is `other`."""
        index = self._indexes.get(word)
        if index is None:
            if len(self._words) == MAX_WORDS:
                word = "other"
                if word in self._indexes:
                    return self._indexes[word]
            index = self._indexes[word] = len(self._words)
            self._words.append(word)
        return index

    def _add_block(self) -> _Block:
        if len(self._blocks) == self._max_blocks:
            self._blocks.popleft()
            self._first += BLOCK_MESSAGES
            self.forgotten_count += BLOCK_MESSAGES
        self._newest = _Block()
        self._blocks.append(self._newest)
        self._block_first += BLOCK_MESSAGES
        return self._newest

    def mark(self, number: int, flag: int) -> bool:
        """Set `flag` on a message; False when it was set before or the message is forgotten."""
        at = number - self._first
        if at < 0:
            return False
        flags = self._blocks[at // BLOCK_MESSAGES].flags
        at &= _BLOCK_MASK
        before = flags[at]
        flags[at] = before | flag
        return not before & flag

    def reset(self) -> None:
        """Forget every message; the numbers go on, so late marks hit nothing."""
        self._first = -(-self.next_number // BLOCK_MESSAGES) * BLOCK_MESSAGES
        self._newest = _Block()
        self._blocks = deque([self._newest])
        self._block_first = self._first
        self.forgotten_count = 0

    def flush(self) -> None:
        """Write to the file what is still in memory."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- reading -----------------------------------------------------------------------------------

    def arrivals(self) -> "Iterator[array[int]]":  # array is generic from Python 3.12
        """Yield arrival_ns columns, block by block; do not keep them."""
        for block in tuple(self._blocks):
            yield block.arrival_ns

    def numbers(self) -> range:
        """Return the numbers that are held."""
        return range(self._first, self.next_number)

    def rows(self, *, after: int = -1, limit: int = 1 << 62) -> list[dict[str, Any]]:
        """Return up to `limit` messages with a number above `after`, as the control API shows them."""
        start = max(after + 1, self._first)
        return [self.row(number) for number in range(start, min(start + limit, self.next_number))]

    def row(self, number: int) -> dict[str, Any]:
        """Return one message that is held."""
        at = number - self._first
        block = self._blocks[at // BLOCK_MESSAGES]
        at &= _BLOCK_MASK
        begin = block.start[at]
        octets = block.octets
        session, http_status, code, form, to_octets, from_octets, ref_octets, text_octets = _ROW.unpack_from(
            octets, begin
        )
        begin += _ROW.size
        source_at = begin + to_octets
        ref_at = source_at + from_octets
        text_at = ref_at + ref_octets
        is_hashed = text_octets > MAX_TEXT_OCTETS
        text = bytes(octets[text_at : text_at + (20 if is_hashed else text_octets)])
        flags = block.flags[at]
        return {
            "number": number,
            "arrival_ns": block.arrival_ns[at],
            "session": session,
            "destination": octets[begin : begin + to_octets].decode("utf-8", "replace"),
            "source": octets[source_at : source_at + from_octets].decode("utf-8", "replace"),
            "ref": octets[ref_at : ref_at + ref_octets].decode("utf-8", "replace"),
            "form": self._words[form],
            "octets": text_octets,
            "text": None if is_hashed else text.decode("utf-8", "replace"),
            "text_sha1": text.hex() if is_hashed else None,
            "http_status": http_status,
            "code": self._words[code],
            "is_taken": code == 0,
            "is_answered": bool(flags & ANSWERED),
            "receipt": _receipt_name(flags),
        }

    def held_rows(self) -> Iterator[dict[str, Any]]:
        """Yield every message held at the start that is still held when its turn comes."""
        for number in self.numbers():
            if number >= self._first:
                yield self.row(number)


class Repeats:
    """Finds what was taken more than once, from rows that are fed in order.

    `by` is `ref` (empty ones left out) or `text` (destination and text together). Raises ValueError.
    """

    def __init__(self, by: str) -> None:
        if by not in {"ref", "text"}:
            raise ValueError(f"by {by!r} is not ref or text")
        self._by = by
        self._first: dict[str, int] = {}
        self.numbers: dict[str, list[int]] = {}

    def feed(self, row: dict[str, Any]) -> None:
        """Look at one message."""
        if not row["is_taken"]:
            return
        key = row["ref"] if self._by == "ref" else f"{row['destination']} {row['text'] or row['text_sha1']}"
        if not key:
            return
        number = row["number"]
        first = self._first.setdefault(key, number)
        if first != number:
            self.numbers.setdefault(key, [first]).append(number)

    @property
    def surplus_count(self) -> int:
        """Count the messages that came although one like them had come."""
        return sum(len(numbers) - 1 for numbers in self.numbers.values())


def _receipt_name(flags: int) -> str:
    if flags & RECEIPT_ACKNOWLEDGED:
        return "acknowledged"
    if flags & RECEIPT_SENT:
        return "sent"
    return "due" if flags & RECEIPT_DUE else "none"
