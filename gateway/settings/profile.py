"""`[carriers.<id>.profile]`: how a carrier's dialect and its patience differ from the standard. Data, no code by carrier.

`examples` of a field are TOML values: deploy/docs/carriers.md shows them, and a test loads every one.
"""

from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from gateway.settings.base import Printable, Section

_CHOSEN_DATA_CODINGS = (0, 3, 4, 8)
_MAX_STATUS = 0xFFFFFFFF
_VERSION_WITH_TLVS = 0x34

StatusReaction = Literal["throttle", "retry_later", "failover", "permanent", "rebind"]
"""What a command_status of a submit_sm_resp may be made to mean (sms-domain G)."""


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # a folder of zones is an OSError, a path outside them a ValueError
        raise ValueError("no IANA time zone known here; America/Mexico_City is one") from None
    return name


ZoneName = Annotated[str, AfterValidator(_check_zone)]


def _read_number(value: object) -> object:
    """Return the number that a TOML key writes, decimal or 0x; what is none is left to the type."""
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            return value
    return value


def _check_chosen(value: int) -> int:
    if value not in _CHOSEN_DATA_CODINGS:
        raise ValueError("texts are cut with data_coding 0 (default), 3 (Latin-1), 4 (binary) or 8 (UCS-2)")
    return value


ChosenDataCoding = Annotated[int, BeforeValidator(_read_number), AfterValidator(_check_chosen)]
WireDataCoding = Annotated[int, Field(ge=0, le=0xFF)]


@lru_cache(maxsize=1)
def _status_codes() -> dict[str, int]:
    # Late, because few configurations name a status and every command of ours reads the settings.
    from adapters.smpp.wire.constants import STATUS_NAMES

    return {name: code for code, name in STATUS_NAMES.items()}


def status_code(text: str) -> int:
    """Return the command_status that a name ("ESME_RTHROTTLED") or a number ("0x58", "88") says; ValueError if none."""
    code = _status_codes().get(text.upper())
    if code is None:
        try:
            code = int(text, 0)
        except ValueError:
            raise ValueError(
                f"{text!r} is no command_status known here; write its name (ESME_RTHROTTLED) or its code (0x58)"
            ) from None
    if not 0 < code <= _MAX_STATUS:
        raise ValueError(f"{text!r} is not within 0x1 to 0xFFFFFFFF: 0 is success and stays success")
    return code


def _check_status(text: str) -> str:
    status_code(text)
    return text


StatusText = Annotated[str, AfterValidator(_check_status)]


class AddressingSettings(Section):
    """How one kind of address is typed on the wire."""

    ton: int = Field(ge=0, le=6, description="Type of number (SMPP 3.4 §5.2.5).", examples=["1"])
    npi: int = Field(ge=0, le=18, description="Numbering plan indicator (SMPP 3.4 §5.2.6).", examples=["1"])


class TimingSettings(Section):
    """How long a session waits for what."""

    connect_timeout_s: float = Field(
        10.0, gt=0, le=120, description="Wait for the TCP connection and the TLS handshake.", examples=["5"]
    )
    bind_timeout_s: float = Field(
        10.0, gt=0, le=120, description="Wait for the bind response.", examples=["10"]
    )
    response_timeout_s: float = Field(
        20.0,
        gt=0,
        le=300,
        description="Wait for a submit response; after it nobody knows whether the segment was taken.",
        examples=["30"],
    )
    enquire_link_s: float = Field(
        30.0, gt=0, le=3600, description="Silence after which the link is probed.", examples=["60"]
    )
    enquire_link_response_s: float = Field(
        10.0, gt=0, le=300, description="Wait for the answer to a probe.", examples=["10"]
    )
    enquire_link_tries: int = Field(
        1, ge=1, le=10, description="Unanswered probes after which the session is dropped.", examples=["2"]
    )
    unbind_timeout_s: float = Field(
        5.0, gt=0, le=60, description="Wait for the answer to our unbind.", examples=["5"]
    )
    reconnect_min_s: float = Field(
        1.0, gt=0, le=600, description="Shortest wait before a lost bind is made again.", examples=["2"]
    )
    reconnect_max_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        validate_default=True,
        description="Longest wait before a lost bind is made again; waits double up to it, with jitter. One that "
        "stood for a while waits a quarter of it at most, and a bind that stands again calls the others.",
        examples=["120"],
    )
    refused_bind_s: float = Field(
        300.0,
        ge=1,
        le=86_400,
        description="Wait after a wrong password or system_id; carriers lock accounts that hurry.",
        examples=["600"],
    )

    @field_validator("reconnect_max_s")
    @classmethod
    def _not_below_min(cls, value: float, info: ValidationInfo) -> float:
        least = info.data.get("reconnect_min_s")
        if least is not None and value < least:
            raise ValueError(f"below reconnect_min_s ({least:g})")
        return value


