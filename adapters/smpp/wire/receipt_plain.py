"""The short way to read a receipt: from the octets of a deliver_sm whose text is to the letter of SMPP 3.4 appendix B.

So are nearly all receipts written, with TLVs that say the same or with none. One look reads what `codec` and
`receipt_text` take many for; what is not exactly so is left to those. Used by sessions whose driver asks for it.
"""

import re
from typing import NamedTuple

from adapters.smpp.wire.constants import (
    MESSAGE_STATE_NAMES,
    TAG_MESSAGE_STATE,
    TAG_RECEIPTED_MESSAGE_ID,
)
from adapters.smpp.wire.fields import MAX_SHORT_MESSAGE_OCTETS
from adapters.smpp.wire.receipt_text import STAT_OF_STATE
from adapters.smpp.wire.tlv import Tlv, encode_tlvs

# A body (SMPP 3.4 §4.6.1) up to its short_message, of esm_class 0x04: a receipt without a header. The limits are those
# of `codec`.
_BEFORE_TEXT = re.compile(
    r"[^\0]{0,5}\0..[^\0]{0,20}\0..[^\0]{0,20}\0\x04..[^\0]{0,16}\0[^\0]{0,16}\0....(.)", re.DOTALL
)
# As `receipt_text._CANONICAL`, on characters. No value holds a colon, so nothing before `text:` can pass for a key. Sets
# that are spelled out are looked up, classes such as \s are asked one after the other.
_VALUE = r"[^ \t\n\r\f\v\0:]+"
_TO_THE_LETTER = re.compile(
    rf"(id:({_VALUE}) sub:[0-9]+ dlvrd:[0-9]+ submit date:([0-9]+) done date:([0-9]+) stat:([A-Z]+) err:({_VALUE}))"
    r"(?: [Tt]ext:.*)?\Z",
    re.DOTALL,
)
_STATE_OF_STAT = {stat: state for state, stat in STAT_OF_STATE.items()}
_STATE_TLVS = {
    name: encode_tlvs((Tlv(TAG_MESSAGE_STATE, bytes([value])),))
    for value, name in MESSAGE_STATE_NAMES.items()
}
# The TLV up to the first octet of its length.
_ID_HEAD = TAG_RECEIPTED_MESSAGE_ID.to_bytes(2, "big") + b"\0"
_MOST_ID_OCTETS = 64
# One a receipt: the constructor of a NamedTuple is a Python function and costs twice as much.
_new = tuple.__new__


class PlainReceipt(NamedTuple):
    """What a receipt says. `head` is its text up to the text of the message, `stat` the word that `state` was read from."""

    message_id: str
    state: str
    stat: str
    err: str
    submit_date: str
    done_date: str
    head: str


def read_plain(body: bytes) -> PlainReceipt | None:
    """Return what a deliver_sm says that is a plain receipt; None where it is anything else, never raises."""
    text = body.decode("latin-1")
    before = _BEFORE_TEXT.match(text)
    if before is None:
        return None
    begin = before.end()
    sm_length = body[begin - 1]
    end = begin + sm_length
    if end > len(body) or sm_length > MAX_SHORT_MESSAGE_OCTETS:
        return None
    match = _TO_THE_LETTER.match(text, begin, end)
    if match is None:
        return None
    head, message_id, submit_date, done_date, stat, err = match.groups()
    state = _STATE_OF_STAT.get(stat)
    if state is None or (end != len(body) and not _says_the_same(body[end:], message_id, state)):
        return None
    return _new(PlainReceipt, (message_id, state, stat, err, submit_date, done_date, head))


def _says_the_same(tlvs: bytes, message_id: str, state: str) -> bool:
    """True where the TLVs are receipted_message_id and message_state, or one of them, with these very values."""
    octets = len(message_id) + 1
    if octets > _MOST_ID_OCTETS + 1:
        return False
    id_tlv = b"%b%c%b\0" % (_ID_HEAD, octets, message_id.encode("latin-1"))
    state_tlv = _STATE_TLVS[state]
    return tlvs == id_tlv + state_tlv or tlvs in (state_tlv + id_tlv, id_tlv, state_tlv)
