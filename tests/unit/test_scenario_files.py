"""Scenario files: all shipped ones are sound, and a wrong one says where, what and which limit."""

from pathlib import Path

import pytest

from loadtest.scenario import ScenarioError, read_scenario, shipped

WANTED = {
    "smoke",
    "sustained-1m",
    "sustained-10m",
    "peak-spike",
    "find-max",
    "carrier-outage",
    "carrier-throttling",
    "flapping-bind",
    "slow-receipts",
    "receipt-storm",
    "slow-webhooks",
    "otp-under-campaign",
    "broker-restart",
    "postgres-stall",
    "soak",
}
GOOD = """
[scenario]
name = "mine"
[load]
stages = [{ to = 100, over = "10s" }, { hold = "1m" }]
[[carrier]]
id = "telco_a"
mps = 200
[promise]
lost = 0
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_every_shipped_scenario_is_sound_and_named_as_its_file():
    assert set(shipped()) == WANTED
    for name in shipped():
        scenario = read_scenario(name)
        assert scenario.scenario.name == name
        assert scenario.promises
        assert scenario.scenario.about.endswith((".", "?"))


def test_the_target_counts_segments_at_the_highest_rate_held(tmp_path: Path):
    text = GOOD.replace("[[carrier]]", "text = { segments = { 1 = 0.5, 2 = 0.5 } }\n[[carrier]]")
    assert read_scenario(written(tmp_path, text)).target_per_s == 150


def test_values_are_overridden_by_their_path(tmp_path: Path):
    source = written(tmp_path, GOOD)
    found = read_scenario(source, overrides=["load.batch=1", "carrier.telco_a.mps=50", "scenario.seed=7"])
    assert (found.load.batch, found.carrier[0].mps, found.scenario.seed) == (1, 50, 7)
    assert found.digest() != read_scenario(source).digest()


def test_quick_makes_every_time_a_tenth_and_a_tenth_of_what_waits():
    whole, quick = read_scenario("slow-webhooks"), read_scenario("slow-webhooks", quick=True)
    assert quick.load.load().duration_s == pytest.approx(whole.load.load().duration_s / 10)
    assert quick.load.load().peak_per_s == whole.load.load().peak_per_s
    assert read_scenario("otp-under-campaign", quick=True).load.waiting == 100_000


def test_quick_leaves_a_fault_the_time_to_be_over_where_that_is_promised():
    whole, quick = read_scenario("carrier-outage"), read_scenario("carrier-outage", quick=True)
    assert quick.event[0].at_s == pytest.approx(whole.event[0].at_s / 10)
    assert quick.event[0].for_s == 30  # moving to the other carrier takes its time
    over_s = quick.event[0].at_s + quick.event[0].for_s
    assert quick.load.load().duration_s == pytest.approx(over_s + 25)


def test_quick_cuts_a_bind_no_more_often_than_it_can_come_back():
    quick = read_scenario("flapping-bind", quick=True)
    assert [event.at_s for event in quick.event] == [1, 6, 11]
    assert [event.at_s for event in read_scenario("soak", quick=True).event] == [90, 180, 270]


def test_quick_leaves_the_drain_its_limit_for_it_ends_by_itself():
    assert read_scenario("receipt-storm", quick=True).load.drain == "60.000000s"
    assert read_scenario("smoke", quick=True).load.drain == "30.000000s"


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (("mps = 200", "mps = -1"), "carrier.0.mps"),
        (("mps = 200", "mps = 200\nspeed = 3"), "carrier.0.speed"),
        (('"1m"', '"1 minute"'), "1 minute"),
        (("hold", "wait"), "load.stages.1.wait"),
        (("lost = 0", "lost = 0\nspeed = 1"), "speed"),
        (("lost = 0", 'accept_p99 = "<= soon"'), "soon"),
        (("[promise]", '[[event]]\nat = "3s"\ncarrier = "telco_z"\nset = { mps = 5 }\n[promise]'), "telco_z"),
        (("[promise]", '[[event]]\nat = "3s"\nstop = "back"\n[promise]'), "stop needs for"),
        (("[[carrier]]", "mix = { otp = 0.5 }\n[[carrier]]"), "0.5"),
        (("[[carrier]]", "batch = 5000\n[[carrier]]"), "1000"),
        (("[[carrier]]", "[[carrier]]\nid = 'telco_a'\nmps = 1\n[[carrier]]"), "same id"),
        (("[load]", "[load"), "mine.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], names: str):
    with pytest.raises(ScenarioError, match=names):
        read_scenario(written(tmp_path, GOOD.replace(*change)))


def test_an_unknown_scenario_lists_those_there_are():
    with pytest.raises(ScenarioError, match="smoke"):
        read_scenario("nonesuch")


@pytest.mark.parametrize("override", ["load.batch", "load.speed.x=1", "carrier.telco_z.mps=1", "load=1.2.3"])
def test_an_override_that_fits_nowhere_is_refused(tmp_path: Path, override: str):
    with pytest.raises(ScenarioError):
        read_scenario(written(tmp_path, GOOD), overrides=[override])
