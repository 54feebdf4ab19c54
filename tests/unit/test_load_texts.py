"""Texts of a load: every segment tells its message, whoever cuts it; recipients are nobody's and valid."""

from itertools import islice

import pytest

from gateway.domain.gsm7 import decode_unpacked
from gateway.domain.segmentation import segment_text
from gateway.intake.numbers import parse_recipient
from loadtest.running.books import first_id, message_id
from loadtest.running.texts import (
    MAX_RECIPIENTS,
    TOKEN,
    Kind,
    TextMaker,
    kinds,
    recipient,
    recipients,
    token,
)


@pytest.mark.parametrize("alphabet", ["gsm7", "ucs2"])
@pytest.mark.parametrize("segment_count", range(1, 11))
@pytest.mark.parametrize("reference_bits", [8, 16])
def test_every_segment_of_a_text_has_its_token(
    alphabet: str, segment_count: int, reference_bits: int
) -> None:
    text = TextMaker("3f2").text(Kind("otp", alphabet, segment_count), 0xABCDE)
    cut = segment_text(text, reference_bits=reference_bits)
    assert (cut.encoding, cut.segment_count) == (alphabet, segment_count)
    for segment in cut.segments:
        octets = segment.short_message[len(segment.udh) :]
        said = octets.decode("utf-16-be") if alphabet == "ucs2" else decode_unpacked(octets)
        found = TOKEN.search(said)
        assert found is not None
        assert found[1] == token("3f2", 0xABCDE)


def test_no_two_messages_have_the_same_text() -> None:
    make, kind = TextMaker("000"), Kind("otp", "gsm7", 1)
    assert len({make.text(kind, number) for number in range(2_000)}) == 2_000


def test_a_nonce_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'xyz' is not three hex digits"):
        TextMaker("xyz")


def test_recipients_are_valid_numbers_of_the_documentation_without_a_meaning_at_simulators() -> None:
    numbers = [recipient(index) for index in range(0, MAX_RECIPIENTS, 7)]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        assert number.startswith(("+52551234", "+5698765", "+57300111"))
        assert int(number[-2:]) >= 10
        assert parse_recipient(number).e164 == number
    with pytest.raises(ValueError, match="recipient 27000 is outside"):
        recipient(MAX_RECIPIENTS)


def test_a_recipient_comes_again_only_after_all_others() -> None:
    drawn = list(islice(recipients(50, seed=7), 150))
    assert drawn[:50] == drawn[50:100] == drawn[100:]
    assert sorted(drawn[:50]) == list(range(50))
    assert drawn != list(islice(recipients(50, seed=8), 150))


def test_kinds_are_every_combination_that_occurs_with_shares_that_add_up() -> None:
    found, shares = kinds({"otp": 0.25, "marketing": 0.75}, gsm7=1.0, segments={1: 0.9, 2: 0.1})
    assert found == [
        Kind("otp", "gsm7", 1),
        Kind("otp", "gsm7", 2),
        Kind("marketing", "gsm7", 1),
        Kind("marketing", "gsm7", 2),
    ]
    assert shares == pytest.approx([0.225, 0.025, 0.675, 0.075])


def test_an_id_of_the_database_is_written_as_the_api_writes_it() -> None:
    from uuid import UUID

    from gateway.domain.ids import format_id

    for value in (UUID(int=0), UUID(int=2**128 - 1), UUID("0192e4a0-1234-7abc-8def-0123456789ab")):
        assert message_id(value) == format_id("msg", value)
    assert first_id(1_700_000_000_000) < UUID("018bcfe5-6800-7000-8000-000000000000")
