"""Look-ups of what recipients asked for are shared by the requests of an account."""

import asyncio

import pytest

from gateway.domain.message import Channel
from gateway.intake.requests import MessageDraft
from gateway.intake.wishes import MOST_SHARED, WishLookUp
from gateway.ports.consent_store import Wishes
from gateway.ports.intake_store import Account, StoreUnavailableError

ACME, OTHER = Account("acme"), Account("other")
STOP = Wishes(frozenset({(Channel.SMS, "*")}))


class Store:
    """Answers when it may; those whose number ends in 7 have opted out."""

    def __init__(self):
        self.asked = []
        self.may = asyncio.Event()
        self.down = False

    def has_any(self, account_id):
        return True

    async def wishes(self, account_id, recipients):
        self.asked.append((account_id, set(recipients)))
        await self.may.wait()
        if self.down:
            raise StoreUnavailableError("no database")
        return {number: STOP for number in recipients if number.endswith("7")}


def draft(number):
    return MessageDraft(to=f"+52551234{number:04}")


async def started(look_up, account, drafts):
    task = asyncio.create_task(look_up.of(account, drafts))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_what_comes_while_a_look_up_runs_shares_the_next_and_each_gets_its_own():
    store = Store()
    look_up = WishLookUp(store)
    first = await started(look_up, ACME, [draft(7)])
    later = [await started(look_up, ACME, [draft(number)]) for number in range(40)]
    other = await started(look_up, OTHER, [draft(17)])
    assert [account for account, _ in store.asked] == ["acme", "other"]
    store.may.set()

    assert await first == {"525512340007": STOP}
    found = await asyncio.gather(*later)
    assert [answer for answer in found if answer] == [{f"52551234{n:04}": STOP} for n in (7, 17, 27, 37)]
    assert await other == {"525512340017": STOP}
    assert [len(numbers) for account, numbers in store.asked if account == "acme"] == [1, 40]
    assert not look_up._gathering
    assert not look_up._last
    assert await look_up.of(ACME, [draft(8)]) is None


async def test_a_request_with_many_recipients_has_its_own_and_a_shared_one_is_bounded():
    store = Store()
    store.may.set()
    look_up = WishLookUp(store)
    await look_up.of(ACME, [draft(number) for number in range(MOST_SHARED + 1)])
    assert [len(numbers) for _, numbers in store.asked] == [MOST_SHARED + 1]
    store.asked.clear()
    half = MOST_SHARED // 2 + 1
    both = [[draft(at + number) for number in range(half)] for at in (0, half)]
    await asyncio.gather(*(look_up.of(ACME, drafts) for drafts in both))
    assert [len(numbers) for _, numbers in store.asked] == [half, half]


async def test_a_failure_is_everybodys_who_shares_and_the_next_look_up_is_a_new_one():
    store = Store()
    look_up = WishLookUp(store)
    store.down = True
    waiting = [await started(look_up, ACME, [draft(number)]) for number in range(3)]
    store.may.set()
    for answer in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(answer, StoreUnavailableError)
    store.down = False
    assert await look_up.of(ACME, [draft(7)]) == {"525512340007": STOP}


async def test_who_stops_waiting_disturbs_nobody_and_a_deadline_is_kept():
    store = Store()
    look_up = WishLookUp(store, deadline_s=0.2)
    gone = await started(look_up, ACME, [draft(7)])
    patient = await started(look_up, ACME, [draft(17)])
    gone.cancel()
    with pytest.raises(TimeoutError):
        await patient
    store.may.set()
    assert await look_up.of(ACME, [draft(27)]) == {"525512340027": STOP}
