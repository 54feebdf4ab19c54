"""What a message is in the JSON of the WhatsApp Cloud API: text, template, media.

Used by `adapters.http.whatsapp`. Pure. The shapes are those of the documentation of `POST /<phone_number_id>/messages`.
"""

from collections.abc import Callable
from typing import Any, Final

from gateway.domain.ids import format_id
from gateway.domain.message import ContentKind, Message, RichContent
from gateway.domain.templates import ButtonKind, TemplateCategory, Templates, sorted_params

MAX_TEXT: Final = 4_096
MAX_CAPTION: Final = 1_024

MEDIA_KINDS: Final = frozenset(
    {ContentKind.IMAGE, ContentKind.DOCUMENT, ContentKind.AUDIO, ContentKind.VIDEO}
)
_WITH_CAPTION: Final = MEDIA_KINDS - {ContentKind.AUDIO}

MediaId = Callable[[str], str | None]
"""Gives the carrier's id of a file of ours."""


def own_reference(message: Message) -> str:
    """Return what statuses repeat of a message (`biz_opaque_callback_data`): our id of it."""
    return format_id("msg", message.id)


def message_body(
    message: Message, *, templates: Templates, preview_links: bool, media_id: MediaId
) -> dict[str, Any]:
    """Return the body that submits a message; media must have been uploaded before."""
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+" + message.recipient,
    }
    rich = message.rich
    if rich is None:
        body["type"] = "text"
        body["text"] = {"preview_url": preview_links, "body": message.text}
    elif rich.kind is ContentKind.TEMPLATE:
        body["type"] = "template"
        body["template"] = _template(rich, templates=templates, media_id=media_id)
    else:
        body["type"] = str(rich.kind)
        body[str(rich.kind)] = _media(rich, message.text, media_id=media_id)
    body["biz_opaque_callback_data"] = own_reference(message)
    return body


def _media(rich: RichContent, caption: str, *, media_id: MediaId) -> dict[str, str]:
    media = _media_place(rich, media_id)
    if caption and rich.kind in _WITH_CAPTION:
        media["caption"] = caption
    if rich.name and rich.kind is ContentKind.DOCUMENT:
        media["filename"] = rich.name
    return media


def _media_place(rich: RichContent, media_id: MediaId) -> dict[str, str]:
    return {"id": media_id(rich.media_id) or ""} if rich.media_id else {"link": rich.link}


def _template(rich: RichContent, *, templates: Templates, media_id: MediaId) -> dict[str, Any]:
    template: dict[str, Any] = {
        "name": rich.name,
        "language": {"code": rich.language or templates.default_language},
    }
    components = _components(rich, templates=templates, media_id=media_id)
    if components:
        template["components"] = components
    return template


def _components(rich: RichContent, *, templates: Templates, media_id: MediaId) -> list[dict[str, Any]]:
    params = sorted_params(rich.params)
    components: list[dict[str, Any]] = []
    if rich.header is not None:
        kind = str(rich.header)
        parameter = {"type": kind, kind: _media_place(rich, media_id)}
        components.append({"type": "header", "parameters": [parameter]})
    elif params.header:
        components.append({"type": "header", "parameters": _texts(params.header)})
    if params.body:
        components.append({"type": "body", "parameters": _texts(params.body)})
    approved = templates.find(rich)
    known = (approved.buttons if approved is not None else None) or {}
    buttons = dict(params.buttons)
    if (
        approved is not None
        and approved.category is TemplateCategory.AUTHENTICATION
        and params.body
        and not buttons
    ):
        # Its one button, to copy the code or to fill it in, wants the code again; Meta makes a URL button of it.
        buttons = {0: params.body[0][1]}
    for place, value in buttons.items():
        components.append(_button(place, known.get(place, ButtonKind.URL), value))
    return components


def _texts(params: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    if all(key.isdigit() for key, _ in params):
        return [{"type": "text", "text": value} for _, value in params]
    return [{"type": "text", "parameter_name": key, "text": value} for key, value in params]


def _button(place: int, kind: ButtonKind, value: str) -> dict[str, Any]:
    match kind:
        case ButtonKind.URL:
            parameter = {"type": "text", "text": value}
        case ButtonKind.QUICK_REPLY:
            parameter = {"type": "payload", "payload": value}
        case ButtonKind.COPY_CODE:
            parameter = {"type": "coupon_code", "coupon_code": value}
    return {"type": "button", "sub_type": str(kind), "index": str(place), "parameters": [parameter]}
