"""The workers of role `back` for mobile-originated messages."""

from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Share
from gateway.inbound.assembler import Assembler, AssemblyLimits
from gateway.inbound.consumer import InboundConsumer
from gateway.inbound.delivery import Audience, Delivery
from gateway.inbound.metrics import InboundMetrics
from gateway.inbound.ownership import Ownership
from gateway.inbound.sweeper import InboundSweeper
from gateway.runtime.wiring.parts import Base
from gateway.store.inbound import PostgresInbound


def inbound_workers(
    base: Base,
    *,
    metrics: InboundMetrics,
    reader_metrics: ReaderMetrics,
    audience: Audience | None = None,
    share: Share | None = None,
) -> dict[str, InboundConsumer | InboundSweeper]:
    """Return the consumer of the topic `mo` and the sweeper beside it; without an `audience` every account is told."""
    settings = base.settings.inbound
    store = PostgresInbound(base.db)
    limits = AssemblyLimits(
        timeout_ms=int(settings.partial_timeout_s * 1000),
        repeat_ms=int(settings.repeat_window_s * 1000),
        max_parts_per_sender=settings.max_parts_per_sender,
        max_parts=settings.max_parts,
    )
    assembler = Assembler(store, limits=limits)
    ownership = Ownership(store, reply_days=settings.reply_days)
    delivery = Delivery(store, ownership=ownership, audience=audience)
    return {
        "inbound": InboundConsumer(
            base.bus,
            db=base.db,
            store=store,
            assembler=assembler,
            delivery=delivery,
            clock=base.clock,
            metrics=metrics,
            reader_metrics=reader_metrics,
            share=share,
        ),
        "inbound_sweeper": InboundSweeper(
            base.bus,
            db=base.db,
            store=store,
            assembler=assembler,
            delivery=delivery,
            clock=base.clock,
            metrics=metrics,
            remember_ms=2 * limits.repeat_ms,
        ),
    }
