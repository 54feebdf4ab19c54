"""What every part of the settings tree is made of."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from throttling.rates import Rate


class SettingsError(Exception):
    """The configuration cannot be used; the text names file, line, key and limit."""


class Section(BaseModel):
    """A table of the file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_rate(text: str) -> str:
    Rate.parse(text)
    return text


RateText = Annotated[str, AfterValidator(_check_rate)]


def check_printable(text: str) -> str:
    """Return the text; ValueError unless it can be written into a C-octet string as it is."""
    # NUL would end it, and nobody agrees on what lies beyond ASCII.
    if not (text.isascii() and text.isprintable()):
        raise ValueError("only printable ASCII characters can be written into a bind or a submit")
    return text


Printable = Annotated[str, AfterValidator(check_printable)]


def read_secret(path: Path) -> str:
    """Return what a file of secrets holds, without white space around it; SettingsError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"cannot read the secret {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"the secret {path} is not UTF-8 text") from None
