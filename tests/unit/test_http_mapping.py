"""An HTTP carrier made of data: what its requests say, what its answers mean, and what is no template."""

import json
import re
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from adapters.http.answers import AnswerMapping
from adapters.http.classify import Rule, Verdict, classify, name_of, retry_after_ms
from adapters.http.dialect import HttpRequest, HttpResponse
from adapters.http.mapping import HttpMapping, MappedDialect
from adapters.http.shown import shown_request
from adapters.http.templates import PLACEHOLDERS, TemplateError, Text, Tree, header_value, url_part, xml_text
from gateway.domain.ids import format_id
from gateway.domain.message import ContentKind, Message, MessageClass, OutboundSegment, RichContent
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, Submitted, Throttled, Unsent
from gateway.domain.segmentation import SegmentPayload

NOW_MS = 1_795_000_000_000
ID = UUID("01930000-0000-7000-8000-000000000001")
URL = "https://api.telco.example/v1/messages"


def a_segment(**fields):
    message = Message(
        **{
            "id": ID,
            "account_id": "acme",
            "message_class": MessageClass.OTP,
            "recipient": "525512345678",
            "sender": "525511112222",
            "text": 'Su "código" es 1\n',
            "encoding": "gsm7",
            "segment_count": 1,
            "accepted_at": NOW_MS,
            "valid_until": NOW_MS + 90_500,
            "carrier": "telco",
            **fields,
        }
    )
    return OutboundSegment(message, 1, 0, SegmentPayload(0, b"", b""), lambda segment, outcome: None)


def a_request(*segments, **fields):
    dialect = MappedDialect(HttpMapping(**{"carrier": "telco", "url": URL, **fields}))
    return dialect.request(segments or (a_segment(),), now_ms=NOW_MS)


def said(*segments, **fields):
    return json.loads(a_request(*segments, **fields).body)


def outcomes(status, body, *, count=1, headers=None, bulk_limit=1, **answer):
    options = {"body": {"messages": [{"to": "{to}"}]}, "bulk_list": "/messages"} if bulk_limit > 1 else {}
    mapping = HttpMapping("telco", URL, bulk_limit=bulk_limit, answer=AnswerMapping(**answer), **options)
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    segments = [a_segment(id=UUID(int=ID.int + number)) for number in range(count)]
    return MappedDialect(mapping).outcomes(
        HttpResponse(status, headers or {}, octets), segments, bind="http1", response_ms=7
    )


def outcome(status, body, **options):
    (found,) = outcomes(status, body, **options)
    return found


# -- requests ---------------------------------------------------------------------------------------


def test_a_json_body_says_what_the_template_says() -> None:
    body = {
        "to": "{to}",
        "from": "{from_plus}",
        "text": "{text}",
        "ttl": "{validity_s}",
        "ttl_text": "{validity_s!s}",
        "label": "{class}/{account}",
        "id": "{message_id}",
        "ref": "{client_ref}",
        "mark": "{{literal}}",
        "flags": {"flash": False, "count": 2, "none": None},
        "list": ["{to_plus}", "{client_ref}", 1],
    }
    assert said(body=body) == {
        "to": "525512345678",
        "from": "+525511112222",
        "text": 'Su "código" es 1\n',
        "ttl": 90,
        "ttl_text": "90",
        "label": "otp/acme",
        "id": format_id("msg", ID),
        "mark": "{literal}",
        "flags": {"flash": False, "count": 2},
        "list": ["+525512345678", 1],
    }


def test_a_placeholder_with_nothing_to_say_is_empty_inside_a_text_and_left_out_alone() -> None:
    assert said(body={"a": "ref:{client_ref}", "b": "{client_ref}"}) == {"a": "ref:"}
    assert said(a_segment(client_ref="x"), body={"a": "ref:{client_ref}", "b": "{client_ref}"}) == {
        "a": "ref:x",
        "b": "x",
    }


def test_rich_content_and_metadata_have_placeholders_of_their_own() -> None:
    rich = RichContent(ContentKind.TEMPLATE, name="hi", language="es", params={"1": "Ana"}, subject="S")
    segment = a_segment(rich=rich, metadata={"order": "77"})
    body = {
        "kind": "{rich_kind}",
        "name": "{rich_name}",
        "params": "{params}",
        "first": "{params.1}",
        "order": "{metadata.order}",
        "none": "{metadata.other}",
        "subject": "{subject}",
    }
    assert said(segment, body=body) == {
        "kind": "template",
        "name": "hi",
        "params": {"1": "Ana"},
        "first": "Ana",
        "order": "77",
        "subject": "S",
    }


