"""An incident that was lived through in real time, replayed: the rules as they are fire exactly what they should.

`python -m tests.scenarios incident --write 1` records it anew, under a real Prometheus.
"""

import pytest

from tests.scenarios.incident import DOCS, END, EXPECTED, RECORDING, page
from tests.support import alert_story as story
from tests.support.alert_story import Expected, Span
from tests.support.prometheus import RULES

DOWN = Expected("Down", {"carrier": "a"}, start=(60.0, 90.0), end=(300.0, 330.0), why="")


@pytest.mark.parametrize(
    ("spans", "fault"),
    [
        ([], "Down (a) did not fire"),
        ([(45.0, 300.0)], "Down (a) fired at 45 s, not within (60.0, 90.0)"),
        ([(60.0, 345.0)], "Down (a) ended at 345 s, not within (300.0, 330.0)"),
        ([(60.0, 310.0), (400.0, None)], "Down (a) fired at 400 s and should not"),
        ([(60.0, 310.0)], None),
        ([(90.0, None)], None),
    ],
)
def test_a_difference_from_the_expectation_is_found(
    spans: list[tuple[float, float | None]], fault: str | None
) -> None:
    found = story.compare([Span("Down", (("carrier", "a"),), *one) for one in spans], [DOWN])
    assert found == ([fault] if fault else [])


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.timeout(620)
def test_a_carrier_outage_and_a_database_stall_fire_exactly_their_alerts_in_time() -> None:
    recorded = story.load(RECORDING)["series"]
    spans = story.replayed(recorded, rules=RULES, until=END)
    assert story.compare(spans, EXPECTED) == []


def test_the_page_of_the_incident_is_what_the_recording_makes() -> None:
    text = (DOCS / "incident.md").read_text()
    assert text == page(story.load(RECORDING)), "run: python -m tests.scenarios incident --write 1"
    for chart in ("messages", "waiting", "alerts"):
        drawn = DOCS / "charts" / f"incident-{chart}.svg"
        assert f"charts/{drawn.name}" in text
        assert drawn.stat().st_size < 150_000
