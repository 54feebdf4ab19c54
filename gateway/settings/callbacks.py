"""`[carriers.<id>.callbacks]`: what an HTTP carrier calls on our side, receipts and replies, and how it shows who it is.

The calls of a carrier are data: pointers to what stands where, and what its words mean. `adapters.http.callbacks`
reads by them. `examples` of a field are TOML values: deploy/docs/http-carriers.md shows them, and a test loads every one.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.http.pointers import parse_pointer
from adapters.http.signatures import PLACEHOLDER
from gateway.domain.receipts import MessageState
from gateway.settings.base import Section, SettingsError, read_secret

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII).fullmatch  # RFC 9110 §5.6.2
_GIVEN_AS = ("secret", "secret_file", "secret_env")


def _check_header(name: str) -> str:
    if name and not _HEADER(name):
        raise ValueError(f"{name!r} is no name of an HTTP header")
    return name


def _check_pointer(text: str) -> str:
    parse_pointer(text)
    return text


def _check_network(text: str) -> str:
    ipaddress.ip_network(text)  # ValueError says what is wrong
    return text


HeaderText = Annotated[str, Field(max_length=100), AfterValidator(_check_header)]
PointerText = Annotated[str, Field(max_length=500), AfterValidator(_check_pointer)]
NetworkText = Annotated[str, AfterValidator(_check_network)]


class CallbackSecretSettings(Section):
    """A secret that the carrier and we know."""

    secret: str = Field("", max_length=4096, repr=False, description="The secret.", examples=['"secret"'])
    secret_file: Path | None = Field(
        None,
        description="File that holds the secret; of several lines each is one, so that one can be replaced.",
        examples=['"/run/secrets/telco_h_callbacks"'],
    )
    secret_env: str | None = Field(
        None, description="Environment variable that holds the secret.", examples=['"TELCO_H_CALLBACKS"']
    )

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        given = [name for name in _GIVEN_AS if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give the secret once, not by {' and '.join(given)}")
        if not given:
            raise ValueError("a secret is missing: secret, secret_file or secret_env")
        return self

    def resolved_secrets(self) -> tuple[bytes, ...]:
        """Return the secrets from wherever they are kept; SettingsError when there is none."""
        if self.secret_file is not None:
            lines = [line.strip() for line in read_secret(self.secret_file).splitlines()]
            found, what = [line for line in lines if line], f"the secret {self.secret_file}"
        elif self.secret_env is not None:
            found, what = (
                [os.environ.get(self.secret_env, "")],
                f"the variable {self.secret_env} (secret_env)",
            )
        else:
            found, what = [self.secret], "the secret"
        if not all(found) or not found:
            raise SettingsError(f"{what} is not set or empty")
        return tuple(one.encode() for one in found)


class CallbackHmacSettings(CallbackSecretSettings):
    """A signature over the octets of the body."""

    header: HeaderText = Field(
        min_length=1, description="Header with the signature.", examples=['"X-Signature"']
    )
    algorithm: Literal["sha256", "sha1", "sha512"] = Field(
        "sha256", description="Hash of the HMAC.", examples=['"sha256"']
    )
    encoding: Literal["hex", "base64"] = Field(
        "hex", description="How the signature is written.", examples=['"base64"']
    )
    prefix: str = Field(
        "", max_length=50, description="What stands before the signature.", examples=['"sha256="']
    )
    signed: str = Field(
        "{body}",
        max_length=200,
        description="What is signed: `{body}`, with `{timestamp}` and other text around it.",
        examples=['"{timestamp}.{body}"'],
    )
    timestamp_header: HeaderText = Field(
        "",
        description="Header with the time of signing, in seconds or milliseconds since 1970.",
        examples=['"X-Timestamp"'],
    )
    tolerance_s: int = Field(
        300,
        ge=1,
        le=604_800,
        description="How far the time of signing may be from ours; longer where repeats keep their first signature.",
        examples=["86400"],
    )

    @model_validator(mode="after")
    def _signs_what_it_says(self) -> Self:
        names = PLACEHOLDER.findall(self.signed)
        unknown = sorted(set(names) - {"body", "timestamp"})
        if unknown:
            raise ValueError(f"signed: {{{unknown[0]}}} is neither {{body}} nor {{timestamp}}")
        if names.count("body") != 1:
            raise ValueError("signed: {body} stands in it once")
        if ("timestamp" in names) != bool(self.timestamp_header):
            raise ValueError(
                "{timestamp} in signed and timestamp_header go together: a time that is not signed proves nothing"
            )
        return self


class CallbackTokenSettings(CallbackSecretSettings):
    """A shared token in a header or in the URL."""

    header: HeaderText = Field("", description="Header with the token.", examples=['"X-Token"'])
    prefix: str = Field(
        "", max_length=50, description="What stands before the token in the header.", examples=['"Bearer "']
    )
    query: str = Field(
        "",
        max_length=100,
        description="Parameter of the URL with the token; URLs are logged on the way, a header is better.",
        examples=['"token"'],
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.header) == bool(self.query):
            raise ValueError("the token is in a header or in query: give one of them")
        return self


class CallbackBasicSettings(CallbackSecretSettings):
    """A name and a password (RFC 7617)."""

    username: str = Field(
        min_length=1, max_length=200, pattern="^[^:]+$", description="The name.", examples=['"telco"']
    )


class CallbackAuthSettings(Section):
    """How a call shows that it is the carrier's; all that is given must hold."""

    hmac: CallbackHmacSettings | None = Field(
        None,
        description="A signature over the octets of the body.",
        examples=['{header = "X-Signature", secret_env = "TELCO_H_CALLBACKS"}'],
    )
    token: CallbackTokenSettings | None = Field(
        None,
        description="A shared token.",
        examples=['{header = "X-Token", secret_env = "TELCO_H_CALLBACKS"}'],
    )
    basic: CallbackBasicSettings | None = Field(
        None,
        description="A name and a password.",
        examples=['{username = "telco", secret_env = "TELCO_H_CALLBACKS"}'],
    )
    networks: tuple[NetworkText, ...] = Field(
        (),
        max_length=100,
        description="Networks that the carrier calls from.",
        examples=['["203.0.113.0/24"]'],
    )
    proxies: tuple[NetworkText, ...] = Field(
        (),
        max_length=100,
        description="Networks of our own proxies: from them X-Forwarded-For is believed.",
        examples=['["10.0.0.0/8"]'],
    )
    anyone: bool = Field(
        False,
        description="Take calls of whoever calls: all of the internet can then say what was delivered.",
        examples=["false"],
    )

    @model_validator(mode="after")
    def _not_open_by_accident(self) -> Self:
        known = (
            self.hmac is not None or self.token is not None or self.basic is not None or bool(self.networks)
        )
        if known == self.anyone:
            raise ValueError(
                "say how a call is known: hmac, token, basic or networks; or anyone = true, alone"
            )
        if self.proxies and not self.networks:
            raise ValueError("proxies are of use only with networks")
        return self


