"""What one load left to judge: written by `one_load` and `closing`, read by `outcome`."""

from dataclasses import dataclass, field

from loadtest.arrivals import Load
from loadtest.running.books import CarrierBooks, Closed
from loadtest.running.orders import Account
from loadtest.running.watching import Watch
from loadtest.scenario import Scenario


@dataclass
class Measured:
    """All that one load left to judge. `closed` is None where the run was interrupted or had nothing to reconcile.

    `trouble` is why nothing can be judged, `aborted` why the load ended before its time; `notes` are for people.
    `not_done` are faults that could not be made, `done` what parts of the gateway were seen to do, by time and fault;
    `still_waiting` is how many messages waited for a carrier at the end.
    """

    scenario: Scenario
    load: Load
    start_ns: int
    started_at: str
    account: Account
    watch: Watch
    duration_s: float = 0.0
    closed: Closed | None = None
    carriers: dict[str, CarrierBooks] = field(default_factory=dict)
    is_interrupted: bool = False
    trouble: str = ""
    aborted: str = ""
    notes: list[str] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    done: dict[tuple[float, str], str] = field(default_factory=dict)
    still_waiting: int | None = None
    load_before: float = 0.0
