"""What `caudal receipts` does to a running gateway, through its database."""

from typing import Any, Final

from dlr.parking import replay_orphans
from gateway.ingress.receipts import orphan_json
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.wiring.bus import open_bus
from gateway.settings import Settings
from gateway.store.parked import PostgresOrphans

_PAGE: Final = 500


async def list_orphans(settings: Settings, *, carrier: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest receipts without a message, as the API shows them."""
    shown: list[dict[str, Any]] = []
    before = None
    async with open_database(settings) as db:
        orphans = PostgresOrphans(db)
        while len(shown) < limit:
            wanted = min(_PAGE, limit - len(shown))
            page = await orphans.list_orphans(carrier=carrier, since=None, limit=wanted, before=before)
            shown += [orphan_json(one) for one in page]
            if len(page) < wanted:
                break
            before = page[-1].id
    return shown


async def replay(settings: Settings, *, carrier: str | None, limit: int) -> int:
    """Put receipts that were given up on their topic again; return how many."""
    async with open_database(settings) as db, open_bus(settings, db, client_id="caudal.cli") as bus:
        return await replay_orphans(bus, db=db, orphans=PostgresOrphans(db), carrier=carrier, limit=limit)
