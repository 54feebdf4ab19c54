"""What WhatsApp calls: verification, signatures, statuses, and every kind of message as Meta documents it."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.whatsapp_callbacks import WhatsAppCallbacks, WhatsAppCalls, WhatsAppNumber
from gateway.domain.lifecycle import State
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.ports.callbacks import CallbackFault, CallbackRequest

NOW = 1_795_521_600_000
NUMBER, OTHER = "106540352242922", "106540352242923"
WAMID = "wamid.HBgMNTI1NTEyMzQ1Njc4FQIAERgSQzQ5RDg="
READER = WhatsAppCallbacks(
    WhatsAppCalls(
        carrier="wa",
        app_secret="app-secret",
        verify_token="verify",
        numbers={NUMBER: WhatsAppNumber("wa"), OTHER: WhatsAppNumber("wa_two", "525512345601")},
    )
)


def signed(body: bytes, secret: bytes = b"app-secret") -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}


def call(document, *, headers=None, reader=READER):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return reader.read(
        CallbackRequest("POST", {}, signed(body) if headers is None else headers, body, received_at=NOW)
    )


def change(number=NUMBER, **value):
    return {
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "+52 55 1234-5600", "phone_number_id": number},
            **value,
        },
    }


def notification(*changes):
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": list(changes)}],
    }


def status(word="delivered", **more):
    return {
        "id": WAMID,
        "status": word,
        "timestamp": "1795521599",
        "recipient_id": "5215512345678",
        "biz_opaque_callback_data": "msg_01kaq3m7x2f0g8h9jkmnpqrstv",
        "pricing": {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"},
        **more,
    }


def receipt_of(word, **more):
    reading = call(notification(change(statuses=[status(word, **more)])))
    assert reading.answer.status == 200
    (receipt,) = reading.items
    assert isinstance(receipt, Receipt)
    return receipt


def written(kind, content, **more):
    message = {
        "from": "5215512345678",
        "id": WAMID,
        "timestamp": "1795521599",
        "type": kind,
        kind: content,
        **more,
    }
    reading = call(
        notification(
            change(contacts=[{"profile": {"name": "Ana"}, "wa_id": "5215512345678"}], messages=[message])
        )
    )
    assert (reading.answer.status, reading.fault) == (200, "")
    (mo,) = reading.items
    assert isinstance(mo, MobileOriginated)
    return mo


# --- whose call it is ---------------------------------------------------------------------------------------


def verify(**query):
    given = {"hub.mode": "subscribe", "hub.verify_token": "verify", "hub.challenge": "1158201444"}
    query = {name.replace("_", ".", 1): value for name, value in query.items()}
    return READER.read(CallbackRequest("GET", given | query, {}, b"", NOW))


def test_the_url_is_verified_by_giving_the_challenge_back_as_plain_text():
    answer = verify().answer
    assert (answer.status, answer.body) == (200, b"1158201444")
    assert answer.content_type.startswith("text/plain")


@pytest.mark.parametrize(
    "query",
    [
        {"hub_verify_token": "verif"},
        {"hub_verify_token": ""},
        {"hub_mode": "unsubscribe"},
        {"hub_challenge": "<script>\n"},
        {"hub_challenge": "9" * 2000},
    ],
)
def test_a_verification_that_does_not_fit_is_forbidden(query):
    answer = verify(**query).answer
    assert (answer.status, answer.body) == (403, b"forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256=00"},
        {"x-hub-signature": "sha1=00"},
        signed(b"another body"),
        signed(json.dumps(notification(change(statuses=[status()]))).encode(), b"other secret"),
    ],
)
def test_a_call_without_the_right_signature_says_nothing(headers):
    reading = call(notification(change(statuses=[status()])), headers=headers)
    assert (reading.answer.status, list(reading.items)) == (401, [])
    assert reading.fault is CallbackFault.SIGNATURE


def test_the_signature_is_over_the_octets_and_not_over_what_they_mean():
    body = b'{"entry" : [ ], "a": "\\u00e1"}'
    assert call(body).answer.status == 200
    assert call(b'{"entry":[],"a":"\xc3\xa1"}', headers=signed(body)).answer.status == 401


def test_a_body_that_is_no_json_comes_again():
    assert call(b"entry=1").answer.status == 400
    assert READER.read(CallbackRequest("PUT", {}, {}, b"", NOW)).answer.status == 405


# --- statuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state", "ours", "intermediate"),
    [
        ("sent", MessageState.ENROUTE, State.SUBMITTED, True),
        ("delivered", MessageState.DELIVERED, State.DELIVERED, False),
        ("read", MessageState.READ, State.DELIVERED, False),
        ("played", MessageState.READ, State.DELIVERED, False),
        ("teleported", MessageState.UNKNOWN, State.SUBMITTED, True),
    ],
)
def test_a_status_is_a_receipt(word, state, ours, intermediate):
    receipt = receipt_of(word)
    assert (receipt.carrier, receipt.carrier_message_id) == ("wa", WAMID)
    assert receipt.second_id == "msg_01kaq3m7x2f0g8h9jkmnpqrstv"
    assert (receipt.message_state, receipt.state, receipt.intermediate) == (state, ours, intermediate)
    assert (receipt.raw_stat, receipt.received_at, receipt.err) == (word, NOW, None)
    assert receipt.done_date == "2026-11-24T11:59:59Z"
    assert json.loads(receipt.raw)["pricing"]["category"] == "utility"
    assert "5512345678" not in receipt.raw


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (131026, MessageState.UNDELIVERABLE),
        (131049, MessageState.UNDELIVERABLE),
        (131000, MessageState.UNDELIVERABLE),
        (131047, MessageState.REJECTED),
        (131042, MessageState.REJECTED),
        (132015, MessageState.REJECTED),
        (131053, MessageState.REJECTED),
        (999_999, MessageState.UNDELIVERABLE),
    ],
)
def test_a_failed_status_says_why(code, state):
    errors = [{"code": code, "title": "x", "message": "x", "error_data": {"details": "why"}}]
    receipt = receipt_of("failed", errors=errors)
    assert (receipt.message_state, receipt.err, receipt.intermediate) == (state, str(code), False)
    assert receipt.state.is_final
    assert "why" in receipt.raw


def test_a_failed_status_without_a_code_is_final_all_the_same():
    for errors in ([], [{"code": "131026"}], ["x"], "x", [{"code": True}]):
        receipt = receipt_of("failed", errors=errors)
        assert (receipt.message_state, receipt.err) == (MessageState.UNDELIVERABLE, None)


def test_a_call_for_another_number_of_ours_is_that_carriers():
    reading = call(
        notification(
            change(statuses=[status("sent")]),
            change(OTHER, statuses=[status("read"), status("sent")], messages=[a_text("hola")]),
        )
    )
    assert [item.carrier for item in reading.items] == ["wa", "wa_two", "wa_two", "wa_two"]
    assert reading.items[-1].recipient == "525512345601"


def a_text(body):
    return {"from": "5215512345678", "id": WAMID, "timestamp": "1", "type": "text", "text": {"body": body}}


def test_statuses_of_a_number_that_is_not_ours_are_taken_only_if_they_name_a_message_of_ours():
    reading = call(
        notification(change("999", statuses=[status(), status(biz_opaque_callback_data="crm-77")]))
    )
    assert len(reading.items) == 1
    assert reading.fault is CallbackFault.UNKNOWN_KIND


# --- messages -----------------------------------------------------------------------------------------------


def test_d6_a_text_comes_from_the_person_by_the_number_that_is_valid_today():
    mo = written("text", {"body": "Sí, confirmo ✅"})
    assert (mo.sender, mo.recipient, mo.channel) == ("525512345678", "525512345600", "whatsapp")
    assert (mo.text, mo.source_id, mo.media) == ("Sí, confirmo ✅", WAMID, None)
    assert (mo.carrier, mo.received_at) == ("wa", NOW)


IMAGE = {"id": "1003383421387256", "mime_type": "image/jpeg", "sha256": "SfIn", "caption": "Mi recibo"}


@pytest.mark.parametrize(
    ("kind", "content", "text", "media"),
    [
        (
            "button",
            {"payload": "PAGADO", "text": "Ya pagué"},
            "Ya pagué",
            {"type": "button", "id": "PAGADO"},
        ),
        (
            "interactive",
            {"type": "button_reply", "button_reply": {"id": "b1", "title": "Sí"}},
            "Sí",
            {"type": "button_reply", "id": "b1"},
        ),
        (
            "interactive",
            {"type": "list_reply", "list_reply": {"id": "r1", "title": "Jueves", "description": "10:00"}},
            "Jueves",
            {"type": "list_reply", "id": "r1", "name": "10:00"},
        ),
        (
            "interactive",
            {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": '{"a":1}'}},
            "Sent",
            {"type": "nfm_reply", "name": "flow", "response": '{"a":1}'},
        ),
        (
            "image",
            IMAGE,
            "Mi recibo",
            {"type": "image", "id": "1003383421387256", "content_type": "image/jpeg", "sha256": "SfIn"},
        ),
        (
            "document",
            {"id": "7", "mime_type": "application/pdf", "filename": "recibo.pdf", "url": "https://x.example"},
            None,
            {
                "type": "document",
                "id": "7",
                "content_type": "application/pdf",
                "name": "recibo.pdf",
                "link": "https://x.example",
            },
        ),
        (
            "audio",
            {"id": "8", "mime_type": "audio/ogg; codecs=opus", "voice": True},
            None,
            {"type": "audio", "id": "8", "content_type": "audio/ogg; codecs=opus"},
        ),
        ("video", {"id": "9"}, None, {"type": "video", "id": "9"}),
        (
            "sticker",
            {"id": "9", "animated": False, "mime_type": "image/webp"},
            None,
            {"type": "sticker", "id": "9", "content_type": "image/webp"},
        ),
        (
            "location",
            {"latitude": 19.43, "longitude": -99.13, "name": "Zócalo", "address": "Centro"},
            "Zócalo, Centro",
            {
                "type": "location",
                "latitude": "19.43",
                "longitude": "-99.13",
                "name": "Zócalo",
                "address": "Centro",
            },
        ),
        (
            "reaction",
            {"message_id": "wamid.x", "emoji": "👍"},
            "👍",
            {"type": "reaction", "id": "wamid.x"},
        ),
        ("reaction", {"message_id": "wamid.x"}, "", {"type": "reaction", "id": "wamid.x"}),
        (
            "system",
            {"body": "Ana changed", "type": "user_changed_number", "wa_id": "5215512345699"},
            "Ana changed",
            {"type": "system", "name": "user_changed_number", "id": "5215512345699"},
        ),
        (
            "contacts",
            [{"name": {"formatted_name": "Luis"}}],
            None,
            {"type": "contacts", "content": '[{"name":{"formatted_name":"Luis"}}]'},
        ),
        ("brand_new", {"a": [1]}, None, {"type": "brand_new", "content": '{"a":[1]}'}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_of_message_is_kept_with_what_came_with_it(kind, content, text, media):
    mo = written(kind, content)
    assert (mo.text, mo.media) == (text, media)


def test_an_unsupported_message_says_what_it_was():
    mo = written("unsupported", {"type": "poll_creation"}, errors=[{"code": 131051, "title": "x"}])
    assert (mo.text, mo.media) == (None, {"type": "unsupported", "name": "poll_creation", "error": "131051"})


def test_a_button_names_the_message_that_it_answers():
    mo = written(
        "button", {"text": "Sí", "payload": "S"}, context={"from": "525512345600", "id": "wamid.ours"}
    )
    assert mo.media["reply_to"] == "wamid.ours"


def test_who_hides_the_number_is_known_by_the_id():
    message = {"from_user_id": "MX.1234", "id": WAMID, "type": "text", "text": {"body": "hola"}}
    (mo,) = call(notification(change(messages=[message]))).items
    assert (mo.sender, mo.text) == ("MX.1234", "hola")


def test_what_is_no_message_is_acknowledged_and_no_fault():
    other = {"field": "message_template_status_update", "value": {"event": "PAUSED"}}
    alert = {"field": "account_alerts", "value": {"alert_severity": "CRITICAL"}}
    reading = call(notification(other, change(statuses=[status()]), alert))
    assert (reading.answer.status, len(reading.items), reading.fault) == (200, 1, "")


def test_a_part_that_is_not_understood_does_not_hide_the_others():
    reading = call(
        notification(
            change(statuses=[{"id": 7}, None, status()], messages=[{"type": "text"}, a_text("hola")]),
            "x",
            {"field": "messages", "value": []},
        )
    )
    assert reading.answer.status == 200
    assert [type(item) for item in reading.items] == [Receipt, MobileOriginated]
    assert reading.fault is CallbackFault.SHAPE


def test_half_a_character_is_replaced():
    body = json.dumps(notification(change(messages=[a_text("hola \ud83d")]))).encode()
    reading = call(body)
    if reading.items:  # the decoder may refuse the body instead, which comes again
        assert reading.items[0].text == "hola \ufffd"
    else:
        assert reading.answer.status == 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["entry", "changes", "field", "value", "statuses", "messages", "id", "status", "type"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_call_raises(document):
    for wrapped in (
        document,
        {"entry": document},
        notification(change(statuses=document, messages=document)),
    ):
        assert call(wrapped).answer.status in (200, 400)


@given(st.sampled_from(["text", "image", "interactive", "button", "location", "reaction", "order"]), JSON)
def test_no_message_raises(kind, content):
    message = {"from": "5215512345678", "type": kind, kind: content, "errors": content, "context": content}
    reading = call(notification(change(messages=[message])))
    assert (reading.answer.status, len(reading.items)) == (200, 1)
    json.dumps([reading.items[0].text, reading.items[0].media]).encode()
