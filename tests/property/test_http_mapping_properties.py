"""Whatever a message says and whatever a carrier answers: requests stay well formed, outcomes are always there."""

import json
import xml.etree.ElementTree as ET
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from adapters.http.answers import AnswerMapping
from adapters.http.dialect import HttpResponse
from adapters.http.mapping import HttpMapping, MappedDialect
from gateway.domain.outcomes import Ambiguous, Refused, Submitted, Throttled, Unsent
from tests.unit.test_http_mapping import NOW_MS, a_segment

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
SAYABLE = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\u2028\u2029\x85"), min_size=1
)
URL = "https://api.telco.example/{client_ref}/send"


def dialect(**fields):
    return MappedDialect(HttpMapping(**{"carrier": "telco", "url": URL, **fields}))


JSON = dialect(body={"t": "{text}", "both": "<{text}|{client_ref}>"}, headers={"X-Ref": "{client_ref}"})
FORM = dialect(body_format="form", body={"t": "{text}", "r": "{client_ref}"}, query={"q": "{text}"})
XML = dialect(body_format="xml", body="<a b='{client_ref}'>{text}</a>")


@given(text=TEXTS, reference=TEXTS)
def test_no_value_gets_out_of_its_place(text: str, reference: str) -> None:
    segments = (a_segment(text=text, client_ref=reference),)
    request = JSON.request(segments, now_ms=NOW_MS)
    assert json.loads(request.body) == {"t": text, "both": f"<{text}|{reference}>"}
    parts = urlsplit(request.url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "api.telco.example", "", "")
    assert parts.path.count("/") == 2
    assert request.headers["X-Ref"].isascii()
    assert request.headers["X-Ref"].isprintable()
    form = FORM.request(segments, now_ms=NOW_MS)
    pairs = parse_qsl(form.body.decode(), keep_blank_values=True, strict_parsing=True)
    assert pairs == [("t", text), ("r", reference)]
    assert parse_qsl(urlsplit(form.url).query, keep_blank_values=True) == [("q", text)]


@given(text=SAYABLE, reference=SAYABLE)
def test_xml_says_the_text(text: str, reference: str) -> None:
    body = XML.request((a_segment(text=text, client_ref=reference),), now_ms=NOW_MS).body
    found = ET.fromstring(body)
    assert (found.text, found.get("b")) == (text, reference)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "code", "messages", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=80) | JSON_VALUES.map(lambda value: json.dumps(value).encode())
ANSWERS = (
    dialect(answer=AnswerMapping(code_pointers=("/code",))),
    dialect(answer=AnswerMapping(id_pattern=r"(\w+)", code_pattern=r"ERR (\d+)")),
    dialect(
        url="https://api.telco.example/",
        body={"messages": [{"t": "{text}"}]},
        bulk_limit=5,
        bulk_list="/messages",
        answer=AnswerMapping(list_pointer="/messages", code_pointers=("/code",), reference_pointer="/x"),
    ),
)


@given(
    status=st.integers(100, 999),
    body=BODIES,
    retry_after=st.none() | st.text(max_size=12),
    which=st.integers(0, 2),
    count=st.integers(1, 5),
)
def test_every_answer_has_an_outcome_for_every_message(status, body, retry_after, which, count) -> None:
    headers = {} if retry_after is None else {"retry-after": retry_after, "date": "x"}
    segments = [a_segment() for _ in range(count if which == 2 else 1)]
    found = ANSWERS[which].outcomes(
        HttpResponse(status, headers, body), segments, bind="http1", response_ms=1
    )
    assert len(found) == len(segments)
    for outcome in found:
        assert isinstance(outcome, Submitted | Throttled | Refused | Ambiguous | Unsent)
        if isinstance(outcome, Submitted):
            assert 200 <= status < 300
            assert 0 < len(outcome.carrier_message_id) <= 255