class ProfileSettings(TimingSettings):
    """How a carrier's dialect differs from the standard; data only, no code by carrier."""

    interface_version: int = Field(
        0x34,
        ge=0x33,
        le=0x50,
        description="interface_version of the bind; below 0x34 no TLVs are sent.",
        examples=["0x34"],
        json_schema_extra={"limits": "0x33 to 0x50"},
    )
    system_type: Printable = Field(
        "", max_length=12, description="system_type of the bind.", examples=['"SMPP"']
    )
    address_range: Printable = Field(
        "", max_length=40, description="address_range of the bind.", examples=['"^22222$"']
    )
    service_type: Printable = Field(
        "", max_length=5, description="service_type of submits.", examples=['"CMT"']
    )
    protocol_id: int = Field(0, ge=0, le=0xFF, description="protocol_id of submits.", examples=["0"])
    esm_class: int = Field(
        0, ge=0, le=3, description="Messaging mode of submits, bits 0-1 of esm_class.", examples=["3"]
    )
    priority_flag_otp: int = Field(
        0, ge=0, le=3, description="priority_flag of class `otp`; all other classes have 0.", examples=["1"]
    )
    sends_validity: bool = Field(
        True,
        description="Send validity_period, which is what remains of the validity at submit. "
        "`false` leaves it to the carrier; expired messages are held back all the same.",
        examples=["false"],
    )

    default_alphabet: Literal["gsm7", "latin1", "ascii"] = Field(
        "gsm7",
        description="Meaning of data_coding 0, out and in; a text it lacks a character of goes as UCS-2.",
        examples=['"latin1"'],
    )
    data_coding: dict[ChosenDataCoding, WireDataCoding] = Field(
        {},
        description="data_coding on the wire for the one that the text was cut with "
        "(0 default, 3 Latin-1, 4 binary, 8 UCS-2).",
        examples=["{0 = 0xF1, 8 = 0x18}"],
        json_schema_extra={"limits": "keys 0, 3, 4, 8; values 0 to 255"},
    )
    packed_septets: bool = Field(
        False,
        description="Pack GSM septets as on the air, 160 in 140 octets, instead of one per octet.",
        examples=["true"],
    )
    split: Literal["udh", "sar", "payload"] = Field(
        "udh",
        description="How long texts go: parts with a header (udh) or with TLVs (sar), or whole in "
        "message_payload (payload).",
        examples=['"sar"'],
    )
    reference_bits: Literal[8, 16] = Field(
        8,
        description="Bits of the concatenation reference in the header; 16 cost one septet a part. SAR always has 16.",
        examples=["16"],
    )
    national_single_shift: Literal[0, 2, 3] = Field(
        0,
        description="National table for single characters: 2 Spanish, 3 Portuguese, 0 none.",
        examples=["2"],
    )
    national_locking_shift: Literal[0, 3] = Field(
        0, description="National table instead of the default one: 3 Portuguese, 0 none.", examples=["3"]
    )

    short_code: AddressingSettings = Field(
        AddressingSettings(ton=3, npi=0),
        description="Addressing of short code senders.",
        examples=["{ton = 0, npi = 1}"],
    )
    long_number: AddressingSettings = Field(
        AddressingSettings(ton=1, npi=1),
        description="Addressing of long number senders.",
        examples=["{ton = 1, npi = 1}"],
    )
    alphanumeric: AddressingSettings = Field(
        AddressingSettings(ton=5, npi=0),
        description="Addressing of alphanumeric senders.",
        examples=["{ton = 5, npi = 0}"],
    )
    recipient: AddressingSettings = Field(
        AddressingSettings(ton=1, npi=1),
        description="Addressing of recipients.",
        examples=["{ton = 1, npi = 1}"],
    )

    receipt_id_format: Literal["string", "decimal", "hex", "resp_hex_receipt_dec", "resp_dec_receipt_hex"] = (
        Field(
            "string",
            description="How ids of submit responses and receipts are written.",
            examples=['"resp_hex_receipt_dec"'],
        )
    )
    receipt_time_zone: ZoneName | None = Field(
        None,
        description="Zone of the dates in receipts; they are shown in UTC then, else as the carrier wrote them. "
        "No duration is ever computed from them.",
        examples=['"America/Mexico_City"'],
        json_schema_extra={"limits": "IANA name"},
    )
    registered_delivery: int = Field(
        1,
        ge=0,
        le=2,
        description="Receipts asked for: 0 none, 1 success and failure, 2 failure only.",
        examples=["1"],
    )
    intermediate_receipts: bool = Field(
        False, description="Ask for intermediate notifications too (bit 4).", examples=["true"]
    )
    status: dict[StatusText, StatusReaction] = Field(
        {},
        description="What a command_status of a submit response means here, by name or code, "
        "where it differs from the table.",
        examples=['{ESME_RINVDSTADR = "failover", 0x0400 = "throttle"}'],
        json_schema_extra={
            "limits": "names and 0x codes; `throttle`, `retry_later`, `failover`, `permanent`, `rebind`"
        },
    )

    @field_validator("packed_septets", "national_single_shift", "national_locking_shift")
    @classmethod
    def _of_gsm7(cls, value: int, info: ValidationInfo) -> int:
        alphabet = info.data.get("default_alphabet", "gsm7")
        if value and alphabet != "gsm7":
            raise ValueError(f'needs default_alphabet = "gsm7", which is {alphabet!r}')
        return value

    @field_validator("split")
    @classmethod
    def _with_tlvs(cls, value: str, info: ValidationInfo) -> str:
        version = info.data.get("interface_version", _VERSION_WITH_TLVS)
        if value != "udh" and version < _VERSION_WITH_TLVS:
            raise ValueError(f"needs TLVs, which interface_version 0x{version:X} does not know (0x34 does)")
        return value

    @field_validator("status")
    @classmethod
    def _each_once(cls, value: dict[str, StatusReaction]) -> dict[str, StatusReaction]:
        seen: dict[int, str] = {}
        for text in value:
            code = status_code(text)
            if code in seen:
                raise ValueError(f"{seen[code]} and {text} are the same command_status")
            seen[code] = text
        return value
