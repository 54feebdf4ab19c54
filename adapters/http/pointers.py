"""Where a value stands in what a carrier wrote: JSON pointers (RFC 6901), and `*` for every element of a list.

Used for the callbacks and the answers of carriers. A name without a slash in front is the field of that name at the
top, which is all that forms have. Pure; whatever the document is, looking raises nothing.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

MAX_STEPS: Final = 16
EVERY: Final = "*"
_MAX_INTEGER_BITS: Final = 256

Pointer = tuple[str, ...]


def parse_pointer(text: str) -> Pointer:
    """Return the steps of a pointer; "" is the whole document. ValueError says what is wrong with it."""
    if not text:
        return ()
    if not text.startswith("/"):
        return (text,)
    steps = text[1:].split("/")
    if len(steps) > MAX_STEPS:
        raise ValueError(f"{text!r} has {len(steps)} steps, the limit is {MAX_STEPS}")
    for step in steps:
        if step.replace("~0", "").replace("~1", "").find("~") >= 0:
            raise ValueError(f"{text!r}: a ~ is written ~0 and a / is written ~1")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def find(document: Any, pointer: Pointer) -> Any:
    """Return what stands there, None when nothing does; of a `*` the first element."""
    for step in pointer:
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list):
            document = _element(document, 0 if step == EVERY else _index(step))
        else:
            return None
    return document


def find_all(document: Any, pointer: Pointer) -> Iterator[Any]:
    """Give everything that stands there, `*` meaning every element of a list; a list at the end gives its elements."""
    if not pointer:
        if isinstance(document, list):
            yield from document
        elif document is not None:
            yield document
        return
    step, rest = pointer[0], pointer[1:]
    if step == EVERY and isinstance(document, list):
        for element in document:
            yield from find_all(element, rest)
    else:
        yield from find_all(find(document, (step,)), rest)


def as_text(value: Any) -> str | None:
    """Return a scalar as text, valid Unicode without white space around it; None for what is no scalar, or empty."""
    if isinstance(value, str):
        text = value.strip()
        if text and not text.isascii():
            # Half of a surrogate pair is no character, and nothing that comes after could hold it.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _MAX_INTEGER_BITS else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)
    return None


def _index(step: str) -> int:
    return int(step) if step.isascii() and step.isdigit() and len(step) <= 6 else -1


def _element(elements: list[Any], index: int) -> Any:
    return elements[index] if 0 <= index < len(elements) else None
