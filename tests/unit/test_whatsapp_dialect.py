"""The WhatsApp dialect: requests as Meta documents them, and what its answers mean."""

import hashlib
import json
from dataclasses import replace

import pytest

from adapters.http.dialect import HttpResponse
from adapters.http.whatsapp import WhatsAppDialect, WhatsAppProfile
from adapters.http.whatsapp_errors import PAIR_LIMIT, REACH_LIMIT, RULES, WINDOW_SHUT, error_table
from gateway.domain.ids import format_id
from gateway.domain.message import Channel, ContentKind, OutboundSegment, RichContent
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, Submitted, Throttled, Unsent
from gateway.domain.segmentation import SegmentPayload
from gateway.domain.templates import ApprovedTemplate, ButtonKind, TemplateCategory, Templates
from tests.support.records import NOON, a_message
from throttling.reach import ReachLimiter
from throttling.windows import WINDOW_MS, ServiceWindows

ROOT = "https://graph.example/v24.0/106540352242922"
PROFILE = WhatsAppProfile(
    carrier="wa",
    messages_url=f"{ROOT}/messages",
    media_url=f"{ROOT}/media",
    access_token="EAAG-secret",
    templates=Templates(default_language="es"),
)
IMAGE = RichContent(ContentKind.IMAGE, media_id="med_01kaq3m7x2f0g8h9jkmnpqrstv")


def segment(rich=None, text="", **changes):
    changes = {"channel": Channel.WHATSAPP, "carrier": "wa"} | changes
    message = a_message(text=text, rich=rich, **changes)
    return OutboundSegment(message, 1, 0, SegmentPayload(0, b"", text.encode()), lambda *_: None)


def body_of(dialect, one, *, now_ms=NOON):
    request = dialect.request([one], now_ms=now_ms)
    assert (request.method, request.url) == ("POST", f"{ROOT}/messages")
    assert request.headers["authorization"] == "Bearer EAAG-secret"
    assert request.headers["content-type"] == "application/json"
    body = json.loads(request.body)
    assert body.pop("biz_opaque_callback_data") == format_id("msg", one.message.id)
    assert body.pop("messaging_product") == "whatsapp"
    assert body.pop("recipient_type") == "individual"
    assert body.pop("to") == "+525512345678"
    return body


def template(params=None, **changes):
    return RichContent(
        ContentKind.TEMPLATE, **{"name": "due", "language": "es_MX", "params": params, **changes}
    )


def test_a_text_is_written_as_documented():
    body = body_of(WhatsAppDialect(PROFILE), segment(text="¿Sigue ahí? https://acme.example"))
    assert body == {
        "type": "text",
        "text": {"preview_url": False, "body": "¿Sigue ahí? https://acme.example"},
    }


