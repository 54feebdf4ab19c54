"""Every fault with what it may cost."""

from dataclasses import dataclass

from tests.faults import injections as harm
from tests.faults.rig import BINDS, MPS, WINDOW

BOUND_PER_CRASH = BINDS * WINDOW + MPS // 4
"""P2: what one crash puts in doubt: the windows, and a quarter of a second of the rate."""

BOTH = ("postgres", "kafka")
_NO_ENDS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fault:
    """`inject` does the harm and undoes it. `crashes` says how often the bound of repeats is granted.

    `ends` are final states it may lead to, besides delivered. `garbles`: what the carrier has cannot be trusted.
    `clocked`: it needs a gateway whose clocks can be set.
    """

    name: str
    inject: harm.Injection
    crashes: int = 0
    buses: tuple[str, ...] = BOTH
    ends: frozenset[str] = _NO_ENDS
    garbles: bool = False
    clocked: bool = False

    @property
    def bound(self) -> int:
        """Most repeats of otp and transactional in one run."""
        return self.crashes * BOUND_PER_CRASH


# A message whose time seems to have passed is given up, and one that seems to wait for its receipt since hours too.
_OUTDATED = frozenset({"expired", "unknown"})


def _steps(*whose: str, name: str = "") -> Fault:
    return Fault(f"step clock of {name or whose[0]}", harm.step(*whose), ends=_OUTDATED, clocked=True)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill api", harm.kill("api")),
        Fault("kill dispatch", harm.kill("dispatch"), crashes=1),
        Fault("kill back", harm.kill("back")),
        Fault("kill gateway", harm.kill_gateway, crashes=1),
        Fault("restart gateway", harm.restart_gateway),
        Fault("stop api", harm.pause("api", (1, 5))),
        # Beyond the lease of 10 s: it must not go on with what is another's, or was given up.
        Fault("stop dispatch", harm.pause("dispatch", (1, 5), (1, 5), (11, 13)), crashes=1),
        Fault("stop back", harm.pause("back", (1, 6))),
        Fault("kill postgres", harm.kill_postgres, crashes=1),
        Fault("restart postgres", harm.restart_postgres, crashes=1),
        Fault("stop postgres", harm.stop_postgres),
        Fault("lock tables", harm.lock_tables),
        Fault("lock heads", harm.lock_heads, buses=("postgres",)),
        Fault("exhaust postgres", harm.exhaust_postgres, crashes=1),
        Fault("disk full: postgres", harm.fill_postgres_disk, crashes=1),
        Fault("cut link", harm.cut_link, crashes=3),
        Fault("half-open link", harm.half_open_link, crashes=1),
        Fault("slice link", harm.slice_link),
        Fault("corrupt link", harm.corrupt_link, crashes=10, garbles=True),
        Fault("stop carrier", harm.stop_carrier, crashes=1),
        Fault("kill broker", harm.kill_broker, crashes=1, buses=("kafka",)),
        Fault("stop broker", harm.stop_broker, buses=("kafka",)),
        Fault("slow broker", harm.slow_broker, buses=("kafka",)),
        Fault("cut broker", harm.cut_broker, buses=("kafka",)),
        Fault("half-open broker", harm.half_open_broker, buses=("kafka",)),
        Fault("disk full: broker", harm.fill_broker_disk, crashes=1, buses=("kafka",)),
        _steps("api"),
        _steps("dispatch"),
        _steps("back"),
        _steps("postgres"),
        _steps("api", "dispatch", "back", "postgres", name="the machine"),
    )
}
