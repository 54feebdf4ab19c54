"""Writing the text of a delivery receipt (SMPP 3.4 appendix B): for our own customers, and for simulators."""

from datetime import datetime


def format_receipt_date(when: datetime, *, digits: int = 10) -> str:
    """Return a receipt's date of 10 (YYMMDDhhmm), 12 (with ss) or 14 (YYYYMMDDhhmmss) digits."""
    if digits not in {10, 12, 14}:
        raise ValueError(f"a receipt's date has 10, 12 or 14 digits, not {digits}")
    year = f"{when.year:04}" if digits == 14 else f"{when.year % 100:02}"
    second = "" if digits == 10 else f"{when.second:02}"
    return f"{year}{when.month:02}{when.day:02}{when.hour:02}{when.minute:02}{second}"


def format_receipt_text(
    message_id: str,
    *,
    stat: str,
    submit_date: datetime | str,
    done_date: datetime | str,
    err: str = "000",
    sub: int = 1,
    dlvrd: int | None = None,
    text: bytes = b"",
) -> bytes:
    """Return the text of a receipt as SMPP 3.4 appendix B lays it out.

    `dlvrd` left out is `sub` for DELIVRD and 0 otherwise. Dates may come formatted already. `text` is
    written as it is; by custom it is the first 20 octets of the message.
    """
    if dlvrd is None:
        dlvrd = sub if stat == "DELIVRD" else 0
    if not isinstance(submit_date, str):
        submit_date = format_receipt_date(submit_date)
    if not isinstance(done_date, str):
        done_date = format_receipt_date(done_date)
    head = (
        f"id:{message_id} sub:{sub:03} dlvrd:{dlvrd:03} submit date:{submit_date} "
        f"done date:{done_date} stat:{stat} err:{err} text:"
    )
    return head.encode("latin-1") + text
