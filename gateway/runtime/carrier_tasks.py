"""What `caudal carriers` does to a running gateway, through its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.ingress.desk import Desk
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.desk import make_desk
from gateway.settings import Settings


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Open the database of a running gateway and stand at its desk."""
    async with open_database(settings) as db:
        yield make_desk(db, settings)