class CallbackWhenSettings(Section):
    """What must hold for an item to be of a kind: something in it, or in the URL that the carrier was given."""

    field: PointerText = Field(
        "", description="Pointer of what decides, from the item on.", examples=['"/event"']
    )
    query: str = Field(
        "", max_length=100, description="Parameter of the URL that decides.", examples=['"kind"']
    )
    equals: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="Values that it may have, in upper or lower case; none: that it is there is enough.",
        examples=['["status", "dlr"]'],
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.field) == bool(self.query):
            raise ValueError("give field or query")
        return self


class CallbackKindSettings(Section):
    """Where items of a kind stand in a call."""

    items: PointerText | Annotated[tuple[PointerText, ...], Field(min_length=1, max_length=8)] = Field(
        "",
        description="Pointer of the items: `*` means every element of a list, an empty one that the body is one, or a "
        "list of them. Of several pointers the first that is there.",
        examples=['["/events", ""]'],
    )
    when: CallbackWhenSettings | None = Field(
        None,
        description="What must hold for an item to be of this kind; nothing: all are.",
        examples=['{field = "/event", equals = ["status"]}'],
    )


class CallbackReceiptSettings(CallbackKindSettings):
    """Where a receipt says what; pointers from the item on, or names of form fields."""

    id: PointerText = Field(
        min_length=1, description="The carrier's id of the message.", examples=['"/message/id"']
    )
    state: PointerText = Field(
        min_length=1, description="The carrier's word for the state.", examples=['"/status"']
    )
    states: dict[str, MessageState] = Field(
        min_length=1,
        max_length=200,
        description="What the carrier's words mean, in upper or lower case. Intermediate: SCHEDULED, ENROUTE, ACCEPTED, "
        "UNKNOWN. Final: DELIVERED, READ, UNDELIVERABLE, SKIPPED, DELETED, EXPIRED, REJECTED. A word that is not here "
        "counts as UNKNOWN.",
        examples=['{sent = "ENROUTE", delivered = "DELIVERED", failed = "UNDELIVERABLE"}'],
    )
    error: PointerText = Field("", description="The carrier's error code.", examples=['"/error/code"'])
    time: PointerText = Field(
        "",
        description="When it happened: ISO 8601, or seconds or milliseconds since 1970.",
        examples=['"/at"'],
    )

    @model_validator(mode="after")
    def _words_are_different(self) -> Self:
        seen: dict[str, str] = {}
        for word in self.states:
            other = seen.setdefault(word.casefold(), word)
            if other != word:
                raise ValueError(f"states: {other!r} and {word!r} are the same word")
        return self


