"""Senders and recipients as values, and the clean-up of numbers as people write them.

Whether a number exists is not decided here: `gateway.intake.numbers` asks the numbering plans.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from unicodedata import category, decimal, normalize

from gateway.domain.errors import AddressError, quoted

_MAX_WRITTEN = 64  # characters of a number with its blanks; E.164 has 15 digits
MAX_ALPHANUMERIC = 11  # 3GPP TS 23.040 §9.1.2.5: ten octets of packed septets
TON_UNKNOWN, TON_INTERNATIONAL, TON_NETWORK_SPECIFIC, TON_ALPHANUMERIC = 0, 1, 3, 5  # SMPP 3.4 §5.2.5
NPI_UNKNOWN, NPI_ISDN = 0, 1  # SMPP 3.4 §5.2.6


class SenderKind(StrEnum):
    SHORT_CODE = "short_code"
    LONG_NUMBER = "long_number"
    ALPHANUMERIC = "alphanumeric"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a message comes from, as on the wire. TON and NPI are defaults; a carrier profile may replace them (D3)."""

    kind: SenderKind
    source_addr: str
    ton: int
    npi: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """A valid number. `msisdn` is E.164 without plus; `region` an ISO code ("001" for none); `number_type` lower case."""

    msisdn: str
    region: str
    number_type: str

    @property
    def e164(self) -> str:
        """The number with its plus, as the API shows it."""
        return "+" + self.msisdn


_SHORT_CODE = re.compile(r"[0-9]{3,6}").fullmatch
_LONG_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})").fullmatch
# One septet each in the GSM alphabet, so any carrier can carry them. @ is code 00 there and ends a C-string (D4);
# the others of ASCII that are missing need an escape or do not exist at all.
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9!#%&'()*+,./:;<=>?_$\" -]+").fullmatch


def parse_sender(text: str) -> Sender:
    """Return the sender that a text names (sms-domain D1-D4, D9); AddressError `invalid_sender` names value and limit."""
    if _SHORT_CODE(text):
        return Sender(SenderKind.SHORT_CODE, text, TON_NETWORK_SPECIFIC, NPI_UNKNOWN)
    number = _LONG_NUMBER(clean_number(text))
    if number is not None:
        return Sender(SenderKind.LONG_NUMBER, number[1], TON_INTERNATIONAL, NPI_ISDN)
    if len(text) > MAX_ALPHANUMERIC:
        raise AddressError(
            "invalid_sender", f"{quoted(text)} has {len(text)} characters, the limit is {MAX_ALPHANUMERIC}"
        )
    if text != text.strip() or _ALPHANUMERIC(text) is None:
        raise AddressError(
            "invalid_sender",
            f"{quoted(text)} is neither a short code (3-6 digits), a number in E.164, nor 1-11 plain ASCII characters",
        )
    return Sender(SenderKind.ALPHANUMERIC, text, TON_ALPHANUMERIC, NPI_UNKNOWN)


_TEL_URI = re.compile(r"\s*tel:\s*", re.IGNORECASE)
# What people put between digits: blanks, dots, dashes, slashes, parentheses.
_WRITTEN = re.compile(r"[ \t(]*((?:\+[ \t(]*)?[0-9][0-9 \t().\-/]*)").fullmatch
_SEPARATORS = str.maketrans("", "", " \t().-/")


def clean_number(text: str) -> str:
    """Return a written number as optional plus and ASCII digits (sms-domain D9), or the text unchanged if it is none.

    Takes `tel:`, blanks of all kinds, direction marks and full-width or other decimal digits. More than 64 characters
    are no number.
    """
    if len(text) > _MAX_WRITTEN:
        return text
    candidate = text if text.isascii() else "".join([_plain(char) for char in normalize("NFKC", text)])
    prefix = _TEL_URI.match(candidate)
    if prefix is not None:
        candidate = candidate[prefix.end() :]
    written = _WRITTEN(candidate)
    return text if written is None else written[1].translate(_SEPARATORS)


def _plain(character: str) -> str:
    kind = category(character)
    if kind == "Nd":
        return str(decimal(character))
    if kind == "Cf":  # direction marks, zero-width characters
        return ""
    if kind == "Pd":
        return "-"
    return " " if kind == "Zs" else character


# 044 and 045 were dialled before mobile numbers within Mexico, 1 after +52 from abroad, until 2019.
_OLD_MEXICAN = re.compile(r"(?:\+52(?:1|04[45])|04[45])([2-9][0-9]{9})").fullmatch
_OLD_MEXICAN_AT_HOME = re.compile(r"521([2-9][0-9]{9})").fullmatch


def modern_mexican(number: str, *, default_region: str | None = None) -> str:
    """Return `+52` + 10 digits for the old forms +521.., 044.. and 045.. (sms-domain D6); other numbers unchanged.

    `number` is as `clean_number` returns it. Forms without plus are left alone in other default regions than Mexico;
    there 521.. without plus is old, too.
    """
    if default_region not in (None, "MX") and not number.startswith("+"):
        return number
    old = _OLD_MEXICAN(number)
    if old is None and default_region == "MX":
        old = _OLD_MEXICAN_AT_HOME(number)
    return number if old is None else "+52" + old[1]


def modern_msisdn(msisdn: str) -> str:
    """Return digits without plus in their modern Mexican form: WhatsApp still says 521.. for 52.. (sms-domain D6)."""
    return modern_mexican("+" + msisdn)[1:]
