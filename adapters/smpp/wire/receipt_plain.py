"""The short way to read a receipt: text to the letter of SMPP 3.4 appendix B, and TLVs that say the same.

So are nearly all receipts written. One look reads what `receipt_text` takes several for; what is not exactly so is left
to that. Used by `adapters.smpp.translate`.
"""

import re
from typing import NamedTuple

from adapters.smpp.wire.constants import (
    MESSAGE_STATE_NAMES,
    TAG_MESSAGE_STATE,
    TAG_RECEIPTED_MESSAGE_ID,
)
from adapters.smpp.wire.receipt_text import STAT_OF_STATE
from adapters.smpp.wire.tlv import Tlv

# As `receipt_text._CANONICAL`, on characters. No value holds a colon, so nothing before `text:` can pass for a key.
_TO_THE_LETTER = re.compile(
    r"(id:([^\s\0:]+) sub:\d+ dlvrd:\d+ submit date:(\d+) done date:(\d+) stat:([A-Z]+) err:([^\s\0:]+))"
    r"(?: [Tt]ext:.*)?\Z",
    re.DOTALL | re.ASCII,
)
_new = tuple.__new__  # one a receipt: the constructor of a NamedTuple is a Python function and costs twice as much
_STATE_OF_STAT = {stat: state for state, stat in STAT_OF_STATE.items()}
_TLV_OF_STATE = {name: bytes([value]) for value, name in MESSAGE_STATE_NAMES.items()}


class PlainReceipt(NamedTuple):
    """What a receipt says. `head` is its text up to the text of the message, `stat` the word that `state` was read from."""

    message_id: str
    state: str
    stat: str
    err: str
    submit_date: str
    done_date: str
    head: str


def read_plain(short_message: bytes, tlvs: tuple[Tlv, ...]) -> PlainReceipt | None:
    """Return what a receipt of esm_class type 0x04 without header says; None where it is not plain, never raises."""
    match = _TO_THE_LETTER.match(short_message.decode("latin-1"))
    if match is None:
        return None
    head, message_id, submit_date, done_date, stat, err = match.groups()
    state = _STATE_OF_STAT.get(stat)
    if state is None:
        return None
    for tag, value in tlvs:
        if tag == TAG_RECEIPTED_MESSAGE_ID:
            if value != message_id.encode("latin-1") + b"\0":
                return None
        elif tag != TAG_MESSAGE_STATE or value != _TLV_OF_STATE[state]:
            return None
    return _new(PlainReceipt, (message_id, state, stat, err, submit_date, done_date, head))