class CallbackReplySettings(CallbackKindSettings):
    """Where what a person wrote says what; pointers from the item on, or names of form fields."""

    id: PointerText = Field(
        "",
        description="The carrier's id of it, by which a repeated call is known. Without it `time` has to do, and "
        "without both every call is a new message.",
        examples=['"/message/id"'],
    )
    sender: PointerText = Field(min_length=1, description="Who wrote.", examples=['"/from"'])
    recipient: PointerText = Field("", description="Our number that was written to.", examples=['"/to"'])
    number: str = Field(
        "",
        max_length=65,
        description="Our number, where the carrier does not say which.",
        examples=['"22222"'],
    )
    text: PointerText = Field("", description="What was written.", examples=['"/text/body"'])
    time: PointerText = Field("", description="When it was written.", examples=['"/at"'])
    media_type: PointerText = Field(
        "", description="Type of what came with it.", examples=['"/image/mime_type"']
    )
    media_id: PointerText = Field("", description="The carrier's id of it.", examples=['"/image/id"'])
    media_link: PointerText = Field("", description="Where it can be fetched.", examples=['"/image/url"'])
    media_name: PointerText = Field("", description="Its file name.", examples=['"/document/filename"'])

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if bool(self.recipient) == bool(self.number):
            raise ValueError("give recipient, or number where the carrier does not say which")
        if not (self.text or self.media_type or self.media_id or self.media_link):
            raise ValueError("give text, or where media stands")
        return self


class CallbackSettings(Section):
    """How the calls of one carrier to `/callbacks/<id>` are known and read."""

    auth: CallbackAuthSettings = Field(
        description="How a call shows that it is the carrier's.",
        examples=['{token = {header = "X-Token", secret_env = "TELCO_H_CALLBACKS"}}'],
    )
    format: Literal["json", "form", "query"] = Field(
        "json",
        description="What a call is: a JSON body, a form, or parameters of the URL (GET or POST).",
        examples=['"form"'],
    )
    charset: Literal["utf-8", "iso-8859-1", "windows-1252"] = Field(
        "utf-8", description="Character set of the body.", examples=['"iso-8859-1"']
    )
    max_body_octets: int = Field(
        262_144,
        ge=1_024,
        le=10_485_760,
        description="Longest body; a longer one gets 413.",
        examples=["1048576"],
    )
    max_items: int = Field(
        1_000, ge=1, le=10_000, description="Most items of one call; more get 413.", examples=["100"]
    )
    receipt: CallbackReceiptSettings | None = Field(
        None,
        description="Where a receipt says what.",
        examples=['{id = "/id", state = "/status", states = {delivered = "DELIVERED"}}'],
    )
    reply: CallbackReplySettings | None = Field(
        None,
        description="Where what a person wrote says what.",
        examples=['{id = "/id", sender = "/from", recipient = "/to", text = "/text"}'],
    )
    ignore: tuple[CallbackWhenSettings, ...] = Field(
        (),
        max_length=20,
        description="Items that are neither and are to be forgotten.",
        examples=['[{field = "/event", equals = ["ping"]}]'],
    )
    unreadable: Literal["refuse", "accept"] = Field(
        "refuse",
        description="What a call gets that nothing in was understood: 400, so that the carrier repeats it; or the "
        "ordinary answer, where it would repeat it for ever or stop calling.",
        examples=['"accept"'],
    )
    answer_status: int = Field(200, ge=200, le=299, description="Status of our answer.", examples=["204"])
    answer_body: str = Field(
        "", max_length=1_000, description="Body of our answer.", examples=["'{\"ok\": true}'"]
    )
    answer_type: str = Field(
        "text/plain; charset=utf-8",
        max_length=100,
        pattern=r"^[ -~]+$",
        description="Content-Type of our answer.",
        examples=['"application/json"'],
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        receipt, reply = self.receipt, self.reply
        if receipt is None and reply is None:
            raise ValueError("give receipt, reply or both: else nothing of a call is read")
        if (
            receipt is not None
            and reply is not None
            and receipt.when is None
            and receipt.items == reply.items
        ):
            raise ValueError("receipt needs when: every item counts as a receipt, and no reply is ever seen")
        if self.format == "query" and self.auth.hmac is not None and self.auth.hmac.signed == "{body}":
            raise ValueError(
                "a call without a body has nothing that hmac could sign; use token, basic or networks"
            )
        return self
