"""Golden envelopes of what came after the first release: several channels, rich content, notices, replies of other channels.

A line of `v1-channels.jsonl` is never changed: it is what an older program has left on a bus. A new field needs a default.
"""

from pathlib import Path
from uuid import UUID

import pytest

from gateway.bus import codec
from gateway.bus.codec import decode, encode
from gateway.domain.events import (
    Accepted,
    Attempted,
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
    Source,
)
from gateway.domain.notices import Notice
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.domain.steps import StepFailed, StepSubmitted

FOLDER = Path(__file__).parents[1] / "data" / "envelopes"
AT = 1_795_564_800_000
ID = UUID("019f0000-0000-7000-8000-000000000002")
TEMPLATE = RichContent(
    ContentKind.TEMPLATE, name="cita_2", language="es_MX", params={"1": "Ana", "2": "10:00"}
)
LAST = ChannelStep(
    Channel.SMS,
    "525512345678",
    "ACME",
    "Ana, su cita es a las 10:00",
    "gsm7",
    1,
    "telco_a",
    candidates=("telco_b",),
    route_reason="default",
    cost="0.0125",
)
PLAN = ChannelPlan(1, rest=(LAST,), wait_for=Progress.DELIVERED, wait_ms=300_000, cost="0.05")
MESSAGE = Message(
    id=ID,
    account_id="acme",
    message_class=MessageClass.TRANSACTIONAL,
    recipient="525512345678",
    sender="ACME",
    text="",
    encoding="ucs2",
    segment_count=1,
    accepted_at=AT,
    valid_until=AT + 3_600_000,
    carrier="whatsapp_a",
    channel=Channel.WHATSAPP,
    source=Source.SMPP,
    send_at=AT + 60_000,
    client_ref="cita-7",
    batch_id=UUID("019f0000-0000-7000-8000-000000000003"),
    request_id="req_7",
    attempt=2,
    reference=7,
    resent_in_doubt=True,
    route_reason="prefix 52",
    hops=1,
    webhook_id="wh_7",
    origin="esme:7",
    rich=TEMPLATE,
    plan=PLAN,
)
RESULT = SegmentResult(1, State.SUBMITTED, AT, "submitted", carrier_message_id="wamid.7f3a")
PAYLOADS = (
    MESSAGE,
    Accepted(MESSAGE, State.SCHEDULED),
    Attempted(
        ID, AT, "whatsapp_a", 2, 1, (), State.QUEUED, "timeout", (RESULT,), retry_at=AT + 1, next_carrier="b"
    ),
    StepAttempted(ID, AT, "whatsapp_a", 2, 1, (RESULT,), State.SUBMITTED, steps_left=1),
    StepReceipted(ID, AT, 1, 2, State.DELIVERED, State.DELIVERED, "applied", steps_left=1),
    StepSubmitted(MESSAGE, AT),
    StepFailed(ID, 1, AT, State.UNDELIVERABLE, "the number is not on WhatsApp"),
    Receipt("whatsapp_a", "callback", "wamid.7f3a", MessageState.READ, AT, raw_stat="read"),
    MobileOriginated(
        "whatsapp_a",
        "callback",
        "525512345678",
        "525512345679",
        0,
        0,
        "",
        AT,
        channel="whatsapp",
        text="¿A qué hora?",
        source_id="wamid.8a",
        media={"type": "image", "id": "8a", "link": "", "name": "foto.jpg"},
    ),
    Notice(
        ID,
        "acme",
        "message.delivered",
        AT,
        ID,
        {"id": "msg_7", "segments": 1},
        endpoint_id="wh_7",
        origin="esme:7",
    ),
)


def test_the_golden_envelopes_are_read_as_what_was_written() -> None:
    lines = (FOLDER / "v1-channels.jsonl").read_bytes().splitlines()
    assert [decode(line) for line in lines] == list(PAYLOADS)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda one: type(one).__name__)
def test_what_is_encoded_comes_back(payload: codec.Payload) -> None:
    assert decode(encode(payload)) == payload


def test_every_type_of_envelope_is_in_a_golden_file() -> None:
    seen = {type(decode(line)) for path in FOLDER.glob("*.jsonl") for line in path.read_bytes().splitlines()}
    assert seen == set(codec._TYPES.values())
