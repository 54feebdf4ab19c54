"""Opt-out, opt-in and help words in messages from handsets (sms-domain 4.3).

A word counts only when it is the whole message, whatever its case, accents and punctuation: "la baja calidad" means
nothing. Sets of words belong to a sender; the default covers English, Spanish and Portuguese.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from unicodedata import category, normalize

_MAX_MESSAGE = 160  # characters; a longer message is no keyword, however much punctuation it has
_DROPPED = frozenset(
    "PSMC"
)  # punctuation, symbols, marks, controls; what is left is letters, digits and blanks


class KeywordAction(StrEnum):
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"
    MO = "mo"


@dataclass(frozen=True, slots=True)
class KeywordSet:
    """The words of one sender, already folded; a word in two sets counts for the first of opt-out, opt-in, help."""

    opt_out: frozenset[str]
    opt_in: frozenset[str]
    help: frozenset[str]

    @classmethod
    def of(cls, *, opt_out: str, opt_in: str, help: str) -> Self:  # noqa: A002 - the name of the set
        """Return a set from words separated by blanks."""
        return cls(
            *(frozenset(fold_keyword(word) for word in words.split()) for words in (opt_out, opt_in, help))
        )


def fold_keyword(text: str) -> str:
    """Return a text without case, accents, punctuation and outer blanks; inner blanks become one space."""
    folded = normalize("NFKD", normalize("NFKC", text).casefold())
    kept = "".join([char for char in folded if char.isspace() or category(char)[0] not in _DROPPED])
    return " ".join(kept.split())


DEFAULT_KEYWORDS = KeywordSet.of(
    opt_out="STOP STOPALL UNSUBSCRIBE CANCEL END QUIT BAJA SALIR CANCELAR DETENER PARAR ALTO SAIR",
    opt_in="START UNSTOP YES ALTA",
    help="HELP INFO AYUDA",
)


def recognise_keyword(text: str, *, keywords: KeywordSet = DEFAULT_KEYWORDS) -> KeywordAction:
    """Return what a message from a handset asks for; `MO` when it is an ordinary message."""
    if len(text) > _MAX_MESSAGE:
        return KeywordAction.MO
    word = fold_keyword(text)
    if word in keywords.opt_out:
        return KeywordAction.OPT_OUT
    if word in keywords.opt_in:
        return KeywordAction.OPT_IN
    return KeywordAction.HELP if word in keywords.help else KeywordAction.MO
