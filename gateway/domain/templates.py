"""Templates that a platform approved, and whether what a message says of one fits: pure, for intake and dialects.

A message names its template in `RichContent`. Its parameters have their place in the body ("1", "2", ...) or their name
there; those of the header begin with `header.` ("header.1", "header.name"), those of buttons are `button.0` and so on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.domain.message import ContentKind, RichContent

HEADER_PREFIX: Final = "header."
BUTTON_PREFIX: Final = "button."


class TemplateCategory(StrEnum):
    """What a template is for; it decides price and rules."""

    MARKETING = "marketing"
    UTILITY = "utility"
    AUTHENTICATION = "authentication"


class ButtonKind(StrEnum):
    """What a button of a template wants to be told."""

    URL = "url"
    QUICK_REPLY = "quick_reply"
    COPY_CODE = "copy_code"


@dataclass(frozen=True, slots=True)
class ApprovedTemplate:
    """One approved template in one language.

    `params` are the names of those in the body, or how many it has. `header` is what stands above: media, `True` for a
    text with a parameter, None for nothing to be told. `buttons` are those with a parameter, by their place (from 0).
    """

    name: str
    language: str
    category: TemplateCategory
    params: tuple[str, ...] | int = 0
    header: ContentKind | bool | None = None
    buttons: Mapping[int, ButtonKind] | None = None

    @property
    def body_keys(self) -> tuple[str, ...]:
        """The parameters of the body, in their order."""
        if isinstance(self.params, int):
            return tuple(str(place) for place in range(1, self.params + 1))
        return self.params


class TemplateParams(NamedTuple):
    """A message's parameters, sorted: of the body and the header by name or place in their order, of buttons by place."""

    body: tuple[tuple[str, str], ...]
    header: tuple[tuple[str, str], ...]
    buttons: tuple[tuple[int, str], ...]


class Mismatch(NamedTuple):
    """Why a message does not fit its template. `field` is a part of the content: name, language, params, header."""

    field: str
    detail: str


class Templates:
    """The approved templates of one carrier. Without any, everything fits: the carrier decides.

    `default_language` is that of messages which name none.
    """

    def __init__(self, approved: Iterable[ApprovedTemplate] = (), *, default_language: str = "") -> None:
        self.default_language = default_language
        self._by_key = {(one.name, one.language): one for one in approved}
        self._languages: dict[str, list[str]] = {}
        for name, language in self._by_key:
            self._languages.setdefault(name, []).append(language)

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Templates)
            and self._by_key == other._by_key
            and self.default_language == other.default_language
        )

    __hash__ = None  # type: ignore[assignment]

    def find(self, rich: RichContent) -> ApprovedTemplate | None:
        """Return the template that a message names, None when it is not known here."""
        return self._by_key.get((rich.name, rich.language or self.default_language))

    def mismatch(self, rich: RichContent) -> Mismatch | None:
        """Return why the content does not fit what was approved, None when it does, or when nothing is known."""
        if not self._by_key:
            return None
        template = self.find(rich)
        if template is not None:
            return _params_mismatch(template, rich) or _header_mismatch(template, rich)
        languages = self._languages.get(rich.name)
        if languages is None:
            return Mismatch("name", f"template {rich.name!r} is not approved on this carrier")
        language = rich.language or self.default_language
        detail = f"template {rich.name!r} is not approved in {language!r}; it is in {', '.join(languages)}"
        return Mismatch("language", detail)


def sorted_params(params: Mapping[str, str] | None) -> TemplateParams:
    """Return the parameters of body, header and buttons, places in the order of their numbers."""
    body, header, buttons = [], [], []
    for key, value in (params or {}).items():
        if key.startswith(BUTTON_PREFIX):
            buttons.append((int(key.removeprefix(BUTTON_PREFIX)), value))
        elif key.startswith(HEADER_PREFIX):
            header.append((key.removeprefix(HEADER_PREFIX), value))
        else:
            body.append((key, value))
    buttons.sort()
    return TemplateParams(tuple(_by_place(body)), tuple(_by_place(header)), tuple(buttons))


def _by_place(params: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sort parameters that have places; those with names are found by them, in whatever order."""
    return sorted(params, key=_place) if all(key.isdigit() for key, _ in params) else params


def _place(param: tuple[str, str]) -> int:
    return int(param[0])


def _params_mismatch(template: ApprovedTemplate, rich: RichContent) -> Mismatch | None:
    given = sorted_params(rich.params)
    wanted, has = set(template.body_keys), {key for key, _ in given.body}
    what = f"template {template.name!r} ({template.language})"
    if has != wanted:
        missing, unknown = sorted(wanted - has), sorted(has - wanted)
        said = " and ".join(
            part
            for part in (
                f"lacks {', '.join(missing)}" if missing else "",
                f"does not know {', '.join(unknown)}" if unknown else "",
            )
            if part
        )
        return Mismatch("params", f"{what} has {len(wanted)} parameters in its body; the message {said}")
    known = template.buttons or {}
    odd = [place for place, _ in given.buttons if place not in known]
    if odd:
        return Mismatch("params", f"{what} has no button {odd[0]} with a parameter")
    needs = [] if template.category is TemplateCategory.AUTHENTICATION else sorted(known)
    told = {place for place, _ in given.buttons}
    left_out = [place for place in needs if place not in told and known[place] is not ButtonKind.QUICK_REPLY]
    if left_out:
        return Mismatch("params", f"{what} wants the parameter {BUTTON_PREFIX}{left_out[0]}")
    return None


def _header_mismatch(template: ApprovedTemplate, rich: RichContent) -> Mismatch | None:
    what = f"template {template.name!r} ({template.language})"
    has_text = any(key.startswith(HEADER_PREFIX) for key in rich.params or ())
    wants_text = template.header is True
    if has_text != wants_text:
        return Mismatch("params", f"{what} has {'a' if wants_text else 'no'} parameter in its header")
    media = template.header if isinstance(template.header, ContentKind) else None
    if rich.header != media:
        wanted = "no media" if media is None else f"media of the kind {media}"
        return Mismatch("header", f"{what} has {wanted} in its header")
    return None
