"""The workers of role `back` for messages that may try several channels."""

from collections.abc import Callable
from typing import Final

from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Share
from gateway.channels.consumer import ChannelConsumer
from gateway.channels.metrics import ChannelMetrics
from gateway.channels.mover import ChannelMover
from gateway.recorder.housekeeping import Housekeeper
from gateway.runtime.wiring.parts import Base
from gateway.store.channel_steps import PostgresChannelSteps
from gateway.store.consents import PostgresConsents

_KEEP_EVERY_S: Final = 10.0


class _Mover:
    """The mover, told of changes of what people have asked for."""

    def __init__(self, mover: ChannelMover, *, consents: PostgresConsents) -> None:
        self._mover = mover
        self._consents = consents

    async def run(self) -> None:
        await self._consents.start()
        await self._mover.run()

    def stop(self) -> None:
        self._mover.stop()


def channel_workers(
    base: Base, *, reader_metrics: ReaderMetrics, share: Share | None, is_mine: Callable[[], bool]
) -> dict[str, ChannelConsumer | _Mover | Housekeeper]:
    """Return the consumer of the topic `channel.watch`, the mover, and the keeper of its rows, which is one's work."""
    store = PostgresChannelSteps(base.db)
    consents = PostgresConsents(base.db, clock=base.clock)
    mover = ChannelMover(
        base.bus,
        db=base.db,
        store=store,
        consents=consents,
        clock=base.clock,
        metrics=ChannelMetrics(base.registry),
    )
    return {
        "channels": ChannelConsumer(
            base.bus,
            db=base.db,
            store=store,
            clock=base.clock,
            reader_metrics=reader_metrics,
            wake=mover.wake,
            share=share,
        ),
        "channel_mover": _Mover(mover, consents=consents),
        "channel_keeper": Housekeeper(mover, clock=base.clock, every_s=_KEEP_EVERY_S, is_mine=is_mine),
    }
