"""A whole gateway whose SMPP server is bound to by third-party ESMEs, with the simulator as its carrier."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.ports.clock import SystemClock
from gateway.store.embedded import dsn_of_running
from gateway.store.pool import Database
from gateway.store.smpp_credentials import CredentialDraft, SmppCredentials
from tests.conformance.smsc_rig import PASSWORD, SYSTEM_ID
from tests.support.stack import Stack, demo_tree, until


class ServerStack:
    """The gateway, its SMPP port, and what its carrier was given."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack = stack
        self.port = port
        self._after = -1

    async def mark(self) -> None:
        """Forget what the carrier was given until now."""
        page = await self._page()
        self._after = page["next_after"] if page["messages"] else self._after

    async def segments(self) -> list[dict[str, Any]]:
        """Return what the carrier was given since `mark`, oldest first."""
        return (await self._page())["messages"]

    async def delivered_texts(self, count: int) -> list[str]:
        """Wait for so many segments at the carrier; return their texts."""

        async def are_there() -> list[dict[str, Any]] | None:
            found = [one for one in await self.segments() if one["status"] == "ESME_ROK"]
            return found if len(found) >= count else None

        return [one["text"] for one in await until(are_there, limit_s=15, every_s=0.05)]

    async def _page(self) -> dict[str, Any]:
        return await self.stack.get_json(
            f"{await self.stack.simulator()}/messages?after={self._after}&limit=10000"
        )


def server_tree(**server: Any) -> dict[str, Any]:
    """Return the configuration of a gateway with the SMPP server on a free port."""
    return demo_tree(receipt_delay="20ms") | {"smpp_server": {"enabled": True, "port": 0, **server}}


async def add_credential(stack: Stack, system_id: str, *, window: int) -> None:
    """Do what `caudal smpp credentials create` does, without starting a program."""
    dsn = dsn_of_running(stack.folder / "var")
    assert dsn is not None
    db = await Database.connect(dsn, max_size=1, name="test")
    try:
        store = SmppCredentials(db, pepper=(stack.folder / "var" / "pepper").read_bytes().strip())
        draft = CredentialDraft(system_id, "demo", max_binds=20, window=window)
        assert await store.create(draft, password=PASSWORD, now_ms=SystemClock().now_ms())
    finally:
        await db.close()


@asynccontextmanager
async def a_server(*, others: dict[str, int] | None = None, **server: Any) -> AsyncIterator[ServerStack]:
    """Give a running gateway with a credential, and `others` by system_id with their windows."""
    async with Stack(server_tree(**server)) as stack:
        for system_id, window in {SYSTEM_ID: 200, **(others or {})}.items():
            await add_credential(stack, system_id, window=window)
        yield ServerStack(stack, (await stack.roles())["api"]["smpp_port"])
