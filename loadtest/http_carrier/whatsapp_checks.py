"""What the Cloud API checks in a message before it takes it: fields by type, templates, lengths."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from loadtest.http_carrier.media import MEDIA_KINDS
from loadtest.http_carrier.settings import Template
from loadtest.http_carrier.whatsapp_errors import RefusedError

MAX_TEXT_CHARACTERS: Final = 4_096
MAX_CAPTION_CHARACTERS: Final = 1_024
MAX_OPAQUE_CHARACTERS: Final = 512
FREE_FORM: Final = ("text", *MEDIA_KINDS, "location", "contacts", "interactive", "reaction")


class Outgoing(msgspec.Struct):
    """The body of `POST /v{N}.0/{phone_number_id}/messages`."""

    messaging_product: str = ""
    recipient_type: str = "individual"
    to: str = ""
    type: str = "text"
    status: str = ""
    message_id: str = ""
    biz_opaque_callback_data: str = ""
    text: dict[str, Any] | None = None
    template: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None
    video: dict[str, Any] | None = None
    document: dict[str, Any] | None = None
    sticker: dict[str, Any] | None = None
    location: dict[str, Any] | None = None
    contacts: list[Any] | None = None
    interactive: dict[str, Any] | None = None
    reaction: dict[str, Any] | None = None


class Templates:
    """The approved templates; a name is approved in each language on its own."""

    def __init__(self, templates: tuple[Template, ...]) -> None:
        self._counts = {(one.name, one.language): one.parameter_count for one in templates}

    def text(self, given: Mapping[str, Any]) -> str:
        """Return what a template message says, for the record. Raises RefusedError (100, 132000, 132001)."""
        name = given.get("name")
        language = given.get("language")
        code = language.get("code") if isinstance(language, Mapping) else None
        if not isinstance(name, str) or not isinstance(code, str):
            raise RefusedError(100, "template needs name and language.code")
        if (name, code) not in self._counts:
            raise RefusedError(132001, f"template name ({name}) does not exist in {code}")
        values = _body_parameters(given.get("components", []))
        wanted = self._counts[name, code]
        if wanted is not None and len(values) != wanted:
            raise RefusedError(
                132000,
                f"body: number of localizable_params ({len(values)}) does not match the expected number ({wanted})",
            )
        return "|".join((f"{name}:{code}", *values))


def _body_parameters(components: Any) -> list[str]:
    if not isinstance(components, list):
        raise RefusedError(100, "template.components is not a list")
    values: list[str] = []
    for component in components:
        if not isinstance(component, Mapping) or component.get("type") not in {"header", "body", "button"}:
            raise RefusedError(100, "a component has the type header, body or button")
        if component["type"] != "body":
            continue
        for parameter in component.get("parameters", []):
            if not isinstance(parameter, Mapping) or not isinstance(parameter.get("type"), str):
                raise RefusedError(132012, "a parameter has a type")
            if parameter["type"] == "text" and not isinstance(parameter.get("text"), str):
                raise RefusedError(132012, "a text parameter has a text")
            values.append(str(parameter.get(parameter["type"], "")))
    return values


def recipient(outgoing: Outgoing) -> str:
    """Return the digits of the recipient. Raises RefusedError (100, 131009)."""
    if outgoing.messaging_product != "whatsapp":
        raise RefusedError(100, "messaging_product is not whatsapp")
    if not outgoing.to:
        raise RefusedError(131008, "to is missing")
    digits = "".join(character for character in outgoing.to if character not in "+-() ")
    if not (digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15):
        raise RefusedError(131009, "to is not a phone number")
    if len(outgoing.biz_opaque_callback_data) > MAX_OPAQUE_CHARACTERS:
        raise RefusedError(100, f"biz_opaque_callback_data is longer than {MAX_OPAQUE_CHARACTERS} characters")
    return digits


def content(outgoing: Outgoing, templates: Templates, *, has_media: Callable[[str, str], bool]) -> str:
    """Return what the message says, for the record; `has_media(id, kind)` knows the uploads.

    Raises RefusedError (100, 131008, 131051, 132000, 132001, 132012).
    """
    kind = outgoing.type
    if kind != "template" and kind not in FREE_FORM:
        raise RefusedError(131051, f"type {kind[:40]} is not supported")
    given = getattr(outgoing, kind)
    if given is None:
        raise RefusedError(131008, f"{kind} is missing")
    if kind == "text":
        body = given.get("body")
        if not isinstance(body, str) or not 1 <= len(body) <= MAX_TEXT_CHARACTERS:
            raise RefusedError(100, f"text.body does not have 1 to {MAX_TEXT_CHARACTERS} characters")
        return body
    if kind == "template":
        return templates.text(given)
    if kind in MEDIA_KINDS:
        return _media(kind, given, has_media)
    return kind


def _media(kind: str, given: Mapping[str, Any], has_media: Callable[[str, str], bool]) -> str:
    media_id, link = given.get("id"), given.get("link")
    if (media_id is None) == (link is None):
        raise RefusedError(100, f"{kind} needs id or link, one of them")
    if media_id is not None and not has_media(str(media_id), kind):
        raise RefusedError(100, f"{kind}.id is no media of this number that can be sent as {kind}")
    if link is not None and not str(link).startswith(("https://", "http://")):
        raise RefusedError(131009, f"{kind}.link is no URL")
    caption = given.get("caption", "")
    if caption and kind in {"audio", "sticker"}:
        raise RefusedError(100, f"{kind} has no caption")
    if not isinstance(caption, str) or len(caption) > MAX_CAPTION_CHARACTERS:
        raise RefusedError(100, f"caption is longer than {MAX_CAPTION_CHARACTERS} characters")
    return "|".join(filter(None, (str(media_id or link), str(given.get("filename", "")), caption)))
