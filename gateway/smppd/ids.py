"""Message ids as customers' ESMEs see them: the 26 characters behind `msg_`.

Letters and digits alone mean the same in every alphabet. The low line of the API's id does not: octet 5F of a receipt
in the SMSC default alphabet is `§` (sms-domain A4), and an ESME that reads it so finds no message of that name.
"""

from typing import Final
from uuid import UUID

from gateway.domain.ids import format_id, parse_id

_HEAD: Final = "msg_"


def format_smpp_id(message_id: UUID) -> str:
    """Return the id of a submit_sm_resp and of its receipt: 26 lower-case letters and digits."""
    return format_id("msg", message_id)[len(_HEAD) :]


def parse_smpp_id(text: str) -> UUID:
    """Return the message that an id names, in any case, with or without `msg_`; ValueError for what is none."""
    return parse_id("msg", _HEAD + text.lower().removeprefix(_HEAD))