def test_rich_content_that_the_templates_cannot_say_goes_elsewhere() -> None:
    rich = RichContent(ContentKind.IMAGE, link="https://media.example/x.png")
    plain = MappedDialect(HttpMapping("telco", URL, body={"text": "{text}"}))
    able = MappedDialect(HttpMapping("telco", URL, body={"text": "{text}", "media": "{link}"}))
    assert plain.refuses(a_segment(rich=rich), now_ms=NOW_MS) == Refused(
        "no_rich_content", "", Refusal.PERMANENT, try_other_route=True
    )
    assert able.refuses(a_segment(rich=rich), now_ms=NOW_MS) is None
    assert plain.refuses(a_segment(), now_ms=NOW_MS) is None


def test_a_form_an_xml_text_and_parameters_are_written_by_their_own_rules() -> None:
    segment = a_segment(text="a&b=<ñ>'\x01")
    form = a_request(segment, body_format="form", body={"text": "{text}", "dlr": 1, "flash": True})
    assert form.body == b"text=a%26b%3D%3C%C3%B1%3E%27%01&dlr=1&flash=true"
    assert form.headers["Content-Type"] == "application/x-www-form-urlencoded"
    xml = a_request(segment, body_format="xml", body="<sms to='{to}'>{text}</sms>")
    assert xml.body.decode() == "<sms to='525512345678'>a&amp;b=&lt;ñ&gt;&apos; </sms>"
    get = a_request(
        segment,
        method="GET",
        body_format="none",
        url=URL + "?v=1",
        query={"text": "{text}", "ref": "{client_ref}", "to": "{to}"},
    )
    assert (get.method, get.body) == ("GET", b"")
    assert parse_qs(urlsplit(get.url).query) == {
        "v": ["1"],
        "text": ["a&b=<ñ>'\x01"],
        "to": ["525512345678"],
    }


@pytest.mark.parametrize("reference", ["../../admin", "a/b?c#d", "..", ".", "%2e", "ñ"])
def test_a_value_in_the_path_stays_one_part_of_it(reference: str) -> None:
    request = a_request(a_segment(client_ref=reference), url="https://telco.example/v1/{client_ref}/send")
    assert re.fullmatch(r"/v1/[^/?#]+/send", urlsplit(request.url).path)
    assert "/../" not in request.url
    assert "/./" not in request.url


def test_a_value_in_a_header_cannot_begin_another() -> None:
    request = a_request(a_segment(client_ref="x\r\nX-Evil: 1 ñ"), headers={"X-Ref": "r={client_ref}"})
    assert request.headers["X-Ref"] == "r=x%0D%0AX-Evil: 1 %C3%B1"


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"auth": "bearer", "secret": "t"}, "Authorization", "Bearer t"),
        ({"auth": "basic", "username": "u", "secret": "p"}, "Authorization", "Basic dTpw"),
        ({"auth": "header", "auth_name": "X-Api-Key", "secret": "k"}, "X-Api-Key", "k"),
    ],
)
def test_the_carrier_knows_us_by_a_header(fields, name, value) -> None:
    assert a_request(**fields).headers[name] == value


def test_a_key_in_the_url_is_encoded_and_never_shown() -> None:
    dialect = MappedDialect(HttpMapping("telco", URL, auth="query", auth_name="apikey", secret="s&e"))
    request = dialect.request((a_segment(),), now_ms=NOW_MS)
    assert request.url == URL + "?apikey=s%26e"
    shown = json.dumps(dialect.shown(request))
    assert "s%26e" not in shown
    assert "525512345678" not in shown


def test_what_is_the_same_for_every_message_is_made_once() -> None:
    dialect = MappedDialect(HttpMapping("telco", URL, auth="bearer", secret="t"))
    first = dialect.request((a_segment(),), now_ms=NOW_MS)
    assert dialect.request((a_segment(text="x"),), now_ms=NOW_MS).headers is first.headers


