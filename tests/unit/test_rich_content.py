"""What a content says on a channel, and every way that it can be wrong."""

import json

import pytest

from gateway.domain.cutting import WHOLE, SegmentationOptions
from gateway.domain.ids import new_uuid7
from gateway.domain.media import clean_name, is_what_it_says, kind_of
from gateway.domain.message import Channel, ContentKind, Message, RichContent
from gateway.domain.templates import ApprovedTemplate, ButtonKind, TemplateCategory, Templates
from gateway.ingress.multipart import MultipartError, read_form_file
from gateway.intake.prepare import Circumstances, Preparer
from gateway.intake.requests import BodyError, parse_message
from gateway.intake.rich import media_ids
from gateway.policy.routing import RouteTable
from gateway.ports.intake_store import Account
from gateway.ports.media_store import MediaFacts
from tests.support.records import NOON

IMAGE_ID, PDF_ID = "med_01kaq3m7x2f0g8h9jkmnpqrstv", "med_01kaq3m7x2f0g8h9jkmnpqrstw"
MEDIA = {
    IMAGE_ID: MediaFacts(IMAGE_ID, "acme", "image/jpeg", "a.jpg", 3, "00", NOON, NOON + 1),
    PDF_ID: MediaFacts(PDF_ID, "acme", "application/pdf", "factura.pdf", 3, "00", NOON, NOON + 1),
}
APPROVED = Templates(
    [
        ApprovedTemplate("due", "es_MX", TemplateCategory.UTILITY, params=("name", "amount")),
        ApprovedTemplate("due", "es_CO", TemplateCategory.UTILITY, params=2, buttons={0: ButtonKind.URL}),
        ApprovedTemplate(
            "code", "es", TemplateCategory.AUTHENTICATION, params=1, buttons={0: ButtonKind.URL}
        ),
    ],
    default_language="es",
)


def preparer(**options):
    routes = RouteTable(
        (), carriers=("telco_a", "wa"), channels={"telco_a": Channel.SMS, "wa": Channel.WHATSAPP}
    )
    ids = iter(range(1, 1000))
    return Preparer(routes, new_id=lambda now_ms: new_uuid7(now_ms, next(ids)), **options)


WA = {"wa": SegmentationOptions(split=WHOLE)}
PREPARER = preparer(segmentation=WA)


def prepare(content, channel="whatsapp", prepared_by=PREPARER, **more):
    body = {"to": "+525512345678", "from": "525512345600", "channel": channel, "content": content} | more
    return prepared_by.prepare(
        parse_message(json.dumps(body).encode()), Circumstances(Account("acme"), NOON, "req_1", media=MEDIA)
    )


def accepted(content, **more):
    message = prepare(content, **more)
    assert isinstance(message, Message), message
    return message


def refused(content, **more):
    faults = prepare(content, **more)
    assert isinstance(faults, tuple), faults
    return [(fault.code, fault.pointer) for fault in faults]


def test_a_text_on_whatsapp_is_one_message_of_4096_characters_composed():
    message = accepted({"text": "Man\u0303ana " * 585})
    assert (message.channel, message.carrier, message.segment_count) == (Channel.WHATSAPP, "wa", 1)
    assert message.text.startswith("Mañana ")
    assert message.rich is None
    assert accepted({"text": "ñ" * 4096}).segment_count == 1
    assert refused({"text": "ñ" * 4097}) == [("text_too_long", "/content/text")]
    assert refused({"text": " \n"}) == [("empty_text", "/content/text")]
    assert refused({"text": "a\x00"}) == [("invalid_text", "/content/text")]


