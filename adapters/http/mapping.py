"""HttpDialect made of data: one carrier's requests as templates, its answers as pointers and rules.

Pure. Built by `gateway.runtime.http_carriers` from the settings, which name every key of it.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

from adapters.http.answers import AnswerMapping, Answers
from adapters.http.dialect import HttpRequest, HttpResponse
from adapters.http.pointers import Pointer, find, parse_pointer
from adapters.http.shown import shown_request
from adapters.http.templates import (
    RICH,
    Pairs,
    TemplateError,
    Text,
    Tree,
    header_value,
    url_part,
    xml_text,
)
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Refusal, Refused, SubmitOutcome

AuthKind = Literal["none", "bearer", "basic", "header", "query"]
BodyFormat = Literal["json", "form", "xml", "none"]

_CONTENT_TYPES: Final[dict[str, str]] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml; charset=utf-8",
}
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NOT_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "te"})


@dataclass(frozen=True, slots=True)
class HttpMapping:
    """One carrier as its interface sheet describes it; the fields are those of `[carriers.<id>]` and its tables."""

    carrier: str
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: AuthKind = "none"
    auth_name: str = ""
    username: str = ""
    secret: str = field(default="", repr=False)
    body_format: BodyFormat = "json"
    content_type: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    bulk_limit: int = 1
    bulk_list: str = ""
    max_characters: int = 1600
    answer: AnswerMapping = field(default_factory=AnswerMapping)


def normalise_id(carrier_message_id: str) -> str:
    """Return an id of a mapped carrier, from an answer or a callback, in the form that both are matched in."""
    return carrier_message_id.strip()


class MappedDialect:
    """An `HttpDialect` from an `HttpMapping`; raises TemplateError for what cannot be sent or read so."""

    def __init__(self, mapping: HttpMapping) -> None:
        self._mapping = mapping
        self._writes = _Requests(mapping)
        self._reads = Answers(mapping.answer, mapping.bulk_limit)
        self._max_characters = mapping.max_characters
        self._has_rich = bool(self._writes.names & RICH)
        self._has_text = "text" in self._writes.names

    @property
    def bulk_limit(self) -> int:
        """Segments that one request may carry, 1 where the carrier takes them singly."""
        return self._mapping.bulk_limit

    def refuses(self, segment: OutboundSegment, *, now_ms: int) -> SubmitOutcome | None:
        """Return the outcome of a segment that these templates cannot say."""
        del now_ms
        message = segment.message
        if message.rich is not None and not self._has_rich:
            return _refusal("no_rich_content")
        if len(message.text) > self._max_characters:
            return _refusal("text_too_long")
        return None

    def upload(self, segment: OutboundSegment, *, now_ms: int) -> str | None:
        """Return None: media of mapped carriers goes by its link."""
        del segment, now_ms
        return None

    def upload_request(self, media_id: str, *, content_type: str, name: str, octets: bytes) -> HttpRequest:
        """Raise RuntimeError: nothing is uploaded to mapped carriers."""
        del content_type, name, octets
        raise RuntimeError(f"{self._mapping.carrier} takes no uploads, not even {media_id}")

    def uploaded(self, media_id: str, response: HttpResponse, *, now_ms: int) -> SubmitOutcome | None:
        """Return None: nothing is uploaded to mapped carriers."""
        del media_id, response, now_ms
        return None

    def request(self, segments: Sequence[OutboundSegment], *, now_ms: int) -> HttpRequest:
        """Return the request that submits the segments, at most `bulk_limit` of them."""
        return self._writes.request(segments, now_ms)

    def outcomes(
        self, response: HttpResponse, segments: Sequence[OutboundSegment], *, bind: str, response_ms: int
    ) -> list[SubmitOutcome]:
        """Return the outcome of each segment, whatever the carrier wrote; never raises."""
        return self._reads.outcomes(response, segments, bind, response_ms)

    def normalise_id(self, carrier_message_id: str) -> str:
        """Return a carrier's id in the form that receipts are matched in."""
        return normalise_id(carrier_message_id)

    def reference(self, segment: OutboundSegment) -> str:
        """Return nothing: receipts of mapped carriers name their own id alone."""
        del segment
        return ""

    def shown(self, request: HttpRequest) -> dict[str, object]:
        """Return a request for people: secrets and all but the last two digits of numbers masked."""
        secret = self._mapping.secret
        names = {self._mapping.auth_name} if self._mapping.auth in ("header", "query") else set()
        return shown_request(request, secrets=[secret] if secret else [], secret_names=names)


def _refusal(status: str) -> Refused:
    # Ours to know, not the carrier's: another carrier may say it.
    return Refused(status, "", Refusal.PERMANENT, try_other_route=True)