def test_a_bulk_request_has_an_entry_for_each_message_and_the_rest_once() -> None:
    body = {"sender": "x", "data": {"items": [{"to": "{to}", "text": "{text}"}], "count": 1}}
    segments = [a_segment(text=str(number)) for number in range(3)]
    found = said(*segments, body=body, bulk_limit=10, bulk_list="/data/items")
    assert found == {
        "sender": "x",
        "data": {"items": [{"to": "525512345678", "text": str(number)} for number in range(3)], "count": 1},
    }
    assert said(segments[0], body=[{"text": "{text}"}], bulk_limit=10) == [{"text": "0"}]


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"body": {"a": {"b": "{nobody}"}}}, ("request", "body", "a", "b"), "no placeholder {nobody}"),
        ({"body": {"a": "{to"}}, ("request", "body", "a"), "character 1"),
        ({"body": {"a": "to}"}}, ("request", "body", "a"), "write }}"),
        ({"body": {"a": "{to.x}"}}, ("request", "body", "a"), "no parts"),
        ({"body": {"{to}": "x"}}, ("request", "body"), "names of members"),
        ({"body": "text"}, ("request", "body"), "needs a table"),
        ({"body_format": "form", "body": {"a": {"b": 1}}}, ("request", "body", "a"), "only a text"),
        ({"body_format": "form", "body": "x"}, ("request", "body"), "needs a table"),
        ({"body_format": "xml", "body": {}}, ("request", "body"), "needs a text"),
        ({"method": "GET"}, ("request", "format"), "GET"),
        ({"url": "https://{to}.example/x"}, ("url",), "scheme and host"),
        ({"headers": {"Content-Type": "x"}}, ("headers", "Content-Type"), "request.content_type"),
        ({"headers": {"Host": "x"}}, ("headers", "Host"), "by the connection"),
        ({"headers": {"X": "{nobody}"}}, ("headers", "X"), "nobody"),
        ({"query": {"x": "{nobody}"}}, ("request", "query", "x"), "nobody"),
        ({"bulk_limit": 2, "body": {"a": []}, "bulk_list": "/a"}, ("request", "bulk", "list"), "one entry"),
        (
            {"bulk_limit": 2, "body": {"a": "{to}"}, "bulk_list": "/b"},
            ("request", "bulk", "list"),
            "one entry",
        ),
        (
            {"bulk_limit": 2, "body": {"to": "{to}", "a": [{}]}, "bulk_list": "/a"},
            ("request", "bulk", "list"),
            "{to} stands outside",
        ),
        ({"bulk_limit": 2, "body_format": "form", "body": {}}, ("request", "bulk", "limit"), "format json"),
        ({"answer": AnswerMapping(id_pattern="no group")}, ("response", "id_pattern"), "group"),
        ({"answer": AnswerMapping(id_pointers=("/a~2",))}, ("response", "id"), "~"),
    ],
)
def test_what_cannot_be_sent_or_read_so_names_its_key(fields, path, words) -> None:
    with pytest.raises(TemplateError) as caught:
        MappedDialect(HttpMapping(**{"carrier": "telco", "url": URL, "body": {}, **fields}))
    assert caught.value.path == path
    assert words in str(caught.value)


def test_no_template_is_nested_without_end() -> None:
    deep: object = "x"
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(TemplateError, match="deeper"):
        Tree(deep, "request", "body")


def test_every_placeholder_gives_something_or_nothing() -> None:
    for name, (value, words) in PLACEHOLDERS.items():
        assert words
        for segment in (a_segment(), a_segment(rich=RichContent(ContentKind.MAIL)), a_segment(text="")):
            value(segment, NOW_MS)
            assert Text(f"<{{{name}}}>").fill(segment, NOW_MS) is not None


def test_encoders_keep_what_is_plain() -> None:
    assert (xml_text("plain"), url_part("plain-1_~"), header_value("a b")) == ("plain", "plain-1_~", "a b")
    assert (url_part("."), url_part(".."), url_part("...")) == ("%2E", "%2E%2E", "...")


# -- answers ----------------------------------------------------------------------------------------


def test_the_id_is_the_first_that_is_there() -> None:
    pointers = ("/messages/0/id", "/id")
    assert outcome(200, {"id": 77}, id_pointers=pointers) == Submitted("77", "http1", 0, 7)
    assert outcome(201, {"messages": [{"id": " x "}]}, id_pointers=pointers).carrier_message_id == "x"
    text = b"0: Accepted for delivery: 5f3a\n"
    assert outcome(202, text, id_pattern=r"delivery: (\S+)").carrier_message_id == "5f3a"


@pytest.mark.parametrize(
    "body", [b"<html>ok</html>", b"", b"[]", b"null", {"id": None}, {"id": {}}, {"id": ""}]
)
def test_a_yes_without_an_id_may_be_anybodys(body) -> None:
    assert outcome(200, body) == Ambiguous("answer_without_id", "http1")
    assert outcome(200, body, needs_id=False) == Submitted("", "http1", 0, 7)


def test_an_id_that_nothing_can_hold_is_in_doubt() -> None:
    assert outcome(200, {"id": "x" * 256}) == Ambiguous("id_too_long", "http1")


def test_a_code_in_a_yes_is_a_no_unless_it_is_known() -> None:
    options = {"code_pointers": ("/status",), "ok_codes": frozenset({"0"})}
    assert type(outcome(200, {"status": 0, "id": "1"}, **options)) is Submitted
    assert type(outcome(200, {"id": "1"}, **options)) is Submitted
    assert outcome(200, {"status": "9", "id": "1"}, **options) == Refused(
        "9", "http1", Refusal.FAILOVER, try_other_route=True
    )


