"""What all parts of one lane worker share."""

from dataclasses import dataclass
from random import Random

from gateway.dispatch.board import CarrierBoard
from gateway.dispatch.metrics import CarrierMetrics
from gateway.dispatch.plan import DispatchSettings
from gateway.ports.bus import Bus
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredStore
from gateway.ports.store import Transactions


@dataclass(frozen=True, slots=True)
class LaneContext:
    """Whose lanes they are, and the outside world as the parts see it."""

    carrier: str
    shard: int
    bus: Bus
    db: Transactions
    deferred: DeferredStore
    clock: Clock
    metrics: CarrierMetrics
    random: Random
    settings: DispatchSettings
    board: CarrierBoard
