"""Opt-outs and preferences on a real database: asked for only where somebody asked, known everywhere at once."""

import pytest

from gateway.domain.message import Channel
from gateway.ports.clock import SystemClock
from gateway.ports.consent_store import EVERY, OptOut, Wishes
from gateway.store.accounts import Accounts
from gateway.store.consents import PostgresConsents
from gateway.store.pool import Database
from tests.support.lane_rig import until

pytestmark = pytest.mark.postgres

ANA, BETO = "525512345678", "573001112233"


def out(recipient: str, channel: str = EVERY, sender: str = EVERY) -> OptOut:
    return OptOut("acme", recipient, channel, sender, "api", 1_795_521_600_000)


async def test_wishes_are_asked_for_only_where_there_are_any_and_changes_are_known_elsewhere(
    db: Database,
) -> None:
    for name in ("acme", "other"):
        await Accounts(db, pepper=b"pepper").create_account(name, now_ms=1)
    here, there = (PostgresConsents(db, clock=SystemClock()) for _ in range(2))
    await here.start()
    assert here.has_any("acme")  # nothing is known yet
    await until(lambda: db.is_listening)
    assert await here.wishes("acme", [ANA]) == {}
    await until(lambda: not here.has_any("acme") or _asked(here))
    assert not here.has_any("other")

    assert await there.opt_out([out(ANA, "whatsapp"), out(ANA, "whatsapp"), out(ANA, EVERY, "ACME")]) == 2
    await there.prefer("acme", BETO, ["sms", "whatsapp"], now_ms=1)
    await until(lambda: here.has_any("acme"))
    assert not here.has_any("other")
    wishes = await here.wishes("acme", [ANA, BETO, "56987654321"])
    assert set(wishes) == {ANA, BETO}
    ana = wishes[ANA]
    assert (ana.refuses(Channel.WHATSAPP, "X"), ana.refuses(Channel.SMS, "X")) == (True, False)
    assert ana.refuses(Channel.SMS, "ACME")
    assert wishes[BETO] == Wishes(allowed=(Channel.SMS, Channel.WHATSAPP))
    assert await here.wishes("other", [ANA]) == {}

    assert await there.opt_out([out(ANA, "whatsapp")]) == 0
    listed = await there.list_opt_outs("acme", recipient=None, channel=None, limit=1, after=None)
    assert [(one.recipient, one.channel, one.sender) for one in listed] == [(ANA, "*", "ACME")]
    rest = await there.list_opt_outs("acme", recipient=ANA, channel=None, limit=10, after=listed[0])
    assert [(one.channel, one.sender) for one in rest] == [("whatsapp", "*")]
    assert await there.opt_in("acme", ANA, channel="whatsapp", sender=EVERY)
    assert not await there.opt_in("acme", ANA, channel="whatsapp", sender=EVERY)
    assert await there.preference("acme", BETO) == ("sms", "whatsapp")
    await there.prefer("acme", BETO, None, now_ms=2)
    assert await there.preference("acme", BETO) is None
    with pytest.raises(ValueError, match="'nobody' does not exist"):
        await there.opt_out([out(ANA)._replace(account_id="nobody")])


async def _asked(consents: PostgresConsents) -> bool:
    """Read the names again: the listener came up after they were read."""
    await consents.wishes("acme", [ANA])
    return not consents.has_any("acme")