@pytest.mark.parametrize(
    ("rich", "text", "expected"),
    [
        (
            RichContent(ContentKind.IMAGE, link="https://acme.example/a.jpg"),
            "Oferta",
            {"type": "image", "image": {"link": "https://acme.example/a.jpg", "caption": "Oferta"}},
        ),
        (
            RichContent(ContentKind.DOCUMENT, link="https://acme.example/f.pdf", name="factura.pdf"),
            "",
            {
                "type": "document",
                "document": {"link": "https://acme.example/f.pdf", "filename": "factura.pdf"},
            },
        ),
        (
            RichContent(ContentKind.AUDIO, link="https://acme.example/a.ogg"),
            "",
            {"type": "audio", "audio": {"link": "https://acme.example/a.ogg"}},
        ),
        (
            RichContent(ContentKind.VIDEO, link="https://acme.example/v.mp4"),
            "Mire",
            {"type": "video", "video": {"link": "https://acme.example/v.mp4", "caption": "Mire"}},
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, RichContent) else "",
)
def test_media_by_link_is_written_as_documented(rich, text, expected):
    assert body_of(WhatsAppDialect(PROFILE), segment(rich, text)) == expected


def test_a_template_has_its_parameters_by_place_in_order():
    rich = template({"10": "diez", "2": "dos", "1": "uno", **{str(n): "x" for n in range(3, 10)}})
    body = body_of(WhatsAppDialect(PROFILE), segment(rich))
    (component,) = body["template"]["components"]
    assert body["type"] == "template"
    assert body["template"]["name"] == "due"
    assert body["template"]["language"] == {"code": "es_MX"}
    assert component["type"] == "body"
    assert [one["text"] for one in component["parameters"]] == ["uno", "dos", *["x"] * 7, "diez"]
    assert {"type", "text"} == set(component["parameters"][0])


def test_a_template_has_its_parameters_by_name_header_and_buttons():
    approved = ApprovedTemplate(
        "due",
        "es",
        TemplateCategory.UTILITY,
        params=("name",),
        header=ContentKind.DOCUMENT,
        buttons={0: ButtonKind.URL, 1: ButtonKind.QUICK_REPLY, 2: ButtonKind.COPY_CODE},
    )
    profile = replace(PROFILE, templates=Templates([approved], default_language="es"))
    rich = template(
        {"name": "Ana", "button.0": "a/1", "button.1": "PAID", "button.2": "X9"},
        language="",
        header=ContentKind.DOCUMENT,
        link="https://acme.example/f.pdf",
    )
    dialect = WhatsAppDialect(profile)
    assert dialect.refuses(segment(rich), now_ms=NOON) is None
    body = body_of(dialect, segment(rich))["template"]
    assert body["language"] == {"code": "es"}
    assert body["components"] == [
        {
            "type": "header",
            "parameters": [{"type": "document", "document": {"link": "https://acme.example/f.pdf"}}],
        },
        {"type": "body", "parameters": [{"type": "text", "parameter_name": "name", "text": "Ana"}]},
        {
            "type": "button",
            "sub_type": "url",
            "index": "0",
            "parameters": [{"type": "text", "text": "a/1"}],
        },
        {
            "type": "button",
            "sub_type": "quick_reply",
            "index": "1",
            "parameters": [{"type": "payload", "payload": "PAID"}],
        },
        {
            "type": "button",
            "sub_type": "copy_code",
            "index": "2",
            "parameters": [{"type": "coupon_code", "coupon_code": "X9"}],
        },
    ]


def test_a_template_without_parameters_has_no_components_and_a_text_header_has_its_own():
    assert "components" not in body_of(WhatsAppDialect(PROFILE), segment(template()))["template"]
    (header,) = body_of(WhatsAppDialect(PROFILE), segment(template({"header.1": "Hoy"})))["template"][
        "components"
    ]
    assert header == {"type": "header", "parameters": [{"type": "text", "text": "Hoy"}]}


def test_an_authentication_template_gives_its_button_the_code():
    approved = ApprovedTemplate(
        "due", "es_MX", TemplateCategory.AUTHENTICATION, params=1, buttons={0: ButtonKind.URL}
    )
    profile = replace(PROFILE, templates=Templates([approved]))
    dialect = WhatsAppDialect(profile)
    one = segment(template({"1": "481516"}))
    assert dialect.refuses(one, now_ms=NOON) is None
    button = body_of(dialect, one)["template"]["components"][-1]
    assert button == {
        "type": "button",
        "sub_type": "url",
        "index": "0",
        "parameters": [{"type": "text", "text": "481516"}],
    }


@pytest.mark.parametrize(
    ("rich", "status"),
    [
        (template({"1": "a"}, name="other"), "WA_132001"),
        (template({"1": "a"}, language="es"), "WA_132001"),
        (template({"1": "a", "2": "b"}), "WA_132000"),
        (template(), "WA_132000"),
        (template({"1": "a"}, header=ContentKind.IMAGE, link="https://acme.example/a.jpg"), "WA_132000"),
        (template({"1": "a", "header.1": "x"}), "WA_132000"),
        (template({"1": "a", "button.1": "x"}), "WA_132000"),
    ],
)
def test_a_template_that_was_never_approved_is_refused_here(rich, status):
    approved = ApprovedTemplate("due", "es_MX", TemplateCategory.UTILITY, params=1)
    dialect = WhatsAppDialect(replace(PROFILE, templates=Templates([approved])))
    assert dialect.refuses(segment(rich), now_ms=NOON) == Refused(status, "", Refusal.PERMANENT)
    assert dialect.refuses(segment(template({"1": "a"})), now_ms=NOON) is None


# --- answers ------------------------------------------------------------------------------------------------


def answered(status, tree, *, one=None, dialect=None, **headers):
    dialect = dialect or WhatsAppDialect(PROFILE)
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    response = HttpResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    (outcome,) = dialect.outcomes(response, [one or segment(text="hola")], bind="http1", response_ms=12)
    return outcome


def failed(code, **more):
    return {"error": {"message": f"(#{code}) x", "type": "OAuthException", "code": code, **more}}


TAKEN = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "+525512345678", "wa_id": "5215512345678"}],
    "messages": [{"id": "wamid.HBgN==", "message_status": "accepted"}],
}


