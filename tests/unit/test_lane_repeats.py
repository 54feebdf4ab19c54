"""What intake appended a second time is submitted once, in every class, and its place in the lane is passed."""

import pytest

from gateway.dispatch.plan import DispatchSettings
from gateway.domain.carried import replace
from gateway.domain.message import APPENDED_AGAIN, MessageClass
from tests.support.lane_rig import LaneRig, a_message, until

ON_KAFKA = DispatchSettings(flush_ms=2, remembered_ids=100)


@pytest.mark.parametrize("message_class", list(MessageClass))
async def test_p2_a_message_that_is_in_the_lane_twice_is_submitted_once(message_class):
    async with LaneRig(settings=ON_KAFKA) as rig:
        first, alone = a_message(message_class), a_message(message_class)
        again = [replace(one, attempt=APPENDED_AGAIN) for one in (first, alone)]
        await rig.put(first, *again)
        await rig.start()
        await until(lambda: rig.position(message_class).offset == 3)
        assert [segment.message.id for segment in rig.link.written] == [first.id, alone.id]
        # The one that was there only as a repeat goes on as any other.
        assert [event.attempt for event in rig.attempts(alone.id)] == [1]
        # One that comes much later is known still.
        await rig.put(again[0])
        await until(lambda: rig.position(message_class).offset == 4)
        assert len(rig.link.written) == 2


async def test_p2_after_a_crash_what_is_still_in_the_lane_is_known_again():
    async with LaneRig(settings=ON_KAFKA) as rig:
        message = a_message()
        rig.link.script = lambda segment: None  # no answer: it stays in flight
        await rig.put(message)
        await rig.start()
        await until(lambda: rig.link.written)
        await rig.crash()
        await rig.put(replace(message, attempt=APPENDED_AGAIN))
        await rig.start()
        await until(lambda: rig.position(MessageClass.TRANSACTIONAL).offset == 2)
        assert [segment.message.id for segment in rig.link.written] == [message.id]
