"""Calls of HTTP carriers: who may call, what a call says, what it is answered, whatever is in it."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from adapters.http.callbacks import CallbackMap, MappedCallbacks, ReceiptMap, ReplyMap, When, iso_time
from adapters.http.pointers import as_text, find, find_all, parse_pointer
from adapters.http.signatures import BasicCheck, Check, HmacCheck, SourceCheck, TokenCheck
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.ports.callbacks import CallbackAnswer, CallbackFault, CallbackRequest

NOW_MS = 1_795_521_600_000
SECRET = b"s3cret"
M = MessageState
STATES = {"sent": M.ENROUTE, "delivered": M.DELIVERED, "read": M.READ, "failed": M.UNDELIVERABLE}

RECEIPT = ReceiptMap(
    id=("id",),
    state=("status",),
    states=STATES,
    when=When(("event",), values=frozenset({"status"})),
    error=("error", "code"),
    time=("at",),
)
REPLY = ReplyMap(
    sender=("from",),
    recipient=("to",),
    id=("id",),
    text=("text",),
    time=("at",),
    when=When(("event",), values=frozenset({"message"})),
    media={"type": ("media", "type"), "link": ("media", "url")},
)


def a_map(*checks: Check, **changes: Any) -> CallbackMap:
    return replace(CallbackMap("telco_h", checks, receipt=RECEIPT, reply=REPLY), **changes)


def a_call(body: Any = b"", **changes: Any) -> CallbackRequest:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CallbackRequest(
        **{"method": "POST", "query": {}, "headers": {}, "body": octets, "received_at": NOW_MS, **changes}
    )


def read(body: Any, call_map: CallbackMap | None = None, **changes: Any) -> Any:
    return MappedCallbacks(call_map or a_map()).read(a_call(body, **changes))


STATUS = {"event": "status", "id": "A1", "status": "delivered", "at": "2026-11-25T06:00:00-06:00"}
MESSAGE = {
    "event": "message",
    "id": "m1",
    "from": "5215512345678",
    "to": "+56987654321",
    "text": "Sí",
    "at": 5,
}


# -- what a call says ---------------------------------------------------------------------------------


def test_a_receipt_has_id_state_error_and_time() -> None:
    reading = read(STATUS | {"status": "FAILED", "error": {"code": 470}})
    assert reading.answer == CallbackAnswer(200)
    assert reading.fault == ""
    assert reading.items == [
        Receipt(
            "telco_h",
            "callback",
            "A1",
            M.UNDELIVERABLE,
            NOW_MS,
            raw_stat="FAILED",
            err="470",
            done_date="2026-11-25T12:00:00Z",
        )
    ]


def test_a_list_is_many_and_each_is_of_its_kind() -> None:
    reading = read([STATUS, MESSAGE, STATUS | {"id": 7}])
    assert [type(one) for one in reading.items] == [Receipt, MobileOriginated, Receipt]
    reply = reading.items[1]
    assert (reply.sender, reply.recipient, reply.text, reply.source_id) == (
        "5215512345678",
        "+56987654321",
        "Sí",
        "m1",
    )
    assert reading.items[2].carrier_message_id == "7"


def test_ids_go_through_the_function_that_those_of_submits_went_through() -> None:
    reader = MappedCallbacks(a_map(), normalise_id=lambda one: one.lower().lstrip("0"))
    (item,) = reader.read(a_call(STATUS | {"id": "00AB"})).items
    assert item.carrier_message_id == "ab"
    assert reader.read(a_call(STATUS | {"id": "000"})).fault == CallbackFault.SHAPE


def test_items_of_two_kinds_stand_in_two_places() -> None:
    both = a_map(
        receipt=replace(RECEIPT, items=(("entry", "*", "statuses"),), when=None),
        reply=replace(REPLY, items=(("entry", "*", "messages"),), when=None),
    )
    entries = [
        {"statuses": [STATUS]},
        {"messages": [MESSAGE]},
        {"statuses": [STATUS | {"id": "A2"}]},
        5,
        None,
    ]
    reading = read({"entry": entries}, both)
    assert [getattr(one, "carrier_message_id", "") for one in reading.items] == ["A1", "A2", ""]
    assert reading.fault == ""
    assert read({"entry": []}, both).fault == CallbackFault.UNKNOWN_KIND
    assert read({}, both).fault == ""


def test_of_several_places_the_first_that_is_there_counts() -> None:
    either = a_map(receipt=replace(RECEIPT, items=(("events",), ())), reply=None)
    for body, count in ((STATUS, 1), ({"events": [STATUS, STATUS]}, 2), ([STATUS], 1)):
        assert len(read(body, either).items) == count


def test_the_kind_is_told_by_the_url_that_the_carrier_was_given() -> None:
    by_url = a_map(
        receipt=replace(RECEIPT, when=When(query="kind", values=frozenset({"dlr"}))),
        reply=replace(REPLY, when=None),
    )
    assert isinstance(read(STATUS, by_url, query={"kind": "DLR"}).items[0], Receipt)
    assert isinstance(read(MESSAGE, by_url, query={"kind": "mo"}).items[0], MobileOriginated)


def test_forms_and_urls_have_fields_by_name() -> None:
    form = a_map(receipt=replace(RECEIPT, when=None), reply=None, format="form", charset="iso-8859-1")
    reading = read(b"id=A1&status=delivered&at=1795521600", form)
    assert (reading.items[0].carrier_message_id, reading.items[0].done_date) == ("A1", "2026-11-24T12:00:00Z")
    replies = replace(form, receipt=None, reply=replace(REPLY, when=None))
    assert read(b"from=525512345678&to=22222&text=S%ED+ma%F1ana", replies).items[0].text == "Sí mañana"
    query = replace(form, format="query", charset="utf-8")
    fields = {"id": "A1", "status": "read"}
    for method in ("GET", "POST"):
        assert read(b"", query, method=method, query=fields).items[0].message_state is M.READ


def test_a_word_that_the_map_does_not_have_is_kept_as_unknown_and_told_of() -> None:
    reading = read(STATUS | {"status": "teleported"})
    assert (reading.items[0].message_state, reading.items[0].raw_stat) == (M.UNKNOWN, "teleported")
    assert (reading.fault, reading.answer.status) == (CallbackFault.UNKNOWN_STATE, 200)
    meant = a_map(receipt=replace(RECEIPT, states={**STATES, "teleported": M.UNKNOWN}))
    assert read(STATUS | {"status": "Teleported"}, meant).fault == ""


def test_media_comes_with_or_without_a_text() -> None:
    media = {"type": "image/jpeg", "url": "https://media.telco-h.example/1"}
    (one,) = read({**MESSAGE, "media": media, "text": None}).items
    assert (one.text, one.media) == (None, {"type": "image/jpeg", "link": media["url"]})


def test_a_repeat_without_an_id_is_known_by_its_time_and_its_words() -> None:
    nameless = {name: value for name, value in MESSAGE.items() if name != "id"}
    (one,), (again,) = read(nameless).items, read(nameless, received_at=NOW_MS + 86_400_000).items
    assert one.source_id == again.source_id is not None
    assert read(nameless | {"at": 6}).items[0].source_id != one.source_id
    timeless = {name: value for name, value in nameless.items() if name != "at"}
    assert read(timeless).items[0].source_id is None
    long = read(MESSAGE | {"id": "x" * 1_000}).items[0].source_id
    assert long.startswith("~")
    assert len(long) < 64


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z"),
        ("2026-11-25 12:00:00", "2026-11-25T12:00:00"),
        (1_795_521_600, "2026-11-24T12:00:00Z"),
        ("1795521600000", "2026-11-24T12:00:00Z"),
        ("1795521600.5", "2026-11-24T12:00:00Z"),
        ("yesterday", None),
        ("9" * 60, None),
        ({"at": 1}, None),
        (True, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_times_are_read_in_the_ways_that_carriers_write_them(value: Any, shown: str | None) -> None:
    assert iso_time(value) == shown


# -- what cannot be understood ------------------------------------------------------------------------

NESTED = b'{"a":' * 20_000 + b"1" + b"}" * 20_000


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", CallbackFault.MALFORMED),
        (b"status=delivered", CallbackFault.MALFORMED),
        (b'{"event": "status", "id": "A1"', CallbackFault.MALFORMED),
        (b"[" * 100_000, CallbackFault.MALFORMED),
        (NESTED, CallbackFault.MALFORMED),
        (b"\x00\xff\xfe", CallbackFault.MALFORMED),
        (b"5", CallbackFault.UNKNOWN_KIND),
        (b'"delivered"', CallbackFault.UNKNOWN_KIND),
        (b"null", CallbackFault.UNKNOWN_KIND),
        (b'{"event": "ping"}', CallbackFault.UNKNOWN_KIND),
        (b'{"event": "status", "status": "delivered"}', CallbackFault.SHAPE),
        (b'{"event": "status", "id": ["A1"], "status": "delivered"}', CallbackFault.SHAPE),
        (b'{"event": "status", "id": "A1", "status": {"x": 1}}', CallbackFault.SHAPE),
        (b'{"event": "status", "id": "  ", "status": "delivered"}', CallbackFault.SHAPE),
        (b'{"event": "status", "id": "' + b"9" * 300 + b'", "status": "delivered"}', CallbackFault.SHAPE),
        (b'{"event": "status", "id": ' + b"9" * 300 + b', "status": "delivered"}', CallbackFault.SHAPE),
        (b'{"event": "message", "from": "525512345678", "to": "22222"}', CallbackFault.SHAPE),
        (b'{"event": "message", "text": "hola", "to": "22222"}', CallbackFault.SHAPE),
    ],
)
def test_what_is_not_understood_is_refused_so_that_it_comes_again(body: bytes, fault: CallbackFault) -> None:
    reading = read(body)
    assert (reading.answer.status, reading.items, reading.fault) == (400, (), fault)
    accepting = read(body, a_map(refuses_unreadable=False, answer=CallbackAnswer(202, b"ok")))
    assert (accepting.answer, accepting.items, accepting.fault) == (CallbackAnswer(202, b"ok"), (), fault)


def test_a_call_that_is_understood_in_part_is_taken() -> None:
    reading = read([STATUS, {"event": "status"}, 5, STATUS | {"id": "A2"}])
    assert [one.carrier_message_id for one in reading.items] == ["A1", "A2"]
    assert (reading.answer.status, reading.fault) == (200, CallbackFault.SHAPE)


def test_what_is_to_be_forgotten_is_answered_and_no_fault() -> None:
    forgetting = a_map(ignored=(When(("event",), values=frozenset({"ping"})), When(("probe",))))
    for body in ({"event": "PING"}, {"probe": True}, []):
        assert read(body, forgetting) == (reading := read([], forgetting)), body
    assert (reading.answer.status, list(reading.items), reading.fault) == (200, [], "")


def test_more_items_than_allowed_are_none() -> None:
    few = a_map(max_items=3)
    assert len(read([STATUS] * 3, few).items) == 3
    reading = read([STATUS] * 4, few)
    assert (reading.answer.status, reading.items, reading.fault) == (413, (), CallbackFault.TOO_MANY)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_another_method_is_not_allowed(method: str) -> None:
    reading = read(STATUS, method=method)
    assert (reading.answer.status, reading.items, reading.fault) == (405, (), CallbackFault.METHOD)


@pytest.mark.parametrize(
    ("body", "carrier_message_id", "word"),
    [
        (b'{"event":"status","id":"old","id":"A1","status":"delivered"}', "A1", "delivered"),
        (b'\xef\xbb\xbf{"event":"status","id":"A1","status":"delivered"}', "A1", "delivered"),
        (b'{"event":"status","id":"A1","status":"delivered","name":"\\ud83d"}', "A1", "delivered"),
        (b'{"event":"status","id":"A\\ud83d","status":"delivered"}', "A\ufffd", "delivered"),
        (b'{"event":"status","id":"A1","status":"delivered","name":"Jos\xe9"}', "A1", "delivered"),
        (b'{"event":"status","id":1.0,"status":"delivered","x":NaN,"y":1e999}', "1", "delivered"),
        (b'{"event":"status","id":" A1\\u0000 ","status":" DELIVERED "}', "A1\x00", "DELIVERED"),
    ],
)
def test_json_that_is_not_quite_json_is_read(body: bytes, carrier_message_id: str, word: str) -> None:
    (item,) = read(body).items
    assert (item.carrier_message_id, item.raw_stat, item.message_state) == (
        carrier_message_id,
        word,
        M.DELIVERED,
    )


# -- who may call -------------------------------------------------------------------------------------

BODY = json.dumps(STATUS).encode()


def sign(octets: bytes, *, secret: bytes = SECRET, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret, octets, algorithm).digest()


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_signature_over_the_octets_of_the_body_lets_in(algorithm: str, encoding: str) -> None:
    check = HmacCheck(
        "x-signature", (b"old", SECRET), algorithm=algorithm, encoding=encoding, prefix=f"{algorithm}="
    )
    digest = sign(BODY, algorithm=algorithm)
    texts = (
        [digest.hex(), digest.hex().upper()]
        if encoding == "hex"
        else [
            base64.b64encode(digest).decode(),
            base64.urlsafe_b64encode(digest).decode().rstrip("="),
        ]
    )
    for text in texts:
        for header in (f"{algorithm}={text}", f"{algorithm}=00, {algorithm}={text}"):
            assert read(BODY, a_map(check), headers={"x-signature": header}).items, header
        assert read(BODY, a_map(check), headers={"x-signature": text}).answer.status == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha256=",
        "sha256=zz",
        "sha256=" + "00" * 32,
        "sha256=" + sign(BODY, secret=b"other").hex(),
        "sha256=" + sign(BODY + b" ").hex(),
        "sha256=" + sign(BODY).hex()[:-2],
        "sha256=\xff\u2028",
        "sha1=" + sign(BODY).hex(),
        ",".join(["sha256=00"] * 8 + ["sha256=" + sign(BODY).hex()]),
    ],
)
def test_a_wrong_signature_says_nothing_and_gives_nothing(header: str) -> None:
    reading = read(
        BODY, a_map(HmacCheck("x-signature", (SECRET,), prefix="sha256=")), headers={"x-signature": header}
    )
    assert (reading.answer, reading.items) == (CallbackAnswer(401, b"unauthorised"), ())
    assert reading.fault == CallbackFault.SIGNATURE


def test_a_time_that_is_signed_as_well_bounds_how_long_a_call_can_be_replayed() -> None:
    check = HmacCheck(
        "x-sig", (SECRET,), signed="{timestamp}.{body}", timestamp_header="x-time", tolerance_ms=300_000
    )

    def call(at: str, *, signed_at: str | None = None) -> tuple[int, str]:
        digest = sign(f"{signed_at or at}.".encode("latin-1") + BODY).hex()
        reading = read(BODY, a_map(check), headers={"x-sig": digest, "x-time": at})
        return reading.answer.status, reading.fault

    now_s = NOW_MS // 1000
    assert (
        call(str(now_s)) == call(str(NOW_MS)) == call(str(now_s - 300)) == call(str(now_s + 300)) == (200, "")
    )
    assert call(str(now_s - 301)) == call(str(NOW_MS + 300_001)) == (401, "stale")
    assert call("soon") == call("") == call("²") == (401, "stale")
    assert call(str(now_s), signed_at=str(now_s - 9)) == (401, "signature")


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"x-token": "Bearer s3cret"}, {}, 200),
        ({"x-token": "Bearer other"}, {}, 200),
        ({"x-token": "Bearer S3CRET"}, {}, 401),
        ({"x-token": "s3cret"}, {}, 401),
        ({"x-token": "Bearer "}, {}, 401),
        ({"x-token": "Bearer s3cret\xff"}, {}, 401),
        ({}, {"token": "s3cret"}, 401),
    ],
)
def test_a_token_in_a_header(headers: dict[str, str], query: dict[str, str], status: int) -> None:
    check = TokenCheck((SECRET, b"other"), header="x-token", prefix="Bearer ")
    assert read(BODY, a_map(check), headers=headers, query=query).answer.status == status


def test_a_token_in_the_url() -> None:
    in_url = a_map(TokenCheck((SECRET,), query="token"))
    assert read(BODY, in_url, query={"token": "s3cret"}).answer.status == 200
    for query in ({"token": "s3cre"}, {"token": "\udcff"}, {}):
        assert read(BODY, in_url, query=query).answer.status == 401


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic " + base64.b64encode(b"telco:s3cret").decode(), 200),
        ("basic " + base64.b64encode(b"telco:s3cret").decode(), 200),
        ("Basic " + base64.b64encode(b"telco:s3cre").decode(), 401),
        ("Basic " + base64.b64encode(b"telc:os3cret").decode(), 401),
        ("Bearer " + base64.b64encode(b"telco:s3cret").decode(), 401),
        ("Basic ***", 401),
        ("", 401),
    ],
)
def test_a_name_and_a_password(header: str, status: int) -> None:
    basic = a_map(BasicCheck("telco", (SECRET,)))
    assert read(BODY, basic, headers={"authorization": header}).answer.status == status


@pytest.mark.parametrize(
    ("source", "forwarded", "status"),
    [
        ("203.0.113.9", "", 200),
        ("::ffff:203.0.113.9", "", 200),
        ("2001:db8::1", "", 200),
        ("198.51.100.1", "203.0.113.9", 401),
        ("10.0.0.1", "203.0.113.9", 200),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", 200),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", 401),
        ("10.0.0.1", "", 401),
        ("10.0.0.1", "nonsense", 401),
        ("", "", 401),
    ],
)
def test_only_from_the_networks_of_the_carrier(source: str, forwarded: str, status: int) -> None:
    check = SourceCheck(
        (ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")), (ip_network("10.0.0.0/8"),)
    )
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert read(BODY, a_map(check), source=source, headers=headers).answer.status == status
    # Nobody's word is taken for it where there is no proxy of ours.
    direct = a_map(replace(check, proxies=()))
    expected = 200 if status == 200 and not forwarded else 401
    assert read(BODY, direct, source=source, headers=headers).answer.status == expected


def test_every_check_must_hold() -> None:
    both = a_map(TokenCheck((SECRET,), header="x-token"), HmacCheck("x-sig", (SECRET,)))
    right = {"x-token": "s3cret", "x-sig": sign(BODY).hex()}
    assert read(BODY, both, headers=right).items
    for name in right:
        assert read(BODY, both, headers=right | {name: "00"}).answer.status == 401


def test_secrets_are_in_no_repr() -> None:
    checks: list[Check] = [
        HmacCheck("x", (SECRET,)),
        TokenCheck((SECRET,), header="x"),
        BasicCheck("telco", (SECRET,)),
    ]
    shown = repr(checks) + repr(a_map(*checks)) + repr(MappedCallbacks(a_map(*checks)))
    assert "s3cret" not in shown
    assert hashlib.sha256(SECRET).hexdigest() not in shown


# -- pointers -----------------------------------------------------------------------------------------


def test_pointers_are_those_of_rfc_6901_with_a_star() -> None:
    document = {"a/b": {"~": [1, 2, {"c": 3}]}, "": 4, "l": [[1], [2, 3]]}
    assert find(document, parse_pointer("/a~1b/~0/2/c")) == 3
    assert find(document, parse_pointer("/")) == 4
    assert find(document, parse_pointer("a/b")) == {"~": [1, 2, {"c": 3}]}
    for nowhere in ("/a~1b/~0/3", "/a~1b/~0/x", "/a~1b/~0/-1", "/l/0/0/0", "/l/99999999999999999999"):
        assert find(document, parse_pointer(nowhere)) is None
    assert list(find_all(document, parse_pointer("/l/*"))) == [1, 2, 3]
    assert list(find_all(document, parse_pointer("/l/*/*"))) == [1, 2, 3]
    assert list(find_all(document, ())) == [document]
    for wrong in ("/~2", "/~", "/a" * 17):
        with pytest.raises(ValueError, match=r"~ is written|steps"):
            parse_pointer(wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a ", "a"),
        ("", None),
        (5, "5"),
        (5.0, "5"),
        (5.5, "5.5"),
        (True, "true"),
        (float("nan"), None),
        (10**400, None),
        (None, None),
        ([1], None),
        ("\ud83d", "\ufffd"),
    ],
)
def test_scalars_are_texts(value: Any, text: str | None) -> None:
    assert as_text(value) == text