def test_a_wamid_is_the_carrier_message_id():
    assert answered(200, TAKEN) == Submitted("wamid.HBgN==", "http1", 0, 12)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.code))
def test_each_code_has_its_reaction_whatever_the_http_status(rule):
    status = f"WA_{rule.code}"
    expected = {
        "throttle": Throttled(status, "http1", None),
        "retry_later": Refused(status, "http1", Refusal.RETRY_LATER, try_other_route=True),
        "failover": Refused(status, "http1", Refusal.FAILOVER, try_other_route=True, alert=True),
        "permanent": Refused(status, "http1", Refusal.PERMANENT),
        "alert": Unsent(status),
    }
    for http_status in (400, 401, 403, 404, 429, 500, 503):
        assert answered(http_status, failed(rule.code)) == expected[rule.reaction]


@pytest.mark.parametrize(
    ("status", "tree", "expected"),
    [
        (403, failed(294), Unsent("WA_294")),
        (400, failed(100, error_subcode=33), Unsent("WA_100")),
        (400, failed(100, error_subcode=2494010), Refused("WA_100", "http1", Refusal.PERMANENT)),
        (429, failed(990001), Throttled("WA_990001", "http1", None)),
        (401, failed(990001), Unsent("WA_990001")),
        (400, failed(990001), Refused("WA_990001", "http1", Refusal.PERMANENT)),
        (500, failed(990001), Refused("WA_990001", "http1", Refusal.RETRY_LATER, try_other_route=True)),
        (503, b"<html>", Refused("HTTP_503", "http1", Refusal.RETRY_LATER, try_other_route=True)),
        (404, b"", Refused("HTTP_404", "http1", Refusal.PERMANENT)),
        (302, b"", Unsent("HTTP_302")),
        (502, b"<html>", Ambiguous("HTTP_502", "http1")),
        (200, b"<html>", Ambiguous("answer_without_id", "http1")),
        (200, {"messages": []}, Ambiguous("answer_without_id", "http1")),
        (200, {"messages": [{"id": 7}]}, Ambiguous("answer_without_id", "http1")),
        (200, failed(131026), Refused("WA_131026", "http1", Refusal.PERMANENT)),
        (400, {"error": "no"}, Refused("HTTP_400", "http1", Refusal.PERMANENT)),
        (400, {"error": {"code": True}}, Refused("HTTP_400", "http1", Refusal.PERMANENT)),
        (400, [1], Refused("HTTP_400", "http1", Refusal.PERMANENT)),
        (400, b"\xff\xfe", Refused("HTTP_400", "http1", Refusal.PERMANENT)),
    ],
)
def test_what_has_no_code_that_is_known_is_judged_by_its_http_status(status, tree, expected):
    assert answered(status, tree) == expected


def test_retry_after_is_kept_within_an_hour():
    assert answered(429, failed(130429), retry_after="3").retry_after_ms == 3_000
    assert answered(429, failed(130429), retry_after="999999").retry_after_ms == 3_600_000
    assert answered(429, failed(130429), retry_after="Wed").retry_after_ms is None