def test_rules_look_at_status_code_and_body_the_first_that_fits_wins() -> None:
    rules = (
        Rule(Verdict("ok"), statuses=frozenset({409})),
        Rule(Verdict("throttle"), codes=frozenset({"E1"}), statuses=frozenset({400})),
        Rule(Verdict("permanent", alert=True), matches=re.compile("(?i)blocked")),
        Rule(Verdict("ambiguous"), codes=frozenset({"E2"})),
        Rule(Verdict("login"), codes=frozenset({"E3"})),
    )
    options = {"rules": rules, "code_pointers": ("/code",)}
    assert outcome(409, {"id": "7"}, **options) == Submitted("7", "http1", 0, 7)
    assert outcome(400, {"code": "E1"}, headers={"retry-after": "2"}, **options) == Throttled(
        "E1", "http1", 2000
    )
    assert outcome(422, {"code": "E1"}, **options) == Refused("E1", "http1", Refusal.PERMANENT)
    assert outcome(500, b"Number BLOCKED", **options) == Refused(
        "HTTP_500", "http1", Refusal.PERMANENT, alert=True
    )
    assert outcome(200, {"code": "E2"}, **options) == Ambiguous("e2", "http1")
    assert outcome(200, {"code": "E3"}, **options) == Unsent("unauthorised")


def test_entries_of_a_bulk_answer_are_in_order_or_by_their_reference() -> None:
    options = {"bulk_limit": 5, "list_pointer": "/r", "count": 2}
    body = {"r": [{"id": "a"}, {"id": "b"}]}
    assert [one.carrier_message_id for one in outcomes(200, body, **options)] == ["a", "b"]
    ids = [format_id("msg", UUID(int=ID.int + number)) for number in range(2)]
    turned = {"r": [{"id": "b", "ref": ids[1]}, {"id": "a", "ref": ids[0]}]}
    found = outcomes(200, turned, reference_pointer="/ref", **options)
    assert [one.carrier_message_id for one in found] == ["a", "b"]
    assert outcomes(200, {"r": [{"id": "a"}]}, **options) == [Ambiguous("entries_do_not_match", "http1")] * 2
    assert outcomes(200, {"id": "batch"}, **options) == [Ambiguous("no_entry_in_answer", "http1")] * 2
    loose = outcomes(200, {"id": "batch"}, needs_id=False, **options)
    assert [one.carrier_message_id for one in loose] == ["", ""]
    assert outcomes(429, {}, **options) == [Throttled("HTTP_429", "http1")] * 2


# -- classes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answer_class", "alert"),
    [
        (200, "ok", False),
        (204, "ok", False),
        (302, "failover", True),
        (400, "permanent", False),
        (401, "login", True),
        (402, "failover", True),
        (403, "failover", True),
        (404, "failover", True),
        (408, "retry_later", False),
        (418, "permanent", False),
        (422, "permanent", False),
        (425, "retry_later", False),
        (429, "throttle", False),
        (500, "retry_later", False),
        (502, "ambiguous", False),
        (503, "retry_later", False),
        (504, "ambiguous", False),
        (599, "retry_later", False),
        (700, "retry_later", False),
        (199, "failover", True),
    ],
)
def test_statuses_have_a_meaning_without_any_rule(status, answer_class, alert) -> None:
    verdict = classify(status)
    assert (verdict.answer_class, verdict.alert) == (answer_class, alert)


def test_a_503_that_says_when_is_only_too_much() -> None:
    assert classify(503, has_retry_after=True).answer_class == "throttle"
    assert outcome(503, b"", headers={"retry-after": "3"}) == Throttled("HTTP_503", "http1", 3000)


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        ("0", "", 0),
        ("120", "", 120_000),
        ("1.5", "", 1_500),
        ("999999999999999999", "", 3_600_000),
        ("-1", "", None),
        ("soon", "", None),
        ("", "", None),
        ("Sun, 22 Nov 2026 10:00:30 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 30_000),
        ("Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:30 GMT", 0),
        ("Sun, 22 Nov 2026 10:00:30 GMT", "", None),
        ("٣", "", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_carriers_clock(value, date, expected) -> None:
    assert retry_after_ms(value, date=date) == expected


@pytest.mark.parametrize("code", [None, "", "with blank", "x" * 33, "ñ", "a\nb"])
def test_what_is_no_code_is_called_by_its_status(code) -> None:
    assert name_of(400, code) == "HTTP_400"


def test_what_people_see_has_no_secrets_and_no_numbers() -> None:
    request = HttpRequest(
        "POST",
        "https://telco.example/525512345678?token=abc&to=525512345678&ok=1",
        {"Authorization": "Bearer abc", "X-Api-Key": "abc", "X-To": "525512345678"},
        b'{"to":"+525512345678","pin":"abc"}',
    )
    shown = json.dumps(shown_request(request, secrets=["abc"]))
    assert "525512345678" not in shown
    assert "abc" not in shown
    assert "**********78" in shown
    assert "ok=1" in shown
