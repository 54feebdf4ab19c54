"""From what a client writes in `to` to a recipient, by the numbering plans of the `phonenumbers` package.

A full look-up there costs 40 to 100 microseconds. Numbers of the home markets are therefore answered by regular
expressions made at import from the package's own metadata: one that matches is exactly what the package would say
(a property test compares them); one that does not goes the long way, which is cached.
"""

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneMetadata, PhoneNumberType
from phonenumbers.phonemetadata import PhoneNumberDesc

from gateway.domain.addresses import Recipient, clean_number, modern_mexican
from gateway.domain.errors import AddressError, quoted

HOME_REGIONS = ("MX", "CL", "CO")
CACHED_NUMBERS = 65_536  # about 20 MB when full

_TYPE_NAMES = {value: name.lower() for name, value in vars(PhoneNumberType).items() if name.isupper()}
# The order in which phonenumbers asks: these win over fixed line and mobile.
_OTHER_KINDS = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
_DIGITS = re.compile(r"[0-9]+").fullmatch
_CAPTURING = re.compile(r"\((?!\?)")


def _uncaptured(pattern: str) -> str:
    """Return a metadata pattern without groups of its own; no parenthesis in them is literal."""
    return _CAPTURING.sub("(?:", pattern)


def _metadata(region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None, region
    return metadata


def _is(desc: PhoneNumberDesc | None) -> str:
    """Return a pattern that stands where a national number of this kind stands; never matches for a missing kind."""
    if desc is None or not desc.national_number_pattern:
        return "(?!)"
    lengths = "|".join(f"[0-9]{{{length}}}" for length in desc.possible_length)
    length_check = f"(?=(?:{lengths})\\Z)" if lengths else ""
    return f"{length_check}(?=(?:{_uncaptured(desc.national_number_pattern)})\\Z)"


def _national_pattern(region: str, *, prefixes: tuple[str | None, ...]) -> str:
    """Return a pattern of the national numbers of which phonenumbers changes nothing; three empty groups tell the type.

    A number that starts with one of `prefixes` is left to phonenumbers, which may strip it; so is a leading zero.
    """
    metadata = _metadata(region)
    others = "|".join(_is(getattr(metadata, kind)) for kind in _OTHER_KINDS)
    stripped = "".join(f"(?!{_uncaptured(prefix)})" for prefix in prefixes if prefix)
    fixed, mobile = _is(metadata.fixed_line), _is(metadata.mobile)
    return (
        f"(?!0){stripped}{_is(metadata.general_desc)}(?!{others})"
        f"(?:{fixed}{mobile}()|{fixed}()|{mobile}())[0-9]+"
    )


def _plain_pattern(region: str) -> str:
    """Return a pattern of mobile and fixed numbers of which phonenumbers changes nothing, whatever else they may be."""
    metadata = _metadata(region)
    strips = metadata.national_prefix_for_parsing
    stripped = f"(?!{_uncaptured(strips)})" if strips else ""
    kinds = f"(?:{_is(metadata.mobile)}|{_is(metadata.fixed_line)})"
    return f"{metadata.country_code}(?!0){stripped}{_is(metadata.general_desc)}{kinds}[0-9]+"


_GROUP_TYPES = ("fixed_line_or_mobile", "fixed_line", "mobile")


def _home_plans() -> tuple[str, tuple[tuple[str, str], ...], dict[str, tuple[str, re.Pattern[str]]]]:
    branches, types, national = [], [], {}
    for region in HOME_REGIONS:
        metadata = _metadata(region)
        code = str(metadata.country_code)
        # The package must know one region and one meaning for the code, else the look-up is not ours to shorten.
        if COUNTRY_CODE_TO_REGION_CODE[int(code)] != (region,) or metadata.same_mobile_and_fixed_line_pattern:
            continue  # pragma: no cover - only a future numbering plan
        strips = metadata.national_prefix_for_parsing
        branches.append(code + _national_pattern(region, prefixes=(strips,)))
        types += [(region, number_type) for number_type in _GROUP_TYPES]
        # Dialled at home, the international prefix of the region would change the meaning of the first digits.
        at_home = _national_pattern(region, prefixes=(strips, metadata.international_prefix))
        national[region] = (code, re.compile(at_home))
    return rf"\+(?:{'|'.join(branches)})", tuple(types), national


_home_pattern, _HOME_TYPES, _NATIONAL = _home_plans()
_home = re.compile(_home_pattern).fullmatch
_home_digits = re.compile(
    rf"\+(?:{'|'.join(_plain_pattern(region) for region in dict.fromkeys(region for region, _ in _HOME_TYPES))})"
).fullmatch


def parse_msisdn(
    text: str, default_region: str | None = None, *, digits_are_international: bool = False
) -> str:
    """Return the `msisdn` of what `parse_recipient` says; most numbers are read at a third of its price."""
    if _home_digits(text):
        return text[1:]
    found = parse_recipient(text, default_region, digits_are_international=digits_are_international)
    return found.msisdn


def parse_recipient(
    text: str, default_region: str | None = None, *, digits_are_international: bool = False
) -> Recipient:
    """Return the recipient that a text names (sms-domain D5-D10); AddressError `invalid_number` says what is wrong.

    `default_region` is an ISO code for numbers written without plus; without it they are refused, unless
    `digits_are_international` says that the account leaves the plus away.
    """
    match = _home(text)
    if match is not None:
        return _home_recipient(text, match)
    number = clean_number(text)
    if default_region is not None:
        number = _with_plus(number, default_region)
    elif digits_are_international and _DIGITS(number):
        number = "+" + number
    number = modern_mexican(number, default_region=default_region)
    match = _home(number)
    if match is not None:
        return _home_recipient(number, match)
    if not number.startswith("+") and default_region is None and _DIGITS(number):
        raise AddressError("invalid_number", f"{quoted(text)} has no country code")
    if _DIGITS(number.removeprefix("+")) is None:
        raise AddressError("invalid_number", f"{quoted(text)} is not a phone number")
    found = look_up(number, default_region)
    if found is None:
        raise AddressError("invalid_number", f"{quoted(text)} is not a valid number")
    return found


def _home_recipient(number: str, match: re.Match[str]) -> Recipient:
    region, number_type = _HOME_TYPES[match.lastindex - 1]  # type: ignore[operator]  # one group always matches
    return Recipient(number[1:], region, number_type)


def _with_plus(number: str, default_region: str) -> str:
    """Write a plain national number of a home region internationally; leave what phonenumbers must judge."""
    plan = _NATIONAL.get(default_region)
    return f"+{plan[0]}{number}" if plan is not None and plan[1].fullmatch(number) else number


@lru_cache(maxsize=CACHED_NUMBERS)
def look_up(number: str, default_region: str | None) -> Recipient | None:
    """Return what phonenumbers says of optional plus and digits: the recipient, or None when it is not valid."""
    if default_region is not None and default_region not in phonenumbers.SUPPORTED_REGIONS:
        raise AddressError("invalid_region", f"{quoted(default_region)} is not a region that has numbers")
    try:
        parsed = phonenumbers.parse(number, default_region)
    except NumberParseException:
        return None
    number_type = phonenumbers.number_type(parsed)
    region = phonenumbers.region_code_for_number(parsed)
    if region is None or number_type == PhoneNumberType.UNKNOWN:
        return None
    msisdn = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:]
    return Recipient(msisdn, region, _TYPE_NAMES[number_type])
