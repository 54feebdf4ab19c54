"""The figures of a run from plain lists: rates of minutes, recovery, contracts; and what is read of metrics."""

import pytest

from loadtest.arrivals import Load, Stage
from loadtest.running.exposition import Growth, read
from loadtest.running.figures import (
    burst,
    contract_use,
    highest_steady,
    mean_rate,
    ratio,
    recovery_s,
    share_before,
    worst_minute,
)
from loadtest.running.watching import stage_name


def test_the_worst_minute_slides_within_the_stage_that_holds_the_highest_rate() -> None:
    load = Load([Stage(0, 100, 10), Stage(100, 100, 120), Stage(100, 20, 5), Stage(20, 20, 60)])
    stages = highest_steady(load.steady())
    assert stages == [(10, 130)]
    counts = [50] * 10 + [100] * 120 + [20] * 65
    assert worst_minute(counts, stages) == 100
    assert mean_rate(counts, stages) == 100
    counts[40:46] = [0] * 6
    assert worst_minute(counts, stages) == 90
    assert mean_rate(counts, stages) == 95


def test_a_stage_shorter_than_a_minute_is_judged_whole_and_a_run_cut_short_by_what_there_was() -> None:
    assert worst_minute([10, 20, 30, 99], [(0, 3)]) == 20
    assert worst_minute([10, 20], [(0, 30)]) == 15
    assert worst_minute([], [(5, 30)]) is None
    assert mean_rate([1, 2, 3], []) is None


def test_a_fault_is_over_when_the_offered_rate_is_at_the_carriers_for_three_seconds() -> None:
    counts = [100] * 10 + [0] * 10 + [10, 50, 95, 100, 120] + [100] * 15
    offered = [100.0] * 40
    assert recovery_s(counts, end_s=18.0, offered=offered, until_s=40) == pytest.approx(4)
    assert recovery_s(counts, end_s=18.5, offered=offered, until_s=40) == pytest.approx(3.5)
    assert recovery_s(counts, end_s=25, offered=offered, until_s=40) == 0


def test_a_rate_that_never_comes_back_before_the_load_ends_has_no_recovery() -> None:
    counts = [100] * 10 + [50] * 20 + [300] * 10  # what comes in the drain is no rate
    assert recovery_s(counts, end_s=12, offered=[100.0] * 30, until_s=30) is None
    assert recovery_s(counts, end_s=29, offered=[100.0] * 30, until_s=30) is None


def test_a_carrier_that_never_came_back_is_not_hidden_by_those_that_took_over() -> None:
    offered = [100.0] * 40
    own = [60] * 10 + [0] * 15 + [40] * 15
    others = [40] * 10 + [20] * 5 + [100] * 10 + [60] * 15
    counts = [sum(both) for both in zip(own, others, strict=True)]
    share = share_before(own, at_s=10, offered=offered)
    assert share == pytest.approx(0.6)
    assert recovery_s(counts, end_s=20, offered=offered, until_s=40) == 0
    assert recovery_s(counts, end_s=20, offered=offered, until_s=40, own=own, own_share=share) == 5
    gone = [60] * 10 + [0] * 30
    assert recovery_s(counts, end_s=20, offered=offered, until_s=40, own=gone, own_share=share) is None
    # Begin and end of the fault in the place of end and load: how long the others took to take over.
    assert recovery_s(counts, end_s=10, offered=offered, until_s=20) == 5
    assert recovery_s(own, end_s=10, offered=offered, until_s=20) is None


def test_a_carrier_without_load_before_has_no_share() -> None:
    assert share_before([5, 5], at_s=0.5, offered=[10.0, 10.0]) == 0
    assert share_before([5, 5], at_s=2, offered=[0.0, 0.0]) == 0
    assert share_before([50, 50], at_s=2, offered=[10.0, 10.0]) == 1


def test_the_contract_is_the_rate_with_its_burst() -> None:
    assert (burst(10), burst(200), burst(3500)) == (1, 4, 70)
    assert contract_use(204, mps=200) == 1
    assert contract_use(102, mps=200) == 0.5


def test_a_ratio_of_nothing_is_not_measured() -> None:
    assert ratio(1, 0) is None
    assert ratio(1, 4) == 0.25


def test_a_stage_is_named_by_what_it_does() -> None:
    load = Load([Stage(0, 50, 1), Stage(50, 50, 10)])
    assert [stage_name(load, at) for at in (0.5, 5, 11.5)] == ["ramp to 50/s", "hold 50/s", "drain"]


PAGE = """# HELP caudal_queue_lag_messages Records not yet committed.
caudal_queue_lag_messages{topic="lane.telco_a.otp",group="dispatch"} 3.0
caudal_queue_lag_messages{topic="lane.telco_b.otp",group="dispatch"} 4.0
caudal_queue_lag_messages{topic="lane.telco_a.marketing",group="dispatch"} 1e+06
caudal_queue_lag_messages{topic="events",group="recorder"} 77.0
caudal_queue_oldest_message_timestamp_seconds{queue="lane.telco_a.otp"} 1.7e+09
caudal_queue_oldest_message_timestamp_seconds{queue="lane.telco_b.otp"} 0.0
caudal_carrier_window_in_use{bind="trx1",carrier="telco_a"} 5.0
caudal_carrier_window_in_use{bind="trx2",carrier="telco_a"} 6.0
caudal_carrier_window_size{bind="trx1",carrier="telco_a"} 50.0
caudal_carrier_mps_limit{carrier="telco_a"} 200.0
caudal_build_info{version="0.1.0"} 1.0
caudal_messages_final_total{carrier="telco_a",state="delivered"} 10.0
caudal_messages_final_total{carrier="telco_a",state="expired"} nonsense
python_gc_objects_collected_total{generation="0"} 1.0
"""


def test_queues_windows_and_ends_are_read_from_the_pages_of_all_processes() -> None:
    found = read(
        {"dispatch": PAGE, "back": 'caudal_messages_final_total{carrier="a",state="b"} 2.0', "api": ""}
    )
    assert found.waiting == {"otp": 7, "marketing": 1_000_000}
    assert found.oldest_at == 1.7e9
    assert (found.window_in_use, found.window_size) == ({"telco_a": 11}, {"telco_a": 50})
    assert (found.mps_limit, found.version) == ({"telco_a": 200.0}, "0.1.0")
    assert found.final == {"dispatch": 10, "back": 2}


def test_a_counter_that_begins_again_goes_on_in_the_sum() -> None:
    growth = Growth()
    assert growth.add({"back": 5}) == 5
    assert growth.add({"back": 8, "dispatch": 1}) == 4
    assert growth.add({"back": 2}) == 2  # it was killed
    assert growth.total == 11
