"""`content` of a message: a text, a template, or media with a caption; what of it each channel can carry.

The structs are the API's shapes, decoded by `gateway.intake.requests`. `read_content` says what a content means on a
channel, or all that is wrong with it; `gateway.intake.prepare` calls it for every message. Pure.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from gateway.domain.errors import quoted
from gateway.domain.media import kind_of
from gateway.domain.message import Channel, ContentKind, RichContent
from gateway.domain.templates import BUTTON_PREFIX, HEADER_PREFIX, Templates
from gateway.ports.media_store import MediaFacts

MAX_WHATSAPP_TEXT: Final = 4_096
MAX_CAPTION: Final = 1_024
MAX_SUBJECT: Final = 998  # RFC 5322 §2.1.1
MAX_PARAMS: Final = 100
MAX_PARAM: Final = 1_024
MAX_LINK: Final = 2_000
MAX_FILENAME: Final = 240

_TEMPLATE_NAME: Final = re.compile(r"[a-z0-9_]{1,512}").fullmatch
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2,3})?").fullmatch
_PARAM_KEY: Final = re.compile(r"(header\.)?([1-9]\d?|[a-z][a-z0-9_]{0,63})|button\.\d").fullmatch
# WhatsApp refuses them in parameters (132018).
_UNFIT_PARAM: Final = re.compile(r"[\n\r\t]| {5,}").search

_MEDIA: Final = {
    "image": ContentKind.IMAGE,
    "document": ContentKind.DOCUMENT,
    "audio": ContentKind.AUDIO,
    "video": ContentKind.VIDEO,
}
_HEADER_MEDIA: Final = ("image", "document", "video")
_RICH: Final = ("template", *_MEDIA)
RICH_CHANNELS: Final = (Channel.WHATSAPP, Channel.RCS)
"""Channels that carry more than text."""
_Scalar = str | int | float
_Text = str | None


class Fault(NamedTuple):
    """One thing wrong with one field. `pointer` is RFC 6901, relative to the message, such as `/content/text`."""

    code: str
    detail: str
    pointer: str


class MediaContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Media at a link that the carrier fetches, or a file that was given to `/v1/media`."""

    link: _Text = None
    media_id: _Text = None


class DocumentContent(MediaContent, forbid_unknown_fields=True, gc=False):
    """A document, under a name that the person sees."""

    filename: _Text = None


class HeaderContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Media above a template: one of them."""

    image: MediaContent | None = None
    document: DocumentContent | None = None
    video: MediaContent | None = None


class TemplateContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A template that the channel's platform approved, with what is to stand in it.

    `params` of the body are a list, or named ("1", "2", ... where they have places); `header.1` or `header.name` is that
    of a text above, `button.0` that of the first button.
    """

    name: str
    language: _Text = None
    params: (
        Annotated[dict[str, _Scalar], msgspec.Meta(max_length=MAX_PARAMS)]
        | Annotated[list[_Scalar], msgspec.Meta(max_length=MAX_PARAMS)]
        | None
    ) = None
    header: HeaderContent | None = None


class Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What the message says: a text, a template, or media to which the text is the caption."""

    text: _Text = None
    template_id: _Text = None
    params: dict[str, Any] | None = None
    template: TemplateContent | None = None
    image: MediaContent | None = None
    document: DocumentContent | None = None
    audio: MediaContent | None = None
    video: MediaContent | None = None
    subject: _Text = None

    @property
    def is_plain(self) -> bool:
        """True where there is nothing but a text, as there is for most messages."""
        return (
            self.template is None
            and self.image is None
            and self.document is None
            and self.audio is None
            and self.video is None
            and self.template_id is None
            and self.params is None
            and self.subject is None
        )


class Said(NamedTuple):
    """What a content says on a channel. `text` may be empty where `rich` is there."""

    text: str
    rich: RichContent | None


def media_ids(content: Content | None) -> list[str]:
    """Return the ids of files that a content names, whatever else may be wrong with it."""
    if content is None:
        return []
    header = content.template.header if content.template is not None else None
    places = [content.image, content.document, content.audio, content.video]
    if header is not None:
        places += [header.image, header.document, header.video]
    return [one.media_id for one in places if one is not None and one.media_id]


def read_content(
    content: Content | None,
    *,
    channel: Channel,
    media: Mapping[str, MediaFacts],
    faults: list[Fault],
    params: Mapping[str, Any] | None = None,
    pointer: str = "/content",
) -> Said | None:
    """Return what the content says on the channel, or None, with one fault per thing that is wrong.

    `media` are the account's files among those named; `params` are a message's own for the template that a batch has for
    all. The text of an SMS is judged by its segments, not here.
    """
    if content is None:
        faults.append(Fault("missing_field", f"{_path(pointer)} is missing", pointer))
        return None
    if channel is Channel.SMS and content.text is not None and params is None and content.is_plain:
        return Said(content.text, None)
    before = len(faults)
    if content.template_id is not None or content.params is not None or (params and not content.template):
        where = f"{pointer}/template_id" if not params else "/params"
        detail = f"templates of our own are not available; write {_path(pointer)}.text or .template"
        faults.append(Fault("templates_unavailable", detail, where))
        return None
    given = [name for name in _RICH if getattr(content, name) is not None]
    if content.subject is not None and channel is not Channel.EMAIL:
        detail = f"a message of channel {channel} has no subject"
        faults.append(Fault("not_on_channel", detail, f"{pointer}/subject"))
    if given and channel not in RICH_CHANNELS:
        on = " or ".join(RICH_CHANNELS)
        detail = f"channel {channel} carries text alone; {_path(pointer)}.{given[0]} needs channel {on}"
        faults.append(Fault("not_on_channel", detail, f"{pointer}/{given[0]}"))
        return None
    if len(given) > 1:
        detail = f"a message is one of {', '.join(given)}, not several"
        faults.append(Fault("invalid_content", detail, f"{pointer}/{given[1]}"))
        return None
    if not given and content.text is None:
        faults.append(Fault("missing_field", f"{_path(pointer)}.text is missing", f"{pointer}/text"))
        return None
    rich = _rich(content, given[0], media, params, faults, pointer) if given else _mail(content, channel)
    text = _text(content, channel, given[0] if given else "", faults, pointer)
    return None if len(faults) > before else Said(text, rich)


def check_template(
    rich: RichContent | None, templates: Templates | None, *, faults: list[Fault], pointer: str = "/content"
) -> None:
    """Add a fault where a template is not as the carrier's platform approved it."""
    if rich is None or templates is None or rich.kind is not ContentKind.TEMPLATE:
        return
    mismatch = templates.mismatch(rich)
    if mismatch is not None:
        faults.append(Fault("invalid_template", mismatch.detail, f"{pointer}/template/{mismatch.field}"))


def _mail(content: Content, channel: Channel) -> RichContent | None:
    if channel is not Channel.EMAIL or not content.subject:
        return None
    return RichContent(ContentKind.MAIL, subject=content.subject[:MAX_SUBJECT])


def _text(content: Content, channel: Channel, kind: str, faults: list[Fault], pointer: str) -> str:
    """Return the text, normalised where it is counted in characters; faults name what cannot be sent."""
    text = content.text
    if text is None:
        return ""
    where = f"{pointer}/text"
    if kind in ("template", "audio"):
        detail = f"a message with {kind} has no text of its own"
        faults.append(Fault("invalid_content", detail, where))
        return ""
    if channel is not Channel.WHATSAPP:
        return text
    text = unicodedata.normalize("NFC", text)
    limit = MAX_CAPTION if kind else MAX_WHATSAPP_TEXT
    if len(text) > limit:
        what = f"the caption of {kind}" if kind else "the text"
        detail = f"{what} has {len(text)} characters, the limit is {limit}"
        faults.append(Fault("text_too_long", detail, where))
    if "\x00" in text:
        faults.append(Fault("invalid_text", "the text has a NUL (U+0000), which nobody can show", where))
    if not kind and not text.strip():
        faults.append(Fault("empty_text", "the text is empty", where))
    return text


def _rich(
    content: Content,
    kind: str,
    media: Mapping[str, MediaFacts],
    params: Mapping[str, Any] | None,
    faults: list[Fault],
    pointer: str,
) -> RichContent | None:
    where = f"{pointer}/{kind}"
    if content.template is not None:
        return _template(content.template, media, params, faults, where)
    place: MediaContent = getattr(content, kind)
    link, media_id, name = _place(place, _MEDIA[kind], media, faults, where)
    return RichContent(_MEDIA[kind], name=name, link=link, media_id=media_id)


def _template(
    template: TemplateContent,
    media: Mapping[str, MediaFacts],
    own: Mapping[str, Any] | None,
    faults: list[Fault],
    pointer: str,
) -> RichContent:
    if not _TEMPLATE_NAME(template.name):
        detail = f"{quoted(template.name)} is no template name: 1 to 512 of a-z, 0-9 and _"
        faults.append(Fault("invalid_template", detail, f"{pointer}/name"))
    language = template.language or ""
    if language and not _LANGUAGE(language):
        detail = f"{quoted(language)} is no language code such as es_MX"
        faults.append(Fault("invalid_template", detail, f"{pointer}/language"))
    params = _params(own or template.params, faults, "/params" if own else f"{pointer}/params")
    header, link, media_id = None, "", ""
    if template.header is not None:
        given = [name for name in _HEADER_MEDIA if getattr(template.header, name) is not None]
        if len(given) != 1:
            detail = f"a header is one of {', '.join(_HEADER_MEDIA)}"
            faults.append(Fault("invalid_content", detail, f"{pointer}/header"))
        else:
            header = _MEDIA[given[0]]
            place: MediaContent = getattr(template.header, given[0])
            link, media_id, _ = _place(place, header, media, faults, f"{pointer}/header/{given[0]}")
    return RichContent(
        ContentKind.TEMPLATE,
        name=template.name,
        language=language,
        params=params,
        link=link,
        media_id=media_id,
        header=header,
    )


