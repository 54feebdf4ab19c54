"""Which country a number is of, by its first digits: cheap enough to be asked inside the database.

Calling codes have one to three digits and none begins another, so three digits tell. The countries that share +1 are
told apart by their area codes, so there it is four. Other countries that share a code (such as the islands of +44)
count as the main one of it. Used by `gateway.reporting.roller`.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumber, region_code_for_number

_SHARED: Final = 1
_SUBSCRIBER: Final = 2_345_678
"""Any subscriber's number: the area code alone decides."""
_NO_COUNTRY: Final = "001"
"""What the package calls codes that are no country's: satellites, international freephone."""
# Russia and Kazakhstan share +7, which the second digit parts.
_KAZAKHSTAN: Final = ("76", "77")


@lru_cache(maxsize=1)
def country_by_prefix() -> Mapping[str, str]:
    """Return ISO 3166 codes by the first three digits of a number, or four where the first is 1."""
    found: dict[str, str] = {}
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        if regions[0] == _NO_COUNTRY:
            continue
        if code == _SHARED:
            found |= _by_area(regions[0])
        else:
            found |= dict.fromkeys(_three_digits(str(code)), regions[0])
    for prefix in _KAZAKHSTAN:
        found |= dict.fromkeys(_three_digits(prefix), "KZ")
    return MappingProxyType(found)


def country_of(number: str) -> str:
    """Return the country of an E.164 number without plus, "" where there is none; as the database counts it."""
    return country_by_prefix().get(number[: 4 if number.startswith("1") else 3], "")


def _three_digits(prefix: str) -> list[str]:
    rest = 3 - len(prefix)
    return [f"{prefix}{number:0{rest}d}" for number in range(10**rest)] if rest else [prefix]


def _by_area(main: str) -> dict[str, str]:
    """Return the countries of +1 by area code, as a number of each is judged; the main one where none is."""
    found = {}
    for area in range(200, 1000):
        number = PhoneNumber(country_code=_SHARED, national_number=area * 10**7 + _SUBSCRIBER)
        found[f"{_SHARED}{area}"] = region_code_for_number(number) or main
    return found
