"""Matching the message_id of a submit_sm_resp with the one in its receipt, by the format of the bind.

Carriers answer in hexadecimal and report in decimal, pad with zeros, change the case. Which they do is
configured for each bind; nothing is guessed here.
"""

import re
from typing import Literal

IdFormat = Literal["string", "decimal", "hex", "resp_hex_receipt_dec", "resp_dec_receipt_hex"]
IdSide = Literal["resp", "receipt"]

ID_FORMATS: tuple[IdFormat, ...] = (
    "string",
    "decimal",
    "hex",
    "resp_hex_receipt_dec",
    "resp_dec_receipt_hex",
)

_BASES: dict[IdFormat, dict[IdSide, int]] = {
    "string": {"resp": 0, "receipt": 0},
    "decimal": {"resp": 10, "receipt": 10},
    "hex": {"resp": 16, "receipt": 16},
    "resp_hex_receipt_dec": {"resp": 16, "receipt": 10},
    "resp_dec_receipt_hex": {"resp": 10, "receipt": 16},
}
_DIGITS = {10: re.compile(r"[0-9]+\Z"), 16: re.compile(r"[0-9a-f]+\Z")}

# No carrier's id comes near it; it keeps conversions between bases within Python's digit limit.
_MAX_NUMERIC_ID_CHARACTERS = 1_000


def normalise_id(message_id: str, id_format: IdFormat, *, side: IdSide) -> str:
    """Return a carrier_message_id in the one spelling that both sides of `id_format` share.

    Always lower case and without white space around it. Numeric formats lose leading zeros, and mixed
    ones become decimal. What is not a number in the base of its side stays a plain string, and so
    equals only itself: nothing is guessed.
    """
    plain = message_id.strip(" \t\r\n\0").lower()
    base = _BASES[id_format][side]
    if base == 0 or len(plain) > _MAX_NUMERIC_ID_CHARACTERS or not _DIGITS[base].match(plain):
        return plain
    if base == 16 and id_format != "hex":
        return str(int(plain, 16))
    return plain.lstrip("0") or "0"


def ids_match(resp_id: str, receipt_id: str, id_format: IdFormat) -> bool:
    """Tell whether the id of a submit_sm_resp and that of a receipt are one; an empty id matches none."""
    resp = normalise_id(resp_id, id_format, side="resp")
    return resp != "" and resp == normalise_id(receipt_id, id_format, side="receipt")
