"""Envelopes: what was written once stays readable, and what is no envelope is named."""

from pathlib import Path
from uuid import UUID

import pytest

from gateway.bus.codec import EnvelopeError, Payload, decode, decode_as, encode, encode_accepted
from gateway.domain.carried import replace
from gateway.domain.events import (
    Accepted,
    Attempted,
    Noted,
    Receipted,
    SegmentResult,
    StepAttempted,
    StepReceipted,
)
from gateway.domain.lifecycle import State
from gateway.domain.message import (
    Channel,
    ChannelPlan,
    ChannelStep,
    ContentKind,
    Message,
    MessageClass,
    Progress,
    RichContent,
)
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.domain.steps import StepFailed, StepSubmitted

GOLDEN = Path(__file__).parents[1] / "data" / "envelopes" / "v1.jsonl"
AT = 1_795_564_800_000
ID = UUID("019f0000-0000-7000-8000-000000000001")
MESSAGE = Message(
    id=ID,
    account_id="acme",
    message_class=MessageClass.OTP,
    recipient="525512345678",
    sender="ACME",
    text="Tu código es 481516",
    encoding="gsm7",
    segment_count=1,
    accepted_at=AT,
    valid_until=AT + 60_000,
    carrier="telco_a",
    candidates=("telco_b",),
    metadata={"team": "auth"},
    segments_done=(1,),
)
RESULT = SegmentResult(1, State.SUBMITTED, AT, "submitted", "", "tx1", 7, 36, "7f3a", "7F3A")
RECEIPT = Receipt(
    "telco_a", "rx1", "7f3a", MessageState.ENROUTE, AT, raw_stat="ENROUTE", raw="id:7F3A stat:ENROUTE"
)
STEP = ChannelStep(
    Channel.SMS, "525512345678", "12345", "Tu código es 481516", "gsm7", 1, "telco_a", cost="0.01"
)
ON_WHATSAPP = replace(
    MESSAGE,
    channel=Channel.WHATSAPP,
    carrier="wa",
    rich=RichContent(ContentKind.TEMPLATE, "otp_code", "es_MX", {"1": "481516"}),
    plan=ChannelPlan(1, (STEP,), Progress.SENT, 60_000, "0.05"),
)
PAYLOADS: tuple[Payload, ...] = (
    MESSAGE,
    Accepted(MESSAGE),
    Attempted(ID, AT, "telco_a", 1, 1, (RESULT,), State.SUBMITTED),
    Noted(ID, AT, "expired", state=State.EXPIRED, detail={"partial": 1}),
    Receipted(ID, AT, 1, 1, State.SUBMITTED, State.SUBMITTED, "applied", receipt=RECEIPT),
    Receipted(ID, AT, 1, 1, State.REJECTED, State.REJECTED, "applied", "REJECTED err:012", partial=True),
    RECEIPT,
    MobileOriginated("telco_a", "rx1", "525512345678", "12345", 0, 0, "414c5441", AT),
    StepAttempted(ID, AT, "wa", 1, 1, (RESULT,), State.SUBMITTED, steps_left=1),
    StepReceipted(ID, AT, 1, 1, State.REJECTED, State.SUBMITTED, "applied", "REJECTED", steps_left=1),
    StepSubmitted(ON_WHATSAPP, AT),
    StepFailed(ID, 1, AT, State.REJECTED, "refused 131026", ON_WHATSAPP),
)


def test_the_golden_envelopes_are_read_as_what_was_written() -> None:
    assert [decode(line) for line in GOLDEN.read_bytes().splitlines()] == list(PAYLOADS)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda one: type(one).__name__)
def test_what_is_encoded_comes_back(payload: Payload) -> None:
    assert decode(encode(payload)) == payload
    assert decode_as(type(payload), encode(payload)) == payload


@pytest.mark.parametrize("state", list(State))
def test_an_accepted_message_is_written_from_what_its_lane_gets(state: State) -> None:
    assert encode_accepted(encode(MESSAGE), state) == encode(Accepted(MESSAGE, state))


def test_spaces_and_another_order_of_the_envelope_are_read_too() -> None:
    body = encode(RECEIPT).partition(b'"d":')[2][:-1]
    assert decode(b'{ "d": ' + body + b', "t": "receipt", "v": 1 }') == RECEIPT
    assert decode(encode(RECEIPT) + b"\n") == RECEIPT


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "not an envelope"),
        (b"\xff", "not an envelope"),
        (b'{"v":2,"t":"receipt","d":{}}', "version 2"),
        (b'{"v":1,"t":"unheard","d":{}}', "unheard"),
        (b'{"v":1,"t":"receipt","d":{}}', "missing required field"),
        (encode(RECEIPT)[:-1], "not an envelope"),
        (encode(RECEIPT)[:-2], "not an envelope"),
        (encode(RECEIPT) + b"}", "not an envelope"),
    ],
)
def test_what_is_no_envelope_is_named(value: bytes, said: str) -> None:
    with pytest.raises(EnvelopeError, match=said):
        decode(value)


def test_another_type_than_expected_is_named() -> None:
    with pytest.raises(EnvelopeError, match="a receipt where a message belongs"):
        decode_as(Message, encode(RECEIPT))