def test_media_goes_by_link_or_by_a_file_of_the_account():
    message = accepted({"image": {"link": "https://acme.example/a.jpg"}, "text": "Oferta"})
    assert (message.text, message.rich) == (
        "Oferta",
        RichContent(ContentKind.IMAGE, link="https://acme.example/a.jpg"),
    )
    assert accepted({"image": {"media_id": IMAGE_ID}}).rich == RichContent(
        ContentKind.IMAGE, media_id=IMAGE_ID
    )
    document = accepted({"document": {"media_id": PDF_ID}}).rich
    assert document == RichContent(ContentKind.DOCUMENT, name="factura.pdf", media_id=PDF_ID)
    assert accepted({"document": {"media_id": IMAGE_ID, "filename": "foto.jpg"}}).rich.name == "foto.jpg"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"image": {}}, ("missing_field", "/content/image")),
        (
            {"image": {"link": "https://a.example/b", "media_id": IMAGE_ID}},
            ("invalid_content", "/content/image"),
        ),
        ({"image": {"link": "http://a.example/b"}}, ("invalid_link", "/content/image/link")),
        ({"image": {"link": "https://a b/c"}}, ("invalid_link", "/content/image/link")),
        ({"image": {"link": "https://u:p@a.example"}}, ("invalid_link", "/content/image/link")),
        ({"image": {"link": "https://[a"}}, ("invalid_link", "/content/image/link")),
        ({"image": {"link": "https://a.example/" + "x" * 2000}}, ("invalid_link", "/content/image/link")),
        ({"image": {"media_id": PDF_ID}}, ("invalid_media", "/content/image/media_id")),
        ({"video": {"media_id": "med_x"}}, ("unknown_media", "/content/video/media_id")),
        (
            {"document": {"media_id": PDF_ID, "filename": "a\nb"}},
            ("invalid_value", "/content/document/filename"),
        ),
        ({"audio": {"link": "https://a.example/b"}, "text": "x"}, ("invalid_content", "/content/text")),
        (
            {"image": {"link": "https://a.example/b"}, "text": "x" * 1025},
            ("text_too_long", "/content/text"),
        ),
        (
            {"image": {"link": "https://a.example/b"}, "video": {"link": "https://a.example/c"}},
            ("invalid_content", "/content/video"),
        ),
        ({}, ("missing_field", "/content/text")),
        ({"template_id": "tpl_x"}, ("templates_unavailable", "/content/template_id")),
        ({"text": "x", "subject": "y"}, ("not_on_channel", "/content/subject")),
        ({"template": {"name": "Due"}}, ("invalid_template", "/content/template/name")),
        (
            {"template": {"name": "due", "language": "es-MX"}},
            ("invalid_template", "/content/template/language"),
        ),
        (
            {"template": {"name": "due", "params": {"1": "a", "name": "b"}}},
            ("invalid_template", "/content/template/params"),
        ),
        (
            {"template": {"name": "due", "params": {"2": "a"}}},
            ("invalid_template", "/content/template/params"),
        ),
        (
            {"template": {"name": "due", "params": {"A B": "a"}}},
            ("invalid_template", "/content/template/params"),
        ),
        (
            {"template": {"name": "due", "params": {"1": "a\nb"}}},
            ("invalid_template", "/content/template/params/1"),
        ),
        ({"template": {"name": "due", "params": [""]}}, ("invalid_template", "/content/template/params/1")),
        (
            {"template": {"name": "due", "params": ["x" * 1025]}},
            ("invalid_template", "/content/template/params/1"),
        ),
        ({"template": {"name": "due", "header": {}}}, ("invalid_content", "/content/template/header")),
        (
            {"template": {"name": "due", "header": {"image": {"media_id": PDF_ID}}}},
            ("invalid_media", "/content/template/header/image/media_id"),
        ),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused_with_its_field(content, expected):
    assert expected in refused(content)


def test_sms_carries_text_alone_and_says_so():
    faults = prepare({"image": {"link": "https://a.example/b.jpg"}, "text": "x"}, channel="sms")
    assert [(fault.code, fault.pointer) for fault in faults] == [("not_on_channel", "/content/image")]
    assert "channel sms carries text alone" in faults[0].detail
    assert "whatsapp" in faults[0].detail


def test_unknown_fields_of_a_content_are_refused_by_name():
    for content in ({"image": {"url": "x"}}, {"template": {"name": "a", "x": 1}}, {"gif": {}}):
        with pytest.raises(BodyError) as raised:
            prepare(content)
        assert raised.value.faults[0].code == "unknown_field"


def test_a_template_has_its_parameters_as_texts():
    rich = accepted({"template": {"name": "due", "language": "es_MX", "params": ["Ana", 120, 1.5]}}).rich
    assert rich.params == {"1": "Ana", "2": "120", "3": "1.5"}
    assert (rich.kind, rich.name, rich.language) == (ContentKind.TEMPLATE, "due", "es_MX")
    with_header = accepted(
        {
            "template": {
                "name": "due",
                "header": {"image": {"media_id": IMAGE_ID}},
                "params": {"name": "Ana", "button.0": "a/1"},
            }
        }
    ).rich
    assert (with_header.header, with_header.media_id) == (ContentKind.IMAGE, IMAGE_ID)


def test_in_a_batch_each_message_gives_the_template_its_own_parameters():
    message = accepted({"template": {"name": "due"}}, params={"name": "Ana", "amount": 120})
    assert message.rich.params == {"name": "Ana", "amount": "120"}
    assert ("templates_unavailable", "/params") in refused({"text": "x"}, params={"name": "Ana"})
    assert ("invalid_template", "/params/name") in refused(
        {"template": {"name": "due"}}, params={"name": [1]}
    )


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ({"name": "other", "language": "es"}, "name"),
        ({"name": "due", "language": "es"}, "language"),
        ({"name": "due"}, "language"),
        ({"name": "due", "language": "es_MX", "params": {"name": "Ana"}}, "params"),
        ({"name": "due", "language": "es_MX", "params": ["Ana", "1"]}, "params"),
        ({"name": "due", "language": "es_CO", "params": ["Ana", "1"]}, "params"),
        (
            {"name": "code", "params": ["1"], "header": {"image": {"link": "https://a.example/b"}}},
            "header",
        ),
        ({"name": "code", "params": ["1"], "header": {"image": {"media_id": "x"}}}, None),
    ],
    ids=str,
)
def test_with_the_approved_templates_known_a_wrong_one_is_refused_before_it_is_accepted(template, field):
    known = preparer(templates={"wa": APPROVED}, segmentation=WA)
    found = refused({"template": template}, prepared_by=known)
    if field is None:
        assert found == [("unknown_media", "/content/template/header/image/media_id")]
    else:
        assert found == [("invalid_template", f"/content/template/{field}")]


