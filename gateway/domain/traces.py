"""Which trace a message belongs to: the W3C header `traceparent`, and ids of spans that every process can work out.

A span of a message has an id that follows from the message, so whoever continues its trace, in another process and
hours later, needs the trace id alone; and a span that a crash makes twice has the same id both times. Pure.
"""

import re
from hashlib import blake2b
from typing import Final, NamedTuple
from uuid import UUID

from gateway.domain.message import Message, TracedMessage

ENQUEUED: Final = "enqueued"
SUBMITTED: Final = "submitted"
RECEIPTED: Final = "receipted"

_MAX_OCTETS: Final = 256
_FORMAT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED: Final = 1


class TraceParent(NamedTuple):
    """The caller's span. `is_sampled` says that the caller keeps its part of the trace."""

    trace_id: str
    span_id: str
    is_sampled: bool


def parse_traceparent(value: bytes) -> TraceParent | None:
    """Return what the header says; None for anything that is not valid (W3C Trace Context §3.2)."""
    if len(value) > _MAX_OCTETS:
        return None
    found = _FORMAT.fullmatch(value.decode("latin-1").strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    # A version that is not known yet may have more fields; version 00 has none.
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def format_traceparent(trace_id: str, span_id: str) -> str:
    """Return the value of `traceparent` or `traceresponse` for a sampled span."""
    return f"00-{trace_id}-{span_id}-01"


def span_id_of(message_id: UUID, what: str, number: int = 0) -> str:
    """Return the id of one span of a message: `what` happened, and for the how-many-th time where it can repeat."""
    digest = blake2b(message_id.bytes + b"%d%s" % (number, what.encode()), digest_size=8).hexdigest()
    return digest if digest.strip("0") else "1".zfill(16)


def trace_of(message: Message) -> str | None:
    """Return the trace id of a sampled message, None for any other."""
    return message.trace_id if type(message) is TracedMessage else None
