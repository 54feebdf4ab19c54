"""`[carriers.<id>]` with `protocol = "http"`: where an HTTP carrier is, how it knows us, how it is asked and understood.

The words of a carrier are data: templates with placeholders for its requests, pointers and rules for its answers.
`adapters.http.mapping` compiles them once. `examples` of a field are TOML values: deploy/docs/carriers.md shows them,
and a test loads every one.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gateway.domain.message import Channel
from gateway.settings.base import Section, SettingsError, read_secret
from gateway.settings.callbacks import CallbackSettings
from gateway.settings.carriers import CarrierCommon, TlsFileSettings
from gateway.settings.lanes import HttpRetrySettings

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII).fullmatch  # RFC 9110 §5.6.2
_SECRETS = ("secret", "secret_file", "secret_env")

RuleClass = Literal["ok", "throttle", "retry_later", "failover", "permanent", "ambiguous", "login"]
"""What an answer of an HTTP carrier may be made to mean."""


def _check_header_name(name: str) -> str:
    if not _TOKEN(name):
        raise ValueError(f"{name!r} is no name of an HTTP header")
    return name


def _check_header_value(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("a header value has printable ASCII characters only")
    return value


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write it with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no user and password here: [carriers.<id>.auth] keeps them out of logs")
    if parts.fragment:
        raise ValueError("a fragment (#...) is never sent")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("a URL has printable ASCII characters only; encode others as %XX")
    if parts.port == 0:  # reading it also refuses what is no port
        raise ValueError("port 0 cannot be connected to")
    return url


def _check_pointer(pointer: str) -> str:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON pointer; it begins with /, such as /messages/0/id")
    return pointer


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


def _check_status(value: int | str) -> int | str:
    if isinstance(value, int):
        if not 100 <= value <= 599:
            raise ValueError(f"{value} is no HTTP status: 100 to 599")
    elif not re.fullmatch(r"[1-5]xx", value):
        raise ValueError(f"{value!r} is no HTTP status; write 503 or 5xx")
    return value


HeaderName = Annotated[str, AfterValidator(_check_header_name)]
HeaderValue = Annotated[str, AfterValidator(_check_header_value)]
HttpUrl = Annotated[str, AfterValidator(_check_url)]
JsonPointer = Annotated[str, AfterValidator(_check_pointer)]
Pattern = Annotated[str, Field(max_length=500), AfterValidator(_check_pattern)]
HttpStatus = Annotated[int | str, AfterValidator(_check_status)]


class HttpAuthSettings(Section):
    """How the carrier knows us."""

    type: Literal["none", "bearer", "basic", "header", "query"] = Field(
        "none",
        description="`bearer`: a token in Authorization. `basic`: username and secret. `header`, `query`: the secret "
        "in the header or URL parameter called `name`.",
        examples=['"bearer"'],
    )
    name: str = Field(
        "",
        max_length=100,
        description="Name of the header or of the URL parameter.",
        examples=['"X-Api-Key"'],
    )
    username: str = Field("", max_length=200, description="User name, with `basic`.", examples=['"acme"'])
    secret: str = Field(
        "", max_length=4096, repr=False, description="Token, key or password.", examples=['"secret"']
    )
    secret_file: Path | None = Field(
        None, description="File that holds the secret.", examples=['"/run/secrets/telco_h"']
    )
    secret_env: str | None = Field(
        None, description="Environment variable that holds the secret.", examples=['"TELCO_H_TOKEN"']
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [name for name in _SECRETS if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give the secret once, not by {' and '.join(given)}")
        if self.type != "none" and not given:
            raise ValueError(f"type {self.type!r} needs a secret: secret, secret_file or secret_env")
        if self.type in ("header", "query") and not self.name:
            raise ValueError(f"type {self.type!r} needs the name that the secret goes under")
        if self.type == "header":
            _check_header_name(self.name)
        if self.type == "basic" and (not self.username or ":" in self.username):
            raise ValueError("type 'basic' needs a username, which has no colon (RFC 7617 §2)")
        return self

    def resolved_secret(self) -> str:
        """Return the secret from wherever it is kept; SettingsError when it is missing or cannot go into a header."""
        if self.secret_file is not None:
            value, what = read_secret(self.secret_file), f"secret in {self.secret_file}"
        elif self.secret_env is not None:
            found = os.environ.get(self.secret_env)
            if found is None:
                raise SettingsError(f"the variable {self.secret_env} (secret_env) is not set")
            value, what = found, f"secret in ${self.secret_env}"
        else:
            value, what = self.secret, "secret"
        if self.type != "none" and not value:
            raise SettingsError(f"{what} is empty")
        if not (value.isascii() and value.isprintable()) and self.type in ("bearer", "header"):
            raise SettingsError(f"{what}: only printable ASCII characters can be written into a header")
        return value


class HttpTimeoutSettings(Section):
    """How long a request waits for what, and when a carrier that was gone is looked for again."""

    connect_s: float = Field(
        10.0,
        gt=0,
        le=120,
        description="Wait for name, TCP connection and TLS handshake; after it nothing was sent.",
        examples=["5"],
    )
    send_s: float = Field(
        10.0, gt=0, le=120, description="Wait until the request is written.", examples=["5"]
    )
    answer_s: float = Field(
        20.0,
        gt=0,
        le=300,
        description="Wait for the whole answer once the request is written; after it nobody knows whether the "
        "message was taken.",
        examples=["30"],
    )
    idle_s: float = Field(
        4.0,
        ge=0,
        le=600,
        description="How long an unused connection is kept; below what the carrier keeps it, often 5 s. 0: one "
        "request a connection.",
        examples=["55"],
    )
    reconnect_min_s: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Shortest wait before a carrier that could not be reached is tried again.",
        examples=["1"],
    )
    reconnect_max_s: float = Field(
        60.0, gt=0, le=3600, description="Longest such wait; it doubles from try to try.", examples=["30"]
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.reconnect_max_s < self.reconnect_min_s:
            raise ValueError(
                f"reconnect_max_s {self.reconnect_max_s:g} is below reconnect_min_s {self.reconnect_min_s:g}"
            )
        return self


class HttpBulkSettings(Section):
    """Several messages in one request, where the carrier takes that."""

    limit: int = Field(
        1, ge=1, le=1000, description="Most messages in one request; 1 sends each alone.", examples=["100"]
    )
    list: JsonPointer = Field(
        "",
        description="JSON pointer of the list in `body` that has one entry, the template of every message.",
        examples=['"/messages"'],
    )
    linger_ms: float = Field(
        5.0,
        ge=0,
        le=1000,
        description="How long the first message of a request waits for others.",
        examples=["2"],
    )


class HttpRequestSettings(Section):
    """What a request says: templates with the placeholders of deploy/docs/carriers.md."""

    format: Literal["json", "form", "xml", "none"] = Field(
        "json",
        description="How `body` is written: JSON, `application/x-www-form-urlencoded`, XML, or no body at all.",
        examples=['"form"'],
    )
    content_type: HeaderValue | None = Field(
        None, description="Content-Type, where the usual one will not do.", examples=['"application/json"']
    )
    query: dict[str, str] = Field(
        {},
        description="URL parameters; one whose placeholder has no value is left out.",
        examples=['{to = "{to}", text = "{text}"}'],
    )
    body: dict[str, Any] | list[Any] | str = Field(
        {"to": "{to_plus}", "from": "{from}", "text": "{text}", "reference": "{message_id}"},
        description="The body: a table (JSON, form), a list (JSON), or a text (XML). A value that is one placeholder "
        "alone keeps its type, and is left out where there is nothing to say.",
        examples=['{to = "{to_plus}", from = "{from}", text = "{text}"}'],
        json_schema_extra={"limits": "placeholders: see below"},
    )
    bulk: HttpBulkSettings = Field(HttpBulkSettings(), description="Several messages in one request.")


class HttpRuleSettings(Section):
    """What one kind of answer means; all conditions that are given must hold."""

    status: tuple[HttpStatus, ...] = Field(
        (), description="HTTP statuses, such as 503 or `4xx`; none: any.", examples=['[400, "5xx"]']
    )
    code: tuple[str, ...] = Field(
        (),
        description="Error codes as the answer has them, as text; none: any.",
        examples=['["21610", "E7"]'],
    )
    matches: Pattern | None = Field(
        None,
        description="Regular expression that is found in the body of the answer (of the entry, in bulk).",
        examples=['"(?i)insufficient credit"'],
    )
    reaction: RuleClass = Field(
        alias="class",
        description="`ok`: taken. `throttle`: slow down and try again. `retry_later`: by the schedule of the class. "
        "`failover`: the next carrier. `permanent`: it failed. `ambiguous`: nobody knows. `login`: it does not know us, "
        "so nothing was taken and the bind waits.",
        examples=['"retry_later"'],
    )
    other_route: bool = Field(
        False, description="With `permanent`: another carrier may take it once.", examples=["true"]
    )
    alert: bool = Field(False, description="An operator has to look at it.", examples=["true"])

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if not (self.status or self.code or self.matches):
            raise ValueError("a rule needs status, code or matches")
        return self


class HttpResponseSettings(Section):
    """How an answer is read. Statuses that no rule names mean what deploy/docs/carriers.md says."""

    id: tuple[JsonPointer, ...] = Field(
        ("/id", "/message_id", "/messageId"),
        description="JSON pointers of the carrier's message id, the first that is there; in bulk from the entry on.",
        examples=['["/messages/0/id"]'],
    )
    id_pattern: Pattern | None = Field(
        None,
        description="For answers that are no JSON: regular expression whose first group is the id.",
        examples=[r"'0: Accepted for delivery: (\S+)'"],
    )
    needs_id: bool = Field(
        True,
        description="An answer that says yes without an id counts as no answer: it may come from a proxy.",
        examples=["false"],
    )
    code: tuple[JsonPointer, ...] = Field(
        (),
        description="JSON pointers of the error code, the first that is there; in bulk from the entry on.",
        examples=['["/error/code", "/code"]'],
    )
    code_pattern: Pattern | None = Field(
        None,
        description="For answers that are no JSON: regular expression whose first group is the error code.",
        examples=[r"'^ERR (\d+)'"],
    )
    ok_codes: tuple[str, ...] = Field(
        ("0",),
        description="Codes that mean success with a 2xx status; any other means the next carrier, unless a rule names "
        "it.",
        examples=['["0", "ok", "queued"]'],
    )
    list: JsonPointer = Field(
        "",
        description="In bulk: JSON pointer of the list with an entry for each message.",
        examples=['"/messages"'],
    )
    reference: JsonPointer | None = Field(
        None,
        description="In bulk: JSON pointer, in an entry, of the `{message_id}` it is about; without it entries are in "
        "the order of the request.",
        examples=['"/reference"'],
    )
    rules: tuple[HttpRuleSettings, ...] = Field(
        (),
        max_length=200,
        description="What answers mean, first fit first.",
        examples=['[{code = ["E21"], class = "permanent"}]'],
    )


class HttpCarrierSettings(CarrierCommon):
    """One HTTP carrier: where it is, how it knows us, what it sold, how it speaks."""

    protocol: Literal["http"] = Field(description="How the carrier is spoken to.", examples=['"http"'])
    url: HttpUrl = Field(
        max_length=2000,
        description="Where messages are posted; placeholders may stand in path and query.",
        examples=['"https://api.telco-h.example/v1/messages"'],
    )
    method: Literal["GET", "POST", "PUT"] = Field(
        "POST", description="Method of the request.", examples=['"POST"']
    )
    channel: Channel = Field(
        Channel.SMS,
        description="What the carrier's messages are.",
        examples=['"sms"'],
        json_schema_extra={"limits": ", ".join(f'`"{channel}"`' for channel in Channel)},
    )
    max_characters: int = Field(
        1600,
        ge=1,
        le=100_000,
        description="Longest text; the carrier cuts it, so a message is one submit whatever its length.",
        examples=["1530"],
    )
    counts: Literal["message", "segments"] = Field(
        "message",
        description="What `segment_count` of a message says: 1, or the segments that the carrier will bill.",
        examples=['"segments"'],
    )
    max_connections: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Requests at a time of one bind, each on a connection of its own; default is `window`.",
        examples=["20"],
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        {},
        description="More headers; a value may have placeholders.",
        examples=['{Idempotency-Key = "{message_id}"}'],
    )
    auth: HttpAuthSettings = Field(HttpAuthSettings(), description="How the carrier knows us.")
    timeouts: HttpTimeoutSettings = Field(HttpTimeoutSettings(), description="How long a request may take.")
    tls: TlsFileSettings = Field(
        TlsFileSettings(), description="TLS towards the carrier, where `url` has https."
    )
    request: HttpRequestSettings = Field(HttpRequestSettings(), description="What a request says.")
    response: HttpResponseSettings = Field(HttpResponseSettings(), description="How an answer is read.")
    callbacks: CallbackSettings | None = Field(
        None, description="Receipts and replies that the carrier posts to us."
    )
    retry: HttpRetrySettings = Field(
        HttpRetrySettings(), description="When a refused message is tried again here, by class and by status."
    )

    @model_validator(mode="after")
    def _connections_for_the_window(self) -> Self:
        most = self.max_connections
        if most is not None and self.window > most * self.request.bulk.limit:
            raise ValueError(
                f"window {self.window} needs more than {most} connections (max_connections) of "
                f"{self.request.bulk.limit} messages each (request.bulk.limit)"
            )
        return self
