"""Whether a run can prove what its scenario is about: did all that it breaks break, and for how long.

A promise that was kept while nothing was wrong is not kept under the fault. Called by `outcome`; what did nothing turns a
PASS into INVALID.
"""

from collections.abc import Sequence
from typing import Final

from loadtest.delays import Delay
from loadtest.results import EventBand
from loadtest.running.carriers import Counts
from loadtest.running.measured import Measured
from loadtest.scenario import CarrierSettings, LoadSettings

ENOUGH: Final = 20
"""So often something of a share has to have been due before its absence says anything."""
HALF: Final = 0.5


def idle_faults(found: Measured, bands: Sequence[EventBand]) -> list[str]:
    """Return which faults of the scenario did nothing, as far as the run came, in sentences."""
    idle = [f"not done: {one}" for one in found.not_done]
    groups: dict[tuple[str, str | None], list[EventBand]] = {}
    for band in bands:
        groups.setdefault((band.what, band.carrier), []).append(band)
    for several in groups.values():
        # Where the carrier is down from the fault before, the next may find nothing to break.
        without = [band for band in several if _did_nothing(found, band)]
        if len(without) > len(several) / 2:
            idle.append(_sentence(without[0], found, of=len(several), count=len(without)))
    if found.closed is None:
        return idle
    for one in found.scenario.carrier:
        if one.id in found.carriers:
            counts = found.watch.counted(one.id)
            idle += standing_idle(one, counts, early_share=found.carriers[one.id].early_share)
    return idle + idle_load(
        found.scenario.load,
        still_waiting=found.still_waiting,
        callbacks=found.watch.callback_requests,
        waited_s=found.watch.callback_wait_s,
    )


def _knobs(found: Measured, band: EventBand) -> list[str]:
    """Return the knobs of a carrier's fault of which nothing was seen."""
    return found.watch.faults[band.at_s, band.what, band.carrier or ""].idle()


def _did_nothing(found: Measured, band: EventBand) -> bool:
    return bool(_knobs(found, band)) if band.carrier is not None else not band.effect


def _sentence(band: EventBand, found: Measured, *, of: int, count: int) -> str:
    which = (
        f"the fault at {band.at_s:g} s ({band.what})" if of == 1 else f"{count} of {of} faults ({band.what})"
    )
    if band.carrier is None:
        return f"{which} had no effect"
    return f"{which} had no effect on {band.carrier}: nothing was seen of {', '.join(_knobs(found, band))}"


def standing_idle(settings: CarrierSettings, counts: Counts, *, early_share: float | None) -> list[str]:
    """Return what a carrier should have done wrong from the start and never did.

    `counts` are those of the run, `early_share` the part of its segments that had their receipt in less than half of
    the median delay.
    """
    found = []
    name, receipts = settings.id, settings.receipts
    if settings.limit is not None and settings.limit < settings.mps and not counts.throttled:
        found.append(f"{name} throttled nothing: its limit of {settings.limit:g} a second was never reached")
    wrong = sum(settings.errors.values())
    if wrong * counts.submits >= ENOUGH and not counts.failed:
        found.append(f"{name} refused nothing, although {wrong:.2%} of {counts.submits} submits were to be")
    shares = {
        "receipts_lost": receipts.lost,
        "receipts_duplicated": receipts.duplicated,
        "receipts_reordered": receipts.out_of_order,
        "fail": 1 - receipts.delivered,
    }
    found += [
        f"{knob} never happened at {name}, although {share:.2%} of {counts.taken} segments were to meet it"
        for knob, share in shares.items()
        if share * counts.taken >= ENOUGH and not counts.fallen.get(knob)
    ]
    if early_share is not None and early_share > HALF:
        found.append(
            f"{name} sent {early_share:.0%} of its receipts before half of their delay ({receipts.delay})"
        )
    return found


def idle_load(load: LoadSettings, *, still_waiting: int | None, callbacks: int, waited_s: float) -> list[str]:
    """Return what the load should have made worse and did not: a backlog that was gone, callbacks answered at once."""
    found = []
    if load.waiting and still_waiting == 0:
        found.append(f"none of the {load.waiting} messages queued before the load still waited at its end")
    delay_s = Delay(load.callback_delay).median_ns / 1e9
    if load.callbacks and callbacks and waited_s / callbacks < HALF * delay_s:
        found.append(
            f"callbacks were answered after {waited_s / callbacks:.2f} s, not after {load.callback_delay}"
        )
    return found