def _params(
    given: Mapping[str, Any] | Collection[_Scalar] | None, faults: list[Fault], pointer: str
) -> dict[str, str] | None:
    if not given:
        return None
    pairs = given.items() if isinstance(given, Mapping) else enumerate(given, start=1)
    params: dict[str, str] = {}
    for key, value in pairs:
        text = str(value) if isinstance(value, _Scalar) and not isinstance(value, bool) else ""
        params[str(key)] = text
        wrong = _param_fault(str(key), text)
        if wrong:
            at = f"{pointer}/{key}" if _PARAM_KEY(str(key)) else pointer
            faults.append(Fault("invalid_template", wrong, at))
    if len(params) > MAX_PARAMS:
        detail = f"a template has at most {MAX_PARAMS} parameters, these are {len(params)}"
        faults.append(Fault("invalid_template", detail, pointer))
    for what, keys in (
        ("the body", [key for key in params if not key.startswith((HEADER_PREFIX, BUTTON_PREFIX))]),
        ("the header", [key[len(HEADER_PREFIX) :] for key in params if key.startswith(HEADER_PREFIX)]),
    ):
        wrong = _places_fault(what, keys)
        if wrong:
            faults.append(Fault("invalid_template", wrong, pointer))
    return params


def _param_fault(key: str, value: str) -> str:
    if not _PARAM_KEY(key):
        return f"{quoted(key)} is no parameter: a place from 1, a name of a-z, 0-9 and _, or one of header. and button."
    if not value.strip() or len(value) > MAX_PARAM:
        return f"parameter {key} is a text or a number of 1 to {MAX_PARAM} characters, this has {len(value)}"
    if _UNFIT_PARAM(value) or "\x00" in value:
        return f"parameter {key} has a line break, a tab, more than 4 spaces in a row or a NUL"
    return ""


def _places_fault(what: str, keys: Collection[str]) -> str:
    places = [key for key in keys if key.isascii() and key.isdigit()]
    if places and len(places) < len(keys):
        return f"parameters of {what} have places or names, not both"
    if sorted(map(int, places)) != list(range(1, len(places) + 1)):
        return f"parameters of {what} have the places 1 to {len(places)}, not {', '.join(places[:20])}"
    return ""


def _place(
    place: MediaContent,
    kind: ContentKind,
    media: Mapping[str, MediaFacts],
    faults: list[Fault],
    pointer: str,
) -> tuple[str, str, str]:
    """Return (link, media_id, name of the file) of media, with a fault for whatever is wrong with it."""
    link, media_id = place.link or "", place.media_id or ""
    name = place.filename or "" if isinstance(place, DocumentContent) else ""
    if len(name) > MAX_FILENAME or any(unicodedata.category(one)[0] == "C" for one in name):
        detail = f"filename has more than {MAX_FILENAME} characters, or one that cannot be shown"
        faults.append(Fault("invalid_value", detail, f"{pointer}/filename"))
    if bool(link) == bool(media_id):
        detail = f"{_path(pointer)} has either a link or a media_id"
        faults.append(Fault("missing_field" if not link else "invalid_content", detail, pointer))
        return "", "", name
    if link:
        fault = _link_fault(link)
        if fault:
            faults.append(Fault("invalid_link", f"{quoted(link)} {fault}", f"{pointer}/link"))
        return link, "", name
    facts = media.get(media_id)
    if facts is None:
        detail = f"there is no file {quoted(media_id)}, or it has expired"
        faults.append(Fault("unknown_media", detail, f"{pointer}/media_id"))
    elif kind is not ContentKind.DOCUMENT and kind_of(facts.content_type) is not kind:
        detail = (
            f"the file is {facts.content_type}, which is sent as {kind_of(facts.content_type)}, not as {kind}"
        )
        faults.append(Fault("invalid_media", detail, f"{pointer}/media_id"))
    elif kind is ContentKind.DOCUMENT:
        name = name or facts.name
    return "", media_id, name


def _link_fault(link: str) -> str:
    """Return what is wrong with a link, empty when nothing is: the carrier fetches it, we never do."""
    if len(link) > MAX_LINK:
        return f"has {len(link)} characters, the limit is {MAX_LINK}"
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        return "is no URL"
    if parts.scheme != "https" or not host:
        return "is no https URL"
    if not (link.isascii() and link.isprintable()) or " " in link:
        return "has characters that must be written %XX"
    if parts.username is not None:
        return "has a user name or password"
    return ""


def _path(pointer: str) -> str:
    return pointer.strip("/").replace("/", ".")
