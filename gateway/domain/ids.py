"""Identifiers: UUIDv7 (RFC 9562) and its text, `msg_` + 26 characters of Crockford base32.

The text of an id sorts like its time, so ids are cursors and name their partition. Time and randomness are
arguments: the caller owns the clock and the source of random bits.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID, SafeUUID

ID_PREFIXES = frozenset({"msg", "bat", "cmp", "evt", "whk", "req", "mo", "hld", "med"})
MAX_TIME_MS = (1 << 48) - 1

_VERSION_7 = 0x7 << 76  # RFC 9562 §4.2
_VARIANT = 0b10 << 62  # RFC 9562 §4.1
_LOW_62 = (1 << 62) - 1
_LOW_80 = (1 << 80) - 1
_MAX_RANDOM = (1 << 74) - 1

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
# int() reads base 32 in the digits 0-9a-v, thirty times faster than a loop over Crockford's digits.
_TO_INT_DIGITS = bytes.maketrans(_ALPHABET.encode(), b"0123456789abcdefghijklmnopqrstuv")
# The first of 26 digits holds 3 bits, hence [0-7].
_MATCHERS = {prefix: re.compile(f"{prefix}_[0-7][{_ALPHABET}]{{25}}").fullmatch for prefix in ID_PREFIXES}
_HEADS = {prefix: f"{prefix}_" for prefix in ID_PREFIXES}

_new_uuid = UUID.__new__
_set = object.__setattr__
_UNKNOWN_SAFETY = SafeUUID.unknown


def _uuid(value: int) -> UUID:
    # UUID(int=...) checks six alternatives first and costs twice as much; the range was checked by the caller.
    made = _new_uuid(UUID)
    _set(made, "int", value)
    _set(made, "is_safe", _UNKNOWN_SAFETY)
    return made


def new_uuid7(now_ms: int, random_74_bits: int) -> UUID:
    """Return the UUIDv7 of a Unix time in milliseconds and 74 random bits (RFC 9562 §5.7); ValueError out of range."""
    if not 0 <= now_ms <= MAX_TIME_MS:
        raise ValueError(f"time {now_ms} ms is outside 0..{MAX_TIME_MS}")
    if not 0 <= random_74_bits <= _MAX_RANDOM:
        raise ValueError(f"random bits {random_74_bits:#x} do not fit 74 bits")
    return _uuid(
        now_ms << 80 | _VERSION_7 | (random_74_bits >> 62) << 64 | _VARIANT | random_74_bits & _LOW_62
    )


def uuid7_time_ms(value: UUID) -> int:
    """Return the Unix time in milliseconds in a UUIDv7 (RFC 9562 §5.7)."""
    return value.int >> 80


def uuid7_floor(time_ms: int) -> UUID:
    """Return the smallest UUIDv7 of a millisecond: a bound for partitions and cursors; ValueError out of range."""
    return new_uuid7(time_ms, 0)


def derived_uuid(subject: UUID, name: str) -> UUID:
    """Return the UUIDv7 that stands for `name` of a subject: the same for the same two, with the subject's time."""
    digest = blake2b(subject.bytes + name.encode(), digest_size=10).digest()
    return new_uuid7(uuid7_time_ms(subject), int.from_bytes(digest, "big") & _MAX_RANDOM)


def derived_text(subject: UUID, name: str) -> str:
    """Return the text of `derived_uuid`, for those that need nothing else: half the price."""
    digest = blake2b(subject.bytes + name.encode(), digest_size=10).digest()
    bits = int.from_bytes(digest, "big") & _MAX_RANDOM
    digits = f"{_VERSION_7 | (bits >> 62) << 64 | _VARIANT | bits & _LOW_62:020x}"
    return f"{str(subject)[:14]}{digits[:4]}-{digits[4:8]}-{digits[8:]}"


def format_id(prefix: str, value: UUID) -> str:
    """Return the text of an id, as `msg_01kaq3m7x2f0...`; ValueError for an unknown prefix."""
    head = _HEADS.get(prefix)
    if head is None:
        raise ValueError(f"id prefix {prefix!r} is not one of {', '.join(sorted(ID_PREFIXES))}")
    number = value.int
    rest = number & _LOW_80
    pairs = _PAIRS
    return (
        f"{head}{_time_digits(number >> 80)}"
        f"{pairs[rest >> 70]}{pairs[rest >> 60 & 1023]}{pairs[rest >> 50 & 1023]}{pairs[rest >> 40 & 1023]}"
        f"{pairs[rest >> 30 & 1023]}{pairs[rest >> 20 & 1023]}{pairs[rest >> 10 & 1023]}{pairs[rest & 1023]}"
    )


@lru_cache(maxsize=4096)
def _time_digits(time_ms: int) -> str:
    """Return the first 10 digits, which hold the 48 bits of time and nothing else: under load many ids share them."""
    pairs = _PAIRS
    return (
        f"{pairs[time_ms >> 40]}{pairs[time_ms >> 30 & 1023]}{pairs[time_ms >> 20 & 1023]}"
        f"{pairs[time_ms >> 10 & 1023]}{pairs[time_ms & 1023]}"
    )


def parse_id(prefix: str, text: str) -> UUID:
    """Return the UUID of an id text; ValueError naming the value unless it is exactly what format_id writes."""
    matcher = _MATCHERS.get(prefix)
    if matcher is None:
        raise ValueError(f"id prefix {prefix!r} is not one of {', '.join(sorted(ID_PREFIXES))}")
    if matcher(text) is None:
        raise ValueError(f"{text[:64]!r} is not an id of the form {prefix}_ and 26 base32 characters")
    return _uuid(int(text[len(prefix) + 1 :].encode().translate(_TO_INT_DIGITS), 32))
