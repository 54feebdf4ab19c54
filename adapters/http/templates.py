"""Templates of an HTTP carrier's requests: texts with `{placeholders}`, compiled once and filled per message.

A value is never pasted into syntax: it becomes a JSON string, a form or URL part, an XML text or a header value by the
encoder of that place. Pure. Used by `mapping`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from gateway.domain.ids import format_id
from gateway.domain.instants import rfc3339
from gateway.domain.message import OutboundSegment

Value = Callable[[OutboundSegment, int], Any]
"""Gives a value for a segment at an instant (milliseconds since the epoch); None where there is nothing to say."""

Encode = Callable[[str], str]

MAX_DEPTH: Final = 16
_MIN_LONG_NUMBER: Final = 7
_HOLE: Final = re.compile(r"\{\{|\}\}|\{([a-z_]+)(?:\.([A-Za-z0-9_-]{1,64}))?(!s)?\}|[{}]")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0 §2.2
_XML_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_XML_SYNTAX: Final = re.compile("[&<>\"']")
_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class TemplateError(ValueError):
    """A template cannot be used. `path` are the keys that lead to it; the text says what is wrong."""

    def __init__(self, detail: str, *path: str) -> None:
        super().__init__(detail)
        self.path = path


def _validity_s(segment: OutboundSegment, now_ms: int) -> int:
    return max(1, (segment.message.valid_until - now_ms) // 1000)


def _from_plus(segment: OutboundSegment, now_ms: int) -> str:
    del now_ms
    sender = segment.message.sender
    return f"+{sender}" if sender.isdigit() and len(sender) >= _MIN_LONG_NUMBER else sender


def _rich(name: str) -> Value:
    def value(segment: OutboundSegment, now_ms: int) -> Any:
        del now_ms
        rich = segment.message.rich
        return (getattr(rich, name) or None) if rich is not None else None

    return value


PLACEHOLDERS: Final[dict[str, tuple[Value, str]]] = {
    "to": (lambda one, _: one.message.recipient, "recipient, digits of E.164"),
    "to_plus": (lambda one, _: f"+{one.message.recipient}", "recipient with +"),
    "from": (lambda one, _: one.message.sender, "sender as it goes on SMPP"),
    "from_plus": (_from_plus, "sender, a long number with +"),
    "text": (lambda one, _: one.message.text or None, "text of the message"),
    "message_id": (lambda one, _: format_id("msg", one.message.id), "our id, the same in every attempt"),
    "client_ref": (lambda one, _: one.message.client_ref, "reference of the customer"),
    "account": (lambda one, _: one.message.account_id, "account"),
    "class": (lambda one, _: one.message.message_class.value, "otp, transactional, collections, marketing"),
    "channel": (lambda one, _: one.message.channel.value, "channel of the message"),
    "encoding": (lambda one, _: one.message.encoding, "gsm7 or ucs2, as counted"),
    "attempt": (lambda one, _: one.message.attempt, "number of the attempt, a number"),
    "validity_s": (_validity_s, "seconds until the message expires, a number"),
    "validity_min": (lambda one, now: -(-_validity_s(one, now) // 60), "the same in minutes, rounded up"),
    "expires_at": (lambda one, _: rfc3339(one.message.valid_until), "when it expires, RFC 3339 in UTC"),
    "carrier": (lambda one, _: one.message.carrier, "name of this carrier in the configuration"),
    "rich_kind": (_rich("kind"), "template, image, document, audio, video, mail"),
    "rich_name": (_rich("name"), "name of a template or of a file"),
    "language": (_rich("language"), "language of a template"),
    "params": (_rich("params"), "parameters of a template, an object; one of them: {params.NAME}"),
    "link": (_rich("link"), "URL of media"),
    "subject": (_rich("subject"), "subject of a mail"),
    "metadata": (lambda one, _: one.message.metadata, "metadata, an object; one of them: {metadata.NAME}"),
}
"""Every placeholder: how it gets its value, and what it says."""

RICH: Final = frozenset({"rich_kind", "rich_name", "language", "params", "link", "subject"})
_OBJECTS: Final = frozenset({"params", "metadata"})


class Text:
    """One text with placeholders. `names` are those it uses, empty when it says the same for every message."""

    __slots__ = ("_parts", "literal", "names", "value")

    def __init__(self, template: str, *path: str) -> None:
        self._parts: list[str | Value] = []
        names = []
        at = 0
        literal = ""
        for found in _HOLE.finditer(template):
            literal += template[at : found.start()]
            at = found.end()
            if found[0] in ("{{", "}}"):
                literal += found[0][0]
                continue
            if found[1] is None:
                raise TemplateError(
                    f"a {found[0]} at character {found.start() + 1} is no placeholder; "
                    f"write {2 * found[0]} for the brace itself",
                    *path,
                )
            if literal:
                self._parts.append(literal)
                literal = ""
            self._parts.append(_value_of(found, path))
            names.append(found[1])
        literal += template[at:]
        if literal or not self._parts:
            self._parts.append(literal)
        self.names = frozenset(names)
        self.literal = literal if not names else None
        # One placeholder alone keeps its type, unless it says that it wants to be a text.
        alone = self._parts[0] if len(self._parts) == 1 else None
        self.value: Value | None = None if isinstance(alone, str) else alone

    def fill(self, segment: OutboundSegment, now_ms: int, *, encode: Encode | None = None) -> str | None:
        """Return the text for a segment; None for a placeholder alone that has nothing to say."""
        if self.literal is not None:
            return self.literal
        if self.value is not None:
            found = self.value(segment, now_ms)
            if found is None:
                return None
            text = as_words(found)
            return text if encode is None else encode(text)
        filled = []
        for part in self._parts:
            if isinstance(part, str):
                filled.append(part)
                continue
            found = part(segment, now_ms)
            text = "" if found is None else as_words(found)
            filled.append(text if encode is None else encode(text))
        return "".join(filled)


def _value_of(found: re.Match[str], path: tuple[str, ...]) -> Value:
    name, key, as_text = found[1], found[2], bool(found[3])
    if name not in PLACEHOLDERS:
        raise TemplateError(f"no placeholder {{{name}}}; there are {', '.join(sorted(PLACEHOLDERS))}", *path)
    value = PLACEHOLDERS[name][0]
    if key is not None:
        if name not in _OBJECTS:
            raise TemplateError(f"{{{name}}} has no parts: {{{name}.{key}}} says nothing", *path)
        value = _part(value, key)
    return _worded(value) if as_text else value


def _part(value: Value, key: str) -> Value:
    return lambda segment, now_ms: (value(segment, now_ms) or {}).get(key)


def _worded(value: Value) -> Value:
    def worded(segment: OutboundSegment, now_ms: int) -> str | None:
        found = value(segment, now_ms)
        return None if found is None else as_words(found)

    return worded


def as_words(value: Any) -> str:
    """Return a value as text; an object as `name=value` pairs."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={one}" for key, one in value.items())
    return str(value)


