"""Role `dispatch`."""

import os
import secrets
import socket
from random import Random
from typing import Any

from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.runtime.carriers import carrier_plan
from gateway.runtime.wiring.parts import Base
from gateway.settings import Settings
from gateway.store.controls import PostgresControls
from gateway.store.deferred import PostgresDeferred
from gateway.store.embedded import dsn_of_running
from gateway.store.leases import PostgresLeases


class DispatchPart:
    """Role `dispatch`: lanes to carriers."""

    def __init__(self, base: Base) -> None:
        settings = base.settings
        self._clock = base.clock
        self._supervisor = DispatchSupervisor(
            [carrier_plan(name, carrier, base.clock) for name, carrier in settings.carriers.items()],
            owner=_owner(base),
            bus=base.bus,
            db=base.db,
            deferred=PostgresDeferred(base.db),
            leases=PostgresLeases(base.db),
            clock=base.clock,
            metrics=DispatchMetrics(base.registry, carriers=tuple(settings.carriers)),
            random=Random(secrets.randbits(256)),
            settings=DispatchSettings(drain_s=settings.drain_s),
            control=PostgresControls(base.db),
        )

    async def run(self) -> None:
        await self._supervisor.run()

    def stop(self) -> None:
        self._supervisor.stop()

    def not_ready(self) -> dict[str, str]:
        # A carrier that is down does not make dispatch unready: its lane waits.
        return {} if self._supervisor.is_ready else {"lanes": "not all owned yet"}

    def facts(self) -> dict[str, Any]:
        return {}

    async def reload(self, settings: Settings) -> None:
        """Follow added, changed and removed carriers; the workers of the others notice nothing."""
        await self._supervisor.reload(
            [carrier_plan(name, carrier, self._clock) for name, carrier in settings.carriers.items()]
        )

    def explain(self) -> list[dict[str, object]]:
        """Return, for each lane worker, what it is waiting for."""
        return self._supervisor.explain()


def _owner(base: Base) -> str:
    """Return the name that this process owns lanes under: that of the one before where that is known to be dead.

    A supervisor starts a role again only when it has seen it end, and the embedded database belongs to one supervisor
    at a time, whose death its roles do not survive. Whoever was started by hand has a name that nobody had before.
    """
    host, settings = socket.gethostname(), base.settings
    if not base.slot:
        return f"{host}.{os.getpid()}.{secrets.token_hex(4)}"
    if settings.database_url == dsn_of_running(settings.state_dir):
        return f"{host}.embedded.dispatch"
    return f"{host}.{base.slot}.dispatch"
