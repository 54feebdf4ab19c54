"""Heads of requests that are recognised by their octets: clients send the same one again and again. Pure.

Used by `gateway.runtime.http_protocol`. What a parser makes of a head depends on its octets alone, so a head that differs
from one that was parsed in nothing but the digits of its Content-Length means the same.
"""

import re
from hmac import compare_digest
from typing import Final

MAX_HEAD_OCTETS: Final = 4_096
_MAX_DIGITS: Final = 8
_END: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)(?=\r\n)", re.IGNORECASE)


class KnownHead:
    """The head of a POST around the digits of its Content-Length."""

    __slots__ = ("_after", "_after_octets", "_before", "_before_octets")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._before_octets = len(before)
        self._after = after
        self._after_octets = len(after)

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body where the data is one whole request with this head, None where it is anything else."""
        start = self._before_octets
        end = data.find(b"\r", start, start + _MAX_DIGITS + 1)
        if end < 0:
            return None
        body_at = end + self._after_octets
        length = data[start:end]
        if not length.isdigit() or int(length) != len(data) - body_at:
            return None
        # A head holds a key. Whoever shares a connection, behind a proxy, must not find it out by the time this takes.
        is_known = compare_digest(data[:start], self._before) and compare_digest(
            data[end:body_at], self._after
        )
        return data[body_at:] if is_known else None


def known_head(request: bytes, *, body_octets: int) -> KnownHead | None:
    """Return the head of a whole request that a parser took for one POST; None where it is not as simple as that."""
    head_octets = len(request) - body_octets
    if head_octets > MAX_HEAD_OCTETS or not request.startswith(b"POST "):
        return None
    head = request[:head_octets]
    lengths = list(_CONTENT_LENGTH.finditer(head))
    if head.find(_END) != head_octets - len(_END) or len(lengths) != 1:
        return None
    start, end = lengths[0].span(1)
    return KnownHead(head[:start], head[end:])
