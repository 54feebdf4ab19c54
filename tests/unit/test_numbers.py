"""Recipients by the numbering plans (sms-domain D5-D10)."""

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.addresses import Recipient
from gateway.domain.errors import AddressError
from gateway.intake import numbers
from gateway.intake.numbers import look_up, parse_msisdn, parse_recipient


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+525512345678", Recipient("525512345678", "MX", "fixed_line_or_mobile")),
        ("+56987654321", Recipient("56987654321", "CL", "fixed_line_or_mobile")),
        ("+573001112233", Recipient("573001112233", "CO", "mobile")),
        ("+576012345678", Recipient("576012345678", "CO", "fixed_line")),
        ("+528001234567", Recipient("528001234567", "MX", "toll_free")),
        ("+14155552671", Recipient("14155552671", "US", "fixed_line_or_mobile")),
        ("+80012345678", Recipient("80012345678", "001", "toll_free")),
    ],
)
def test_d5_d7_valid_numbers_with_region_and_type(text, expected):
    assert parse_recipient(text) == expected


@pytest.mark.parametrize(
    "text", ["+5215512345678", "0445512345678", "045 55 1234 5678", "+52 1 55 1234 5678"]
)
def test_d6_old_mexican_forms_are_rewritten_before_validating(text):
    assert parse_recipient(text).msisdn == "525512345678"


def test_d6_the_package_alone_would_refuse_them():
    assert not phonenumbers.is_valid_number(phonenumbers.parse("+5215512345678"))


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("+56912345678", "'+56912345678' is not a valid number"),  # D8
        ("300111", "'300111' has no country code"),
        ("525512345678", "'525512345678' has no country code"),  # D10
        ("+999123456", "'+999123456' is not a valid number"),
        ("+1", "'+1' is not a valid number"),
        ("+", "'+' is not a phone number"),
        ("", "'' is not a phone number"),
        ("Ana", "'Ana' is not a phone number"),
        ("+52 55 1234 5678 ext 9", "'+52 55 1234 5678 ext 9' is not a phone number"),
        ("+" + "5" * 200, "'+" + "5" * 39 + "'... is not a valid number"),
        ("\ud800", "'\\ud800' is not a phone number"),
    ],
)
def test_d8_d10_refused_numbers_say_why(text, detail):
    with pytest.raises(AddressError) as caught:
        parse_recipient(text)
    assert caught.value.code == "invalid_number"
    assert caught.value.detail == detail


@pytest.mark.parametrize(
    "text", ["\u202a+52\u00a055 1234 5678\u202c", "＋５２５５１２３４５６７８", "tel:+52-55-1234-5678"]
)
def test_d9_written_forms(text):
    assert parse_recipient(text).e164 == "+525512345678"


@pytest.mark.parametrize(
    ("text", "region", "msisdn"),
    [
        ("5512345678", "MX", "525512345678"),
        ("525512345678", "MX", "525512345678"),
        ("5215512345678", "MX", "525512345678"),
        ("0445512345678", "MX", "525512345678"),
        ("9 8765 4321", "CL", "56987654321"),
        ("300 111 2233", "CO", "573001112233"),
        ("0057 300 111 2233", "CL", "573001112233"),
        ("00 56 9 8765 4321", "MX", "56987654321"),
        ("(415) 555-2671", "US", "14155552671"),
        ("+14155552671", "MX", "14155552671"),
        ("55123", "MX", None),
    ],
)
def test_d10_national_numbers_with_a_default_region(text, region, msisdn):
    if msisdn is None:
        with pytest.raises(AddressError, match="not a valid number"):
            parse_recipient(text, region)
    else:
        assert parse_recipient(text, region).msisdn == msisdn


def test_d10_an_account_may_say_that_its_digits_are_international():
    assert parse_recipient("525512345678", digits_are_international=True).msisdn == "525512345678"
    with pytest.raises(AddressError, match="not a phone number"):
        parse_recipient("abc", digits_are_international=True)


def test_unknown_regions_are_refused():
    with pytest.raises(AddressError, match="'XX' is not a region") as caught:
        parse_recipient("5512345678", "XX")
    assert caught.value.code == "invalid_region"


def test_the_cache_is_bounded():
    assert look_up.cache_info().maxsize == numbers.CACHED_NUMBERS


def oracle(number: str, region: str | None) -> Recipient | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    kind = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(parsed)).lower()
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return Recipient(e164[1:], phonenumbers.region_code_for_number(parsed), kind)


def ours(number: str, region: str | None) -> Recipient | None:
    try:
        found = parse_recipient(number, region)
    except AddressError:
        with pytest.raises(AddressError):
            parse_msisdn(number, region)
        return None
    assert parse_msisdn(number, region) == found.msisdn
    return found


DIGITS = st.text("0123456789", min_size=4, max_size=12)


@given(st.sampled_from(["52", "56", "57", "1", "44", "54", "55", "51", "593"]), DIGITS)
@example("56", "44" + "1234567")
@example("57", "01234567890")
def test_d5_international_numbers_agree_with_phonenumbers(code, digits):
    number = f"+{code}{digits}"
    if code == "52" and len(digits) in (11, 13):
        return  # the old forms, rewritten on purpose (D6)
    assert ours(number, None) == oracle(number, None)


@given(
    st.sampled_from(["MX", "CL", "CO"]),
    DIGITS,
    st.sampled_from(["", "3", "9", "55", "60", "1", "11", "52", "57"]),
)
def test_d5_national_numbers_agree_with_phonenumbers(region, digits, start):
    number = start + digits
    if region == "MX" and number.startswith(("044", "045", "521")):
        return
    assert ours(number, region) == oracle(number, region)


@pytest.mark.parametrize("code", ["52", "56", "57"])
def test_d5_every_prefix_of_a_home_market_agrees_with_phonenumbers(code):
    length = {"52": 10, "56": 9, "57": 10}[code]
    disagreeing = [
        number
        for prefix in range(10_000)
        for number in [f"+{code}{prefix:04d}{'7' * (length - 4)}"]
        if prefix % 7 == 0 and ours(number, None) != oracle(number, None)
    ]
    assert disagreeing == []