class Tree:
    """A JSON value whose texts are templates. `names` are the placeholders in it."""

    def __init__(self, value: Any, *path: str) -> None:
        self.names: frozenset[str] = frozenset()
        self._fill = self._compile(value, path)

    def fill(self, segment: OutboundSegment, now_ms: int) -> Any:
        """Return the value for a segment; a member that is one placeholder with nothing to say is left out."""
        return self._fill(segment, now_ms)

    def _compile(self, value: Any, path: tuple[str, ...]) -> Value:
        if len(path) > MAX_DEPTH:
            raise TemplateError(f"nested deeper than the limit of {MAX_DEPTH}", *path)
        if isinstance(value, str):
            text = Text(value, *path)
            self.names |= text.names
            if text.literal is not None:
                return _constant(text.literal)
            return text.value if text.value is not None else text.fill
        if isinstance(value, Mapping):
            members = [
                (_plain_key(key, path), self._compile(one, (*path, str(key)))) for key, one in value.items()
            ]
            return _object(members)
        if isinstance(value, list | tuple):
            return _list([self._compile(one, (*path, str(index))) for index, one in enumerate(value)])
        if value is None or isinstance(value, bool | int | float):
            return _constant(value)
        raise TemplateError(f"a {type(value).__name__} cannot be written here", *path)


def _plain_key(key: object, path: tuple[str, ...]) -> str:
    if not isinstance(key, str) or "{" in key or "}" in key:
        raise TemplateError(f"{key!r}: names of members have no placeholders", *path)
    return key


def _constant(value: Any) -> Value:
    return lambda _segment, _now_ms: value


def _object(members: list[tuple[str, Value]]) -> Value:
    def fill(segment: OutboundSegment, now_ms: int) -> dict[str, Any]:
        return {key: found for key, value in members if (found := value(segment, now_ms)) is not None}

    return fill


def _list(elements: list[Value]) -> Value:
    def fill(segment: OutboundSegment, now_ms: int) -> list[Any]:
        return [found for value in elements if (found := value(segment, now_ms)) is not None]

    return fill


class Pairs:
    """Names with templates, as in a form, in URL parameters and in headers."""

    def __init__(self, values: Mapping[str, Any], *path: str, encode: Encode | None = None) -> None:
        self._encode = encode
        self._texts = [
            (_plain_key(name, path), Text(_scalar(value, *path, str(name)), *path, str(name)))
            for name, value in values.items()
        ]
        self.names: frozenset[str] = frozenset().union(*(text.names for _, text in self._texts))

    def fill(self, segment: OutboundSegment, now_ms: int) -> Iterator[tuple[str, str]]:
        """Give the pairs for a segment, without those that have nothing to say."""
        for name, text in self._texts:
            value = text.fill(segment, now_ms, encode=self._encode)
            if value is not None:
                yield name, value

    def constants(self) -> dict[str, str]:
        """Return the pairs that are the same for every message."""
        return {name: text.literal for name, text in self._texts if text.literal is not None}


def _scalar(value: Any, *path: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TemplateError("only a text, a number or a truth value can be written here", *path)


def xml_text(text: str) -> str:
    """Return a text as XML has it between tags and in attributes; what XML cannot say becomes a blank."""
    if _NOT_IN_XML.search(text):
        text = _NOT_IN_XML.sub(" ", text)
    return _XML_SYNTAX.sub(lambda found: _XML_ESCAPES[found[0]], text)


def url_part(text: str) -> str:
    """Return a text as one part of a path or query; `.` and `..` alone stay themselves on the way."""
    return quote(text, safe="") if text.strip(".") or len(text) > 2 else text.replace(".", "%2E")


def header_value(text: str) -> str:
    """Return a text with everything percent-encoded that a header cannot hold."""
    return text if text.isascii() and text.isprintable() else quote(text, safe=_PRINTABLE)
