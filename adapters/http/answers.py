"""What a mapped carrier answered: pointers, patterns and rules turned into outcomes. Pure; the reading half of `mapping`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from adapters.http.classify import Rule, Verdict, classify, name_of, outcome_of, retry_after_ms
from adapters.http.dialect import HttpResponse
from adapters.http.pointers import Pointer, as_text, find, parse_pointer
from adapters.http.templates import TemplateError
from gateway.domain.ids import format_id
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Ambiguous, SubmitOutcome, Submitted

MAX_ID_CHARACTERS: Final = 255
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class AnswerMapping:
    """How answers are read; the fields are those of `[carriers.<id>.response]`."""

    id_pointers: tuple[str, ...] = ("/id",)
    id_pattern: str | None = None
    needs_id: bool = True
    code_pointers: tuple[str, ...] = ()
    code_pattern: str | None = None
    ok_codes: frozenset[str] = frozenset({"0"})
    list_pointer: str = ""
    reference_pointer: str | None = None
    rules: tuple[Rule, ...] = ()


class Answers:
    """Reads the answers of one carrier; raises TemplateError for pointers and patterns that cannot be used."""

    def __init__(self, mapping: AnswerMapping, bulk_limit: int) -> None:
        self._ids = _pointers(mapping.id_pointers, "id")
        self._codes = _pointers(mapping.code_pointers, "code")
        self._id_pattern = _group(mapping.id_pattern, "id_pattern")
        self._code_pattern = _group(mapping.code_pattern, "code_pattern")
        self._needs_id = mapping.needs_id and bool(mapping.id_pointers or mapping.id_pattern)
        self._ok_codes = mapping.ok_codes
        self._list = _pointers((mapping.list_pointer,), "list")[0]
        self._reference = (
            None
            if mapping.reference_pointer is None
            else _pointers((mapping.reference_pointer,), "reference")[0]
        )
        self._rules = mapping.rules
        self._looks_at_text = any(rule.matches is not None for rule in mapping.rules)
        self._is_bulk = bulk_limit > 1

    def outcomes(
        self, response: HttpResponse, segments: Sequence[OutboundSegment], bind: str, response_ms: int
    ) -> list[SubmitOutcome]:
        """Return the outcome of each segment."""
        document = _document(response.body)
        items = find(document, self._list) if self._is_bulk and 200 <= response.status < 300 else None
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            found = self._by_reference(items, segments) if self._reference is not None else items
            if len(found) == len(segments):
                return [
                    self._outcome(response, item, number, bind, response_ms)
                    if item is not None
                    else Ambiguous("no_entry_in_answer", bind)
                    for number, item in enumerate(found)
                ]
            return [Ambiguous("entries_do_not_match", bind)] * len(segments)
        one = self._outcome(response, document, 0, bind, response_ms)
        if self._is_bulk and isinstance(one, Submitted):
            # It says yes to all of them without a word on any: an id of it is that of the request.
            one = (
                Ambiguous("no_entry_in_answer", bind)
                if self._needs_id
                else replace(one, carrier_message_id="")
            )
        return [one] * len(segments)

    def _by_reference(
        self, items: list[dict[str, Any]], segments: Sequence[OutboundSegment]
    ) -> list[dict[str, Any] | None]:
        assert self._reference is not None
        by_reference = {as_text(find(item, self._reference)): item for item in items}
        return [by_reference.get(format_id("msg", segment.message.id)) for segment in segments]

    def _outcome(
        self, response: HttpResponse, document: Any, number: int, bind: str, response_ms: int
    ) -> SubmitOutcome:
        status, headers = response.status, response.headers
        text = ""
        if document is _MISSING or self._looks_at_text:
            text = (
                response.body.decode("utf-8", "replace")
                if document is _MISSING or not self._is_bulk
                else json.dumps(document, ensure_ascii=False)
            )
        code = self._first(document, self._codes, self._code_pattern, text)
        wait = headers.get("retry-after", "")
        verdict: Verdict = classify(
            status,
            code=code,
            text=text,
            rules=self._rules,
            ok_codes=self._ok_codes,
            has_retry_after=bool(wait),
        )
        if verdict.answer_class != "ok":
            return outcome_of(
                verdict,
                status_name=name_of(status, code),
                bind=bind,
                retry_after_ms=retry_after_ms(wait, date=headers.get("date", "")) if wait else None,
            )
        carrier_message_id = self._first(document, self._ids, self._id_pattern, text) or ""
        if len(carrier_message_id) > MAX_ID_CHARACTERS:
            return Ambiguous("id_too_long", bind)
        if not carrier_message_id and self._needs_id:
            return Ambiguous("answer_without_id", bind)
        return outcome_of(
            verdict,
            status_name="",
            bind=bind,
            carrier_message_id=carrier_message_id,
            sequence_number=number,
            response_ms=response_ms,
        )

    @staticmethod
    def _first(
        document: Any, pointers: tuple[Pointer, ...], pattern: re.Pattern[str] | None, text: str
    ) -> str | None:
        if document is _MISSING:
            found = pattern.search(text) if pattern is not None else None
            return found[1] if found is not None else None
        for pointer in pointers:
            value = as_text(find(document, pointer))
            if value is not None:
                return value
        return None


def _document(body: bytes) -> Any:
    """Return what the JSON of a body says, `_MISSING` for what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _MISSING


def _pointers(texts: tuple[str, ...], key: str) -> tuple[Pointer, ...]:
    try:
        return tuple([parse_pointer(text) for text in texts])
    except ValueError as error:
        raise TemplateError(str(error), "response", key) from None


def _group(pattern: str | None, key: str) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    compiled = re.compile(pattern)
    if compiled.groups < 1:
        raise TemplateError("needs a group ( ) around what is to be read", "response", key)
    return compiled
