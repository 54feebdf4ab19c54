"""Transliteration into GSM 7-bit (sms-domain C)."""

import pytest

from gateway.domain.gsm7 import is_gsm7
from gateway.domain.segmentation import count_segments, measure_text
from gateway.domain.transliteration import transliterate


def test_c1_accents_go_and_the_text_becomes_gsm7():
    assert transliterate("Código válido aquí") == "Codigo valido aqui"
    assert measure_text("Código válido aquí", transliterate=True) == ("Codigo valido aqui", "gsm7", 18, 1)


def test_c1_characters_of_the_alphabet_are_kept():
    kept = "ñÑéÉüÜ¿¡àèìòùÇ@€[]"
    assert transliterate(kept) == kept


def test_c1_letters_without_a_composed_form_lose_their_mark():
    assert transliterate("áíóúÁÍÓÚç çãõâêôłœẞ x\u0303") == "aiouAIOUc caoaeoloeSS x"


def test_c1_a_letter_keeps_the_one_mark_that_the_alphabet_has():
    assert transliterate("ǘ") == "ü"


def test_c2_decomposed_input_is_composed_first():
    assert transliterate("Man\u0303ana") == "Mañana"
    assert measure_text("Man\u0303ana") == ("Mañana", "gsm7", 6, 1)


def test_c3_typography():
    assert transliterate("“a” ‘b’ – c… d\u00a0e\tf\u200bg\ufeffh") == "\"a\" 'b' - c... d e fgh"


@pytest.mark.parametrize("text", ["código 😀", "Привет", "日本", "1\ufe0f\u20e3"])
def test_c4_what_has_no_plain_form_stays_and_the_message_is_ucs2(text):
    measured = measure_text(text, transliterate=True)
    assert measured.encoding == "ucs2"
    assert measured.text == text  # nothing is degraded when it saves nothing
    assert "?" not in transliterate(text)


def test_c4_a_text_of_nothing_but_a_bom_is_not_emptied():
    assert count_segments("\ufeff", transliterate=True) == ("ucs2", 1, 1)


def test_c5_off_by_default():
    assert count_segments("código")[0] == "ucs2"


@pytest.mark.parametrize("text", ["año", "an\u0303o"])
def test_c6_ano_trap(text):
    assert transliterate(text) == "año"
    assert is_gsm7(transliterate(text))
