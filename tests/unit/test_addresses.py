"""Senders and the clean-up of written numbers (sms-domain D)."""

import pytest

from gateway.domain.addresses import (
    Recipient,
    Sender,
    SenderKind,
    clean_number,
    modern_mexican,
    modern_msisdn,
    parse_sender,
)
from gateway.domain.errors import AddressError


def test_d1_alphanumeric_sender():
    assert parse_sender("BancoMX") == Sender(SenderKind.ALPHANUMERIC, "BancoMX", 5, 0)
    assert parse_sender("Luz & Co. 2").source_addr == "Luz & Co. 2"
    assert parse_sender("ABCDEFGHIJK").source_addr == "ABCDEFGHIJK"


def test_d1_twelve_characters_are_refused_with_value_and_limit():
    with pytest.raises(AddressError, match="'ABCDEFGHIJKL' has 12 characters, the limit is 11") as caught:
        parse_sender("ABCDEFGHIJKL")
    assert caught.value.code == "invalid_sender"


@pytest.mark.parametrize("text", ["+525512345678", "525512345678", "+52 55 1234-5678", "tel:+525512345678"])
def test_d2_long_number_has_no_plus_on_the_wire(text):
    assert parse_sender(text) == Sender(SenderKind.LONG_NUMBER, "525512345678", 1, 1)


@pytest.mark.parametrize("text", ["123", "26262", "890123"])
def test_d3_short_code(text):
    assert parse_sender(text) == Sender(SenderKind.SHORT_CODE, text, 3, 0)


@pytest.mark.parametrize(
    "text",
    ["Señal", "a@b", "", "12", "+12", "+05512345678", "   ", " Banco", "Banco ", "a[b]", "a~b", "a`b", "a\nb", "a\0b",
     "12-34!", "B\u00a0X", "\u202aX", "１２ab", "+1234567890123456", "x" * 1000],
)  # fmt: skip
def test_d4_other_senders_are_refused(text):
    with pytest.raises(AddressError) as caught:
        parse_sender(text)
    assert caught.value.code == "invalid_sender"
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("written", ["+521{}", "044{}", "045{}", "+52044{}", "+52045{}"])
def test_d6_old_mexican_forms_lose_their_prefix(written):
    assert modern_mexican(written.format("5512345678")) == "+525512345678"
    assert modern_mexican(written.format("5512345678"), default_region="MX") == "+525512345678"


@pytest.mark.parametrize("number", ["+525512345678", "+5215", "+573001112233", "04412345", "5215512345678"])
def test_d6_other_numbers_are_left_alone(number):
    assert modern_mexican(number) == number


def test_d6_forms_without_country_code_mean_mexico_only_there_or_nowhere():
    assert modern_mexican("0445512345678", default_region="CL") == "0445512345678"
    assert modern_mexican("+5215512345678", default_region="CL") == "+525512345678"
    assert modern_mexican("5215512345678", default_region="MX") == "+525512345678"
    assert modern_mexican("5512345678", default_region="MX") == "5512345678"


def test_d6_whatsapp_ids_join_with_modern_numbers():
    assert modern_msisdn("5215512345678") == "525512345678"
    assert modern_msisdn("573001112233") == "573001112233"


@pytest.mark.parametrize(
    "text",
    ["+52\u00a055\u00a01234\u00a05678", "\u202a+52 55 1234 5678\u202c", "\u200e+525512345678", "＋５２５５１２３４５６７８",
     "tel:+52-55-1234-5678", " TEL: +52(55)1234.5678", "(+52) 55 1234 5678", "+ 52 55 1234 5678", "+52\u201355\u20131234\u20135678", "\ufeff+525512345678",
     "+٥٢٥٥١٢٣٤٥٦٧٨"],
)  # fmt: skip
def test_d9_written_forms_are_cleaned(text):
    assert clean_number(text) == "+525512345678"


@pytest.mark.parametrize("text", ["", "abc", "52+55", "+", "+52 55 1234 ext 5", "++5255", "()", "5" * 65])
def test_d9_what_is_no_number_is_returned_unchanged(text):
    assert clean_number(text) == text


def test_recipient_shows_its_plus_only_outside():
    assert Recipient("525512345678", "MX", "mobile").e164 == "+525512345678"
