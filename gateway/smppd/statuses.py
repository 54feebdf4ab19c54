"""Which command_status tells a customer what intake said (deploy/docs/smpp-server.md has the table)."""

from typing import Final

from adapters.smpp.wire import constants as c
from gateway.intake.direct import TurnedAway

_BY_CODE: Final[dict[str, int]] = {
    "invalid_number": c.ESME_RINVDSTADR,
    "invalid_region": c.ESME_RINVDSTADR,
    "invalid_sender": c.ESME_RINVSRCADR,
    "invalid_send_at": c.ESME_RINVSCHED,
    "expired_validity": c.ESME_RINVEXPIRY,
    "validity_too_long": c.ESME_RINVEXPIRY,
    "empty_text": c.ESME_RINVMSGLEN,
    "too_many_segments": c.ESME_RINVMSGLEN,
    # What follows may be sent again later: nothing is wrong with the message.
    "rate_limited": c.ESME_RTHROTTLED,
    "backpressure": c.ESME_RMSGQFUL,
    "unavailable": c.ESME_RSYSERR,
    "idempotency_key_in_use": c.ESME_RSYSERR,
}
_BY_MISSING_FIELD: Final[dict[str, int]] = {
    "/to": c.ESME_RINVDSTADR,
    "/from": c.ESME_RINVSRCADR,
    "/content/text": c.ESME_RINVMSGLEN,
}
WORTH_ANOTHER_TRY: Final = frozenset({c.ESME_RTHROTTLED, c.ESME_RMSGQFUL, c.ESME_RSYSERR})


def status_of(refusal: TurnedAway) -> int:
    """Return the command_status of a refusal: ESME_RSUBMITFAIL where no other says it better (SMPP 3.4 §5.1.3)."""
    if refusal.code == "missing_field":
        return _BY_MISSING_FIELD.get(refusal.field, c.ESME_RSUBMITFAIL)
    return _BY_CODE.get(refusal.code, c.ESME_RSUBMITFAIL)


# Every status that a submit, its parts and its relatives can be answered with; metrics have no other label values.
SUBMIT_STATUSES: Final[tuple[int, ...]] = tuple(
    sorted(
        {
            c.ESME_ROK,
            c.ESME_RSUBMITFAIL,
            c.ESME_RINVESMCLASS,
            c.ESME_RINVDCS,
            c.ESME_RINVPRTFLG,
            c.ESME_RINVREPFLAG,
            c.ESME_RINVDFTMSGID,
            c.ESME_RMISSINGOPTPARAM,
            c.ESME_RINVOPTPARAMVAL,
            c.ESME_RINVDLNAME,
            c.ESME_RINVNUMDESTS,
            *_BY_CODE.values(),
        }
    )
)
