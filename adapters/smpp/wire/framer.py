"""Bytes of a TCP stream in, whole SMPP frames out.

Holds no socket. Three results are kept apart: not enough octets yet (an empty list), a frame whose
body may still be bad (the codec's concern), and a stream whose position is lost (`Framer.lost`).
"""

from struct import Struct
from typing import NamedTuple

HEADER = Struct(">IIII")
HEADER_OCTETS = 16
MAX_PDU_OCTETS = 66_560
"""64 KiB of message_payload and 1 KiB for the rest of its PDU."""
# One a PDU: the constructor of a NamedTuple is a Python function and costs twice as much.
_new = tuple.__new__


class Frame(NamedTuple):
    """One PDU: its header without command_length, and its undecoded body."""

    command_id: int
    command_status: int
    sequence_number: int
    body: bytes


class Framer:
    """Cuts a stream of octets into frames; buffers less than one frame of `max_octets`."""

    __slots__ = ("_buffer", "_max_octets", "_needed_octets", "lost")

    lost: str | None
    """Why the position in the stream is lost; None while it is not. Once set, the session must end."""

    def __init__(self, max_octets: int = MAX_PDU_OCTETS) -> None:
        if max_octets < HEADER_OCTETS:
            raise ValueError(f"max_octets {max_octets} is below the header's {HEADER_OCTETS}")
        self._buffer = bytearray()
        self._max_octets = max_octets
        self._needed_octets = 4
        self.lost = None

    @property
    def buffered_octets(self) -> int:
        """Octets held of a frame that is not complete yet."""
        return len(self._buffer)

    @property
    def buffered(self) -> bytes:
        """A copy of the octets held of a frame that is not complete yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames completed by `data`, in order (SMPP 3.4 §3.2).

        A command_length below 16 or above the maximum is refused as soon as its four octets are
        there: the frames before it are returned, `lost` is set, and later calls return [].
        """
        if self.lost is not None:
            return []
        buffer = self._buffer
        if buffer:
            buffer += data
            # Nothing is copied before a frame is complete, so octet-by-octet feeding stays linear.
            if len(buffer) < self._needed_octets:
                return []
            data = bytes(buffer)
            buffer.clear()
        frames: list[Frame] = []
        max_octets = self._max_octets
        unpack_from = HEADER.unpack_from
        at = 0
        available = len(data)
        while available >= HEADER_OCTETS:
            length, command_id, command_status, sequence_number = unpack_from(data, at)
            if not HEADER_OCTETS <= length <= max_octets:
                self._lose(length)
                return frames
            if length > available:
                break
            end = at + length
            frames.append(
                _new(Frame, (command_id, command_status, sequence_number, data[at + HEADER_OCTETS : end]))
            )
            at = end
            available -= length
        if available:
            self._keep(data[at:])
        return frames

    def _keep(self, rest: bytes) -> None:
        """Hold `rest`, the beginning of a frame, unless its command_length can already be refused."""
        if len(rest) < 4:
            self._needed_octets = 4
        else:
            length = int.from_bytes(rest[:4], "big")
            if not HEADER_OCTETS <= length <= self._max_octets:
                self._lose(length)
                return
            self._needed_octets = length
        self._buffer += rest

    def _lose(self, length: int) -> None:
        self.lost = f"command_length {length} is not in {HEADER_OCTETS}..{self._max_octets}"
