"""A WhatsApp message whose answer was lost, or that a crash left in doubt: statuses find it by our own id."""

import pytest

from adapters.http.whatsapp_words import own_reference
from gateway.dispatch.conclude import in_doubt
from gateway.domain.events import Accepted, Attempted, Noted
from gateway.domain.lifecycle import State
from gateway.domain.message import Channel, MessageClass
from gateway.domain.receipts import MessageState
from gateway.store.pool import Database
from tests.support.records import NOON, BackHalf, a_message, receipt

pytestmark = pytest.mark.postgres


@pytest.fixture
async def back(db: Database) -> BackHalf:
    return await BackHalf(db).start()


def campaign(**changes):
    return a_message(
        channel=Channel.WHATSAPP, message_class=MessageClass.MARKETING, carrier="telco_a", **changes
    )


@pytest.mark.parametrize("receipts_first", [False, True])
async def test_what_a_crash_left_in_doubt_is_delivered_by_its_statuses(
    back: BackHalf, receipts_first: bool
) -> None:
    message = campaign()
    await back.put(Accepted(message, State.QUEUED))
    event = in_doubt(message, now_ms=NOON + 1)
    assert isinstance(event, Attempted)
    reference = own_reference(message)
    statuses = [
        receipt("wamid.1", second_id=reference, state=MessageState.ENROUTE, intermediate=True),
        receipt("wamid.1", second_id=reference),
    ]
    if receipts_first:
        await back.put_receipts(*statuses)
        await back.turn()
        await back.put(event)
    else:
        await back.put(event)
        await back.turn()
        assert await back.state(message) == ("submitted", False)
        await back.put_receipts(*statuses)
    await back.turn()
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await back.count("parked_receipts") == 0


def test_without_an_id_of_ours_in_receipts_it_is_a_note_as_before() -> None:
    message = campaign()
    note = in_doubt(a_message(id=message.id), now_ms=NOON)
    assert isinstance(note, Noted)
    assert (note.kind, note.state, note.reason) == ("in_doubt", State.SUBMITTED, "restart")
