"""`[carriers.<id>]` with `protocol = "whatsapp"`: one number on the WhatsApp Business Platform, spoken to by its Cloud API.

`examples` of a field are TOML values: deploy/docs/carriers.md shows them, and a test loads every one. The steps to
connect a number are in deploy/docs/whatsapp.md.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.domain.message import Channel, ContentKind
from gateway.domain.templates import ApprovedTemplate, ButtonKind, TemplateCategory, Templates
from gateway.settings.base import RateText, Section, SettingsError, read_secret
from gateway.settings.carriers import CarrierCommon, TlsFileSettings
from gateway.settings.http_carriers import HttpTimeoutSettings, HttpUrl
from gateway.settings.lanes import HttpRetrySettings, duration_ms

MAX_TEMPLATES = 1_000
_LANGUAGE = r"^[a-z]{2,3}(_[A-Z]{2,3})?$"
_TEMPLATE_NAME = r"^[a-z0-9_]{1,512}$"
_HEADERS: dict[str, ContentKind | bool | None] = {
    "none": None,
    "text": True,
    "image": ContentKind.IMAGE,
    "video": ContentKind.VIDEO,
    "document": ContentKind.DOCUMENT,
}


def _check_duration(text: str) -> str:
    duration_ms(text)
    return text


Duration = Annotated[str, AfterValidator(_check_duration)]


class WhatsAppTemplateSettings(Section):
    """One approved template in one language; with any of them listed, messages are checked before they are accepted."""

    name: str = Field(
        pattern=_TEMPLATE_NAME, description="Name, exactly as approved.", examples=['"payment_reminder"']
    )
    language: str = Field(
        pattern=_LANGUAGE,
        description="Language code, exactly as approved: es_MX is not es.",
        examples=['"es_MX"'],
    )
    category: TemplateCategory = Field(description="What it was approved for.", examples=['"utility"'])
    params: tuple[str, ...] | int = Field(
        0,
        description="Parameters of the body: how many, or their names.",
        examples=['["name", "amount"]'],
    )
    header: Literal["none", "text", "image", "video", "document"] = Field(
        "none",
        description="What is told for the header: nothing, a text with a parameter, or media.",
        examples=['"image"'],
    )
    buttons: dict[Annotated[str, Field(pattern=r"^\d$")], ButtonKind] = Field(
        {},
        description="Buttons that want a parameter, by their place from 0: the end of a URL, the payload of a quick "
        "reply, or the code to copy.",
        examples=['{0 = "url"}'],
    )

    @field_validator("params")
    @classmethod
    def _usable(cls, value: tuple[str, ...] | int) -> tuple[str, ...] | int:
        if isinstance(value, int):
            if not 0 <= value <= 100:
                raise ValueError(f"{value} parameters; 0 to 100 are possible")
        elif len(set(value)) < len(value):
            raise ValueError("two parameters have the same name")
        return value

    def approved(self) -> ApprovedTemplate:
        """Return it as intake and the dialect want it."""
        return ApprovedTemplate(
            self.name,
            self.language,
            self.category,
            params=self.params,
            header=_HEADERS[self.header],
            buttons={int(place): kind for place, kind in self.buttons.items()},
        )


class WhatsAppCarrierSettings(CarrierCommon):
    """One WhatsApp number: where its API is, who we are to it, what Meta allows it."""

    protocol: Literal["whatsapp"] = Field(
        description="How the carrier is spoken to.", examples=['"whatsapp"']
    )
    base_url: HttpUrl = Field(
        "https://graph.facebook.com",
        description="Where the API is; another only for a partner's gateway or a test bench.",
        examples=['"https://graph.facebook.com"'],
    )
    api_version: str = Field(
        "v24.0",
        pattern=r"^v\d{1,3}\.\d{1,2}$",
        description="Version of the Graph API; Meta keeps each for about two years.",
        examples=['"v24.0"'],
    )
    phone_number_id: str = Field(
        pattern=r"^\d{1,32}$",
        description="Id of the number that sends, from WhatsApp Manager; not the number itself.",
        examples=['"106540352242922"'],
    )
    business_account_id: str = Field(
        pattern=r"^\d{1,32}$",
        description="Id of the WhatsApp Business Account that the number belongs to.",
        examples=['"102290129340398"'],
    )
    number: str = Field(
        "",
        pattern=r"^(\+?\d{5,15})?$",
        description="The number itself, E.164: what replies are said to have been written to. Default is what the "
        "carrier says.",
        examples=['"+525512345678"'],
    )
    access_token: str = Field(
        "",
        max_length=4096,
        repr=False,
        description="Access token of a system user.",
        examples=['"EAAG..."'],
    )
    access_token_file: Path | None = Field(
        None, description="File that holds the access token.", examples=['"/run/secrets/whatsapp_token"']
    )
    access_token_env: str | None = Field(
        None,
        description="Environment variable that holds the access token.",
        examples=['"WHATSAPP_ACCESS_TOKEN"'],
    )
    app_secret: str = Field(
        "",
        max_length=4096,
        repr=False,
        description="Secret of the app, which signs callbacks.",
        examples=['"secret"'],
    )
    app_secret_file: Path | None = Field(
        None, description="File that holds the app secret.", examples=['"/run/secrets/whatsapp_app"']
    )
    app_secret_env: str | None = Field(
        None,
        description="Environment variable that holds the app secret.",
        examples=['"WHATSAPP_APP_SECRET"'],
    )
    verify_token: str = Field(
        "",
        max_length=1024,
        repr=False,
        description="A word of your choice, given to Meta when the callback URL is set up.",
        examples=['"secret"'],
    )
    verify_token_file: Path | None = Field(
        None, description="File that holds the verify token.", examples=['"/run/secrets/whatsapp_verify"']
    )
    verify_token_env: str | None = Field(
        None,
        description="Environment variable that holds the verify token.",
        examples=['"WHATSAPP_VERIFY_TOKEN"'],
    )
    rate: RateText = Field(
        "80/s",
        description="Messages per second of the number: 80, 20 where it is shared with the app, 1,000 once raised.",
        examples=['"80/s"'],
        json_schema_extra={"limits": "with unit: `80/s`"},
    )
    window: int = Field(
        40,
        ge=1,
        le=1000,
        description="Requests without an answer, each on a connection of its own; rate = window / response time.",
        examples=["40"],
    )
    pair_interval: Duration = Field(
        "6s", description="Time between two messages to one person, over many of them.", examples=['"6s"']
    )
    pair_burst: int = Field(
        10,
        ge=1,
        le=45,
        description="Messages to one person at once, out of rest; they are paid back by waiting.",
        examples=["1"],
    )
    reach_limit: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Different people in any 24 h that the portfolio may write to first: 250, 2000, 10000, 100000. "
        "Numbers of one portfolio share it: divide it between them. Default: no limit here.",
        examples=["2000"],
    )
    service_window: Literal["trusted", "enforced"] = Field(
        "trusted",
        description="What is not a template goes only within 24 h of what the person wrote. `trusted`: WhatsApp "
        "decides. `enforced`: refused here when all replies came to this gateway and there was none in time.",
        examples=['"enforced"'],
    )
    default_language: str = Field(
        "es", pattern=_LANGUAGE, description="Language of templates that name none.", examples=['"es_MX"']
    )
    preview_links: bool = Field(
        False, description="Show a preview of the first link of a text.", examples=["true"]
    )
    templates: tuple[WhatsAppTemplateSettings, ...] = Field(
        (),
        max_length=MAX_TEMPLATES,
        description="Approved templates. Without any, nothing is checked before WhatsApp does.",
        examples=[
            '[{name = "payment_reminder", language = "es_MX", category = "utility", params = ["name", "amount"]}]'
        ],
    )
    timeouts: HttpTimeoutSettings = Field(HttpTimeoutSettings(), description="How long a request may take.")
    tls: TlsFileSettings = Field(
        TlsFileSettings(), description="TLS towards the API, where `base_url` has https."
    )
    retry: HttpRetrySettings = Field(
        HttpRetrySettings(), description="When a refused message is tried again here, by class and by status."
    )

    @property
    def channel(self) -> Channel:
        """What the carrier's messages are."""
        return Channel.WHATSAPP

    @property
    def url(self) -> str:
        """Where messages are posted."""
        return f"{self.base_url.rstrip('/')}/{self.api_version}/{self.phone_number_id}/messages"

    @model_validator(mode="after")
    def _each_secret_once(self) -> Self:
        for secret in ("access_token", "app_secret", "verify_token"):
            given = [name for name in (secret, f"{secret}_file", f"{secret}_env") if getattr(self, name)]
            if len(given) > 1:
                raise ValueError(f"give the {secret} once, not by {' and '.join(given)}")
            if not given:
                raise ValueError(f"{secret} is missing: {secret}, {secret}_file or {secret}_env")
        return self

    @model_validator(mode="after")
    def _templates_once(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for index, one in enumerate(self.templates):
            if (one.name, one.language) in seen:
                raise ValueError(f"templates[{index}]: {one.name} in {one.language} is there already")
            seen.add((one.name, one.language))
        return self

    def approved_templates(self) -> Templates:
        """Return the approved templates."""
        return Templates([one.approved() for one in self.templates], default_language=self.default_language)

    def resolved_access_token(self) -> str:
        """Return the access token from wherever it is kept; SettingsError when it is missing."""
        return self._resolved("access_token")

    def resolved_app_secret(self) -> str:
        """Return the app secret from wherever it is kept; SettingsError when it is missing."""
        return self._resolved("app_secret")

    def resolved_verify_token(self) -> str:
        """Return the verify token from wherever it is kept; SettingsError when it is missing."""
        return self._resolved("verify_token")

    def _resolved(self, name: str) -> str:
        path: Path | None = getattr(self, f"{name}_file")
        variable: str | None = getattr(self, f"{name}_env")
        value: str = getattr(self, name)
        what = name
        if path is not None:
            value, what = read_secret(path), f"{name} in {path}"
        elif variable is not None:
            found = os.environ.get(variable)
            if found is None:
                raise SettingsError(f"the variable {variable} ({name}_env) is not set")
            value, what = found, f"{name} in ${variable}"
        if not value:
            raise SettingsError(f"{what} is empty")
        if not (value.isascii() and value.isprintable()):
            raise SettingsError(f"{what}: only printable ASCII characters can be written into a header")
        return value
