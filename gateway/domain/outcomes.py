"""The five outcomes of a submit (D5). Lost or doubled messages are decided from these values and nowhere else.

A link returns one for every submit, whatever the carrier or the network does; `gateway.policy.retry` decides what
follows.
"""

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why the carrier's answer was no, as the reaction it asks for."""

    RETRY_LATER = "retry_later"
    FAILOVER = "failover"
    PERMANENT = "permanent"


@dataclass(slots=True, unsafe_hash=True)  # treated as frozen, which would triple what making one costs
class Submitted:
    """The carrier took the segment. `carrier_message_id` is raw as received; `""` when the carrier gave none."""

    carrier_message_id: str
    bind: str
    sequence_number: int
    response_ms: int


@dataclass(frozen=True, slots=True)
class Throttled:
    """The carrier says slow down: the segment stays at the lane head and spends no attempt."""

    status: str
    bind: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier answered no. `status` is the mnemonic or `0x...` of the raw code."""

    status: str
    bind: str
    refusal: Refusal
    try_other_route: bool = False
    alert: bool = False


@dataclass(frozen=True, slots=True)
class Unsent:
    """No octet of the request left this process, or the carrier certainly did not take it: safe to try elsewhere."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Octets left and no answer came: a resend may double the segment.

    `reference` is what receipts will name it by beside the carrier's id that is not known, empty where they do not.
    """

    reason: str
    bind: str
    reference: str = ""


SubmitOutcome = Submitted | Throttled | Refused | Unsent | Ambiguous