class _Requests:
    """The writing half: templates compiled, what is the same for every message made once."""

    def __init__(self, mapping: HttpMapping) -> None:
        self._method = mapping.method
        self._format = mapping.body_format
        self._is_bulk = mapping.bulk_limit > 1
        self._url = Text(mapping.url, "url")
        split = urlsplit(mapping.url)
        if "{" in split.scheme + split.netloc:
            raise TemplateError("scheme and host have no placeholders", "url")
        self._joint = "&" if split.query else "?"
        self._query = Pairs(mapping.query, "request", "query")
        self._query_secret = (
            urlencode([(mapping.auth_name, mapping.secret)]) if mapping.auth == "query" else ""
        )
        self._headers = Pairs(mapping.headers, "headers", encode=header_value)
        self._fixed_headers = self._headers.constants() | _auth_headers(mapping)
        if mapping.body_format != "none":
            given = {name.lower() for name in mapping.headers}
            if "content-type" in given:
                raise TemplateError("write it as request.content_type", "headers", "Content-Type")
            self._fixed_headers["Content-Type"] = mapping.content_type or _CONTENT_TYPES[mapping.body_format]
        for name in mapping.headers:
            if name.lower() in _NOT_OURS:
                raise TemplateError(f"the header {name} is made by the connection", "headers", name)
        self._xml: Text | None = None
        self._form: Pairs | None = None
        self._tree: Tree | None = None
        self._item: Tree | None = None
        self._list: Pointer = ()
        names = self._compile_body(mapping)
        self.names = names | self._url.names | self._query.names | self._headers.names

    def _compile_body(self, mapping: HttpMapping) -> frozenset[str]:
        body, path = mapping.body, ("request", "body")
        if mapping.body_format in ("none", "form", "xml") and self._is_bulk:
            raise TemplateError(
                "several messages in one request need format json", "request", "bulk", "limit"
            )
        if mapping.body_format == "none":
            return frozenset()
        if mapping.method == "GET":
            raise TemplateError("a GET has no body: use format none and query", "request", "format")
        if mapping.body_format == "xml":
            if not isinstance(body, str):
                raise TemplateError("format xml needs a text", *path)
            self._xml = Text(body, *path)
            return self._xml.names
        if mapping.body_format == "form":
            if not isinstance(body, Mapping):
                raise TemplateError("format form needs a table", *path)
            self._form = Pairs(body, *path)
            return self._form.names
        if isinstance(body, str):
            raise TemplateError("format json needs a table or a list", *path)
        return self._compile_bulk(body, mapping) if self._is_bulk else self._compile_tree(body)

    def _compile_tree(self, body: Any) -> frozenset[str]:
        self._tree = Tree(body, "request", "body")
        return self._tree.names

    def _compile_bulk(self, body: Any, mapping: HttpMapping) -> frozenset[str]:
        self._list = parse_pointer(mapping.bulk_list)
        items = find(body, self._list)
        if not isinstance(items, list) or len(items) != 1:
            raise TemplateError(
                f"{mapping.bulk_list!r} in request.body is no list with one entry, the template of every message",
                *("request", "bulk", "list"),
            )
        self._item = Tree(items[0], "request", "body")
        self._tree = Tree(_without(body, self._list), "request", "body")
        around = self._tree.names | self._url.names | self._query.names | self._headers.names
        if around:
            raise TemplateError(
                f"{{{min(around)}}} stands outside the list, where there is more than one message",
                *("request", "bulk", "list"),
            )
        return self._item.names

    def request(self, segments: Sequence[OutboundSegment], now_ms: int) -> HttpRequest:
        """Return the request for these segments."""
        first = segments[0]
        url = self._url.fill(first, now_ms, encode=url_part) or ""
        query = urlencode(list(self._query.fill(first, now_ms)), quote_via=quote)
        if self._query_secret:
            query = f"{query}&{self._query_secret}" if query else self._query_secret
        if query:
            url = f"{url}{self._joint}{query}"
        headers = self._fixed_headers
        if self._headers.names:
            headers = {**headers, **dict(self._headers.fill(first, now_ms))}
        return HttpRequest(self._method, url, headers, self._body(segments, now_ms))

    def _body(self, segments: Sequence[OutboundSegment], now_ms: int) -> bytes:
        first = segments[0]
        if self._tree is not None:
            value = self._tree.fill(first, now_ms)
            item = self._item
            if item is not None:
                value = _with(value, self._list, [item.fill(segment, now_ms) for segment in segments])
            return _json(value).encode("utf-8", "replace")
        if self._form is not None:
            return urlencode(list(self._form.fill(first, now_ms)), errors="replace").encode("ascii")
        if self._xml is not None:
            return (self._xml.fill(first, now_ms, encode=xml_text) or "").encode("utf-8", "replace")
        return b""


def _auth_headers(mapping: HttpMapping) -> dict[str, str]:
    match mapping.auth:
        case "bearer":
            return {"Authorization": f"Bearer {mapping.secret}"}  # RFC 6750 §2.1
        case "basic":
            pair = b64encode(f"{mapping.username}:{mapping.secret}".encode()).decode()  # RFC 7617 §2
            return {"Authorization": f"Basic {pair}"}
        case "header":
            return {mapping.auth_name: mapping.secret}
        case _:
            return {}


def _without(body: Any, pointer: Pointer) -> Any:
    """Return the body with an empty list where the messages go."""
    return _with(body, pointer, [])


def _with(body: Any, pointer: Pointer, value: Any) -> Any:
    """Return the body with `value` in place of what the pointer leads to; what is around is copied."""
    if not pointer:
        return value
    step, rest = pointer[0], pointer[1:]
    if isinstance(body, list):
        index = int(step)
        return [*body[:index], _with(body[index], rest, value), *body[index + 1 :]]
    return {**body, step: _with(body.get(step), rest, value)}