def test_what_is_as_approved_is_accepted():
    known = preparer(templates={"wa": APPROVED}, segmentation=WA)
    for template in (
        {"name": "due", "language": "es_MX", "params": {"amount": "1", "name": "Ana"}},
        {"name": "due", "language": "es_CO", "params": {"1": "Ana", "2": "1", "button.0": "x"}},
        {"name": "code", "params": ["481516"]},
    ):
        accepted({"template": template}, prepared_by=known)


def test_the_files_that_a_content_names_are_found_whatever_else_is_wrong():
    draft = parse_message(
        json.dumps(
            {
                "content": {
                    "image": {"media_id": "a"},
                    "document": {"media_id": "b"},
                    "template": {"name": "x", "header": {"video": {"media_id": "c"}}},
                }
            }
        ).encode()
    )
    assert media_ids(draft.content) == ["a", "b", "c"]
    assert media_ids(None) == []


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "octets", "is_it"),
    [
        ("image/jpeg", b"\xff\xd8\xff\xe0", True),
        ("image/jpeg", b"\x89PNG\r\n\x1a\n", False),
        ("image/png", b"\x89PNG\r\n\x1a\n", True),
        ("video/mp4", b"\x00\x00\x00\x18ftypmp42", True),
        ("video/mp4", b"ftyp", False),
        ("audio/ogg", b"OggS", True),
        ("application/pdf", b"%PDF-1.7", True),
        ("application/pdf", b"<html>", False),
        ("text/plain", "¿Qué?".encode(), True),
        ("text/plain", b"a\x00", False),
        ("text/plain", b"\xff\xfe", False),
        ("text/html", b"<html>", False),
    ],
)
def test_a_file_is_what_it_begins_as(content_type, octets, is_it):
    assert is_what_it_says(content_type, octets) is is_it
    assert (kind_of(content_type) is None) == (content_type == "text/html")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("factura.pdf", "factura.pdf"),
        ("C:\\Users\\ana\\factura.pdf", "factura.pdf"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nb\x00.pdf", "ab.pdf"),
        ('a"b<c>.pdf', "a_b_c_.pdf"),
        ("..", ""),
        ("\u202egpj.exe", "gpj.exe"),
        ("man\u0303ana.jpg", "mañana.jpg"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
        ("x" * 300, "x" * 120),
        ("\ud800.pdf", "\ufffd.pdf"),
    ],
)
def test_a_name_is_cleaned(name, clean):
    assert clean_name(name) == clean


def form(*parts, boundary="XX"):
    body = b"".join(
        b"--" + boundary.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"
        for head, value in parts
    )
    return body + b"--" + boundary.encode() + b"--\r\n", f"multipart/form-data; boundary={boundary}"


FILE = 'Content-Disposition: form-data; name="file"; filename="a b.jpg"\r\nContent-Type: image/jpeg'


def test_the_file_of_a_form_is_found_among_its_fields():
    body, kind = form(('Content-Disposition: form-data; name="x"', b"1"), (FILE, b"\xff\xd8\xff\r\n--X"))
    assert read_form_file(body, kind) == ("a b.jpg", "image/jpeg", b"\xff\xd8\xff\r\n--X")
    assert read_form_file(b"preamble\r\n" + body, 'multipart/form-data; boundary="XX"').name == "a b.jpg"
    encoded = FILE.replace('filename="a b.jpg"', "filename*=UTF-8''a%C3%B1o.jpg")
    assert read_form_file(*form((encoded, b"x"))).name == "año.jpg"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=XX"),
        (b"nothing", "multipart/form-data; boundary=XX"),
        (form((FILE, b"x"))[0][:-8], "multipart/form-data; boundary=XX"),
        form(('Content-Disposition: form-data; name="x"', b"1")),
        form((FILE, b"x"), (FILE, b"y")),
        (b"--XX\r\nno head\r\n--XX--", "multipart/form-data; boundary=XX"),
        form(*[('Content-Disposition: form-data; name="x"', b"1")] * 40),
    ],
)
def test_a_form_without_one_file_is_refused(body, kind):
    with pytest.raises(MultipartError):
        read_form_file(body, kind)