def test_the_table_of_the_docs_has_every_code_once():
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes))
    assert error_table().count("\n") == len(codes) + 2


# --- files --------------------------------------------------------------------------------------------------


def uploaded(dialect, *, carrier_id="1234", now_ms=NOON):
    return dialect.uploaded(
        IMAGE.media_id, HttpResponse(200, {}, json.dumps({"id": carrier_id}).encode()), now_ms=now_ms
    )


def test_a_file_is_uploaded_once_and_named_by_its_id_until_shortly_before_it_expires():
    dialect, one = WhatsAppDialect(PROFILE), segment(IMAGE, "Oferta")
    assert dialect.upload(segment(text="hola"), now_ms=NOON) is None
    assert dialect.upload(one, now_ms=NOON) == IMAGE.media_id
    assert uploaded(dialect) is None
    assert dialect.upload(one, now_ms=NOON) is None
    assert body_of(dialect, one)["image"] == {"id": "1234", "caption": "Oferta"}
    day = 24 * 3_600_000
    assert dialect.upload(one, now_ms=NOON + 29 * day - 1) is None
    assert dialect.upload(one, now_ms=NOON + 29 * day) == IMAGE.media_id


def test_the_form_of_an_upload_is_as_documented():
    octets = b"\xff\xd8\xff\r\n--caudal--\r\n"
    request = WhatsAppDialect(PROFILE).upload_request(
        IMAGE.media_id, content_type="image/jpeg", name='of"er\r\nta.jpg', octets=octets
    )
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert (kind, request.url) == ("multipart/form-data", f"{ROOT}/media")
    assert boundary.encode() not in octets
    parts = request.body.split(b"--" + boundary.encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    heads = [part.split(b"\r\n\r\n", 1) for part in parts[1:-1]]
    assert [(head.strip(), value) for head, value in heads[:2]] == [
        (b'Content-Disposition: form-data; name="messaging_product"', b"whatsapp\r\n"),
        (b'Content-Disposition: form-data; name="type"', b"image/jpeg\r\n"),
    ]
    assert heads[2][0].strip().split(b"\r\n") == [
        b'Content-Disposition: form-data; name="file"; filename="of%22er%0D%0Ata.jpg"',
        b"Content-Type: image/jpeg",
    ]
    assert heads[2][1] == octets + b"\r\n"


def test_a_refused_upload_ends_its_messages_as_the_code_says():
    dialect = WhatsAppDialect(PROFILE)
    refused = dialect.uploaded(
        IMAGE.media_id, HttpResponse(400, {}, json.dumps(failed(131053)).encode()), now_ms=NOON
    )
    assert refused == Refused("WA_131053", "", Refusal.PERMANENT)
    # A file on its way doubles no message, so an answer that says nothing is tried again.
    strange = dialect.uploaded(IMAGE.media_id, HttpResponse(200, {}, b"{}"), now_ms=NOON)
    assert strange == Refused("upload_without_id", "", Refusal.RETRY_LATER, try_other_route=True)
    unclear = dialect.uploaded(IMAGE.media_id, HttpResponse(502, {}, b""), now_ms=NOON)
    assert unclear == Refused("HTTP_502", "", Refusal.RETRY_LATER, try_other_route=True)
    assert dialect.upload(segment(IMAGE), now_ms=NOON) == IMAGE.media_id


def test_a_file_that_served_before_and_is_gone_there_is_uploaded_again():
    dialect, one = WhatsAppDialect(PROFILE), segment(IMAGE)
    uploaded(dialect)
    assert isinstance(answered(200, TAKEN, one=one, dialect=dialect), Submitted)
    assert answered(400, failed(131053), one=one, dialect=dialect).refusal is Refusal.RETRY_LATER
    assert dialect.upload(one, now_ms=NOON) == IMAGE.media_id
    uploaded(dialect, carrier_id="5678")
    # Fresh and refused again: the file itself is what is wrong.
    assert answered(400, failed(131053), one=one, dialect=dialect).refusal is Refusal.PERMANENT


# --- what is refused here -----------------------------------------------------------------------------------


def test_one_person_gets_a_burst_and_then_one_in_each_interval():
    dialect = WhatsAppDialect(replace(PROFILE, pair_burst=2))
    first = segment(text="1")
    assert [dialect.refuses(one, now_ms=NOON) for one in (first, segment(text="2"))] == [None, None]
    assert dialect.refuses(segment(text="3"), now_ms=NOON) == Refused(
        PAIR_LIMIT, "", Refusal.RETRY_LATER, try_other_route=True
    )
    # One that comes again because nothing was sent has its place.
    assert dialect.refuses(first, now_ms=NOON) is None
    assert dialect.refuses(segment(text="4", recipient="525512345679"), now_ms=NOON) is None
    assert dialect.refuses(segment(text="3"), now_ms=NOON + 6_000) is None


def test_a_message_that_whatsapp_refused_stands_in_line_again():
    dialect = WhatsAppDialect(replace(PROFILE, pair_burst=1))
    one = segment(text="1")
    assert dialect.refuses(one, now_ms=NOON) is None
    answered(429, failed(131056), one=one, dialect=dialect)
    assert dialect.refuses(one, now_ms=NOON) == Refused(
        PAIR_LIMIT, "", Refusal.RETRY_LATER, try_other_route=True
    )
    assert dialect.refuses(one, now_ms=NOON + 6_000) is None


def test_only_templates_to_new_people_count_against_the_portfolio():
    dialect = WhatsAppDialect(PROFILE, reach=ReachLimiter(1))
    assert dialect.refuses(segment(text="hola", recipient="525512345670"), now_ms=NOON) is None
    assert dialect.refuses(segment(template(), recipient="525512345671"), now_ms=NOON) is None
    assert dialect.refuses(segment(template(), recipient="525512345671"), now_ms=NOON) is None
    refused = dialect.refuses(segment(template(), recipient="525512345672"), now_ms=NOON)
    assert refused == Refused(REACH_LIMIT, "", Refusal.RETRY_LATER, try_other_route=True)


def test_a_free_text_is_refused_only_where_it_is_known_that_nobody_wrote_in_time():
    windows = ServiceWindows()
    enforced = replace(PROFILE, enforces_window=True, pair_burst=45)
    dialect = WhatsAppDialect(enforced, windows=windows)
    one = segment(text="hola")
    # Nothing is known yet.
    assert dialect.refuses(one, now_ms=NOON) is None
    windows.know(since_ms=NOON - WINDOW_MS - 1, as_of_ms=NOON)
    assert dialect.refuses(one, now_ms=NOON) == Refused(WINDOW_SHUT, "", Refusal.PERMANENT)
    assert dialect.refuses(segment(template()), now_ms=NOON) is None
    # Asked after what is known: it may answer something that came since.
    assert dialect.refuses(segment(text="hola", accepted_at=NOON + 1), now_ms=NOON + 1) is None
    windows.hear("525512345678", at_ms=NOON - WINDOW_MS + 1_000)
    assert dialect.refuses(segment(text="hola"), now_ms=NOON) is None
    trusted = WhatsAppDialect(PROFILE, windows=windows)
    assert trusted.refuses(segment(text="hola", recipient="525512345679"), now_ms=NOON) is None


def test_shown_has_neither_token_nor_number():
    dialect = WhatsAppDialect(PROFILE)
    shown = json.dumps(dialect.shown(dialect.request([segment(text="hola")], now_ms=NOON)))
    assert "EAAG" not in shown
    assert "5512345678" not in shown
    assert "78" in shown
    upload = dialect.upload_request("med_x", content_type="image/png", name="a.png", octets=b"x" * 100)
    assert "octets" in str(dialect.shown(upload)["body"])
    assert "EAAG" not in repr(upload) + repr(PROFILE)
    assert hashlib.sha256(b"EAAG-secret").hexdigest() not in shown
