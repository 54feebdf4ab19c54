"""Keywords of handsets (sms-domain 4.3)."""

import pytest

from gateway.policy.keywords import KeywordAction, KeywordSet, fold_keyword, recognise_keyword


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop", " Stop. ", "STOP!!!", "¡Baja!", "BAJA\n", "Bajá", "ＳＴＯＰ", "s.t.o.p", "StopAll", "unsubscribe",
     "cancel", "END", "quit", "salir", "Cancelar", "detener", "parar", "alto", "sair", "“STOP”", "STOP 🛑", "stop\u200b"],
)  # fmt: skip
def test_opt_out_words(text):
    assert recognise_keyword(text) == KeywordAction.OPT_OUT == "opt_out"


@pytest.mark.parametrize(
    ("text", "action"),
    [("START", "opt_in"), ("unstop", "opt_in"), ("Yes", "opt_in"), ("alta", "opt_in"), ("HELP?", "help"), ("info", "help"), ("AYÚDA", "help")],
)  # fmt: skip
def test_opt_in_and_help_words(text, action):
    assert recognise_keyword(text) == action


@pytest.mark.parametrize(
    "text",
    ["la baja calidad", "please stop", "STOP now", "", "  ", "!!!", "bajada", "no", "stop" + "!" * 200],
)
def test_only_the_whole_message_counts(text):
    assert recognise_keyword(text) == "mo"


def test_words_belong_to_a_sender():
    appointments = KeywordSet.of(opt_out="BAJA", opt_in="ALTA", help="¿Ayuda?")
    assert recognise_keyword("cancelar", keywords=appointments) == "mo"
    assert recognise_keyword("Ayuda", keywords=appointments) == "help"


def test_folding_keeps_letters_digits_and_single_spaces():
    assert fold_keyword("  ¡Adiós,\t Ñandú 2!  ") == "adios nandu 2"
