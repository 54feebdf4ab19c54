"""The live view of a load run: what it says, on a wide terminal, a narrow one, without colours, and into a pipe."""

import io

import pytest
from rich.console import Console

from loadtest.report.live import LiveView, Totals
from loadtest.report.wording import clock_text, count_text, figure_text, seconds_text, share_text
from loadtest.results import CarrierSecond, Second
from loadtest.scenario import read_scenario
from tests.support.load_results import Course, made_seconds

SECONDS = made_seconds(Course(length=60, ramp=5, drain=5, outage=(20, 50), histogram=False))
TOTALS = Totals({"otp_submit_p99": 0.9, "lost": 0.0, "recovery_after_event": 82.0}, 0.9)
ALWAYS_CARRIED = 5


def shown(width, *, until=32, totals=TOTALS, terminal=True, encoding="utf-8", **options):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", write_through=True)
    console = Console(
        file=file,
        force_terminal=terminal,
        width=width,
        height=40,
        legacy_windows=False,
        _environ={},
        **options,
    )
    with LiveView(read_scenario("carrier-outage"), console, 335) as view:
        for second in SECONDS[:until]:
            view.update(second, totals)
        lines = view.lines(SECONDS[until - 1], totals)
    return raw.getvalue().decode(encoding), lines


def test_the_view_says_what_the_run_does():
    text, _ = shown(120, no_color=True)
    assert "carrier-outage" in text
    assert "00:32 / 05:35" in text
    assert "stage hold 300/s" in text
    assert "telco_a ○ down 12 s  0/400" in text
    assert "telco_b ●" in text
    assert "win 61/100" in text
    assert "otp to carrier p99 900 ms" in text
    assert "lost ✓ 0" in text
    assert "recovery ✗ 82 s" in text
    assert "duplicated" not in text
    assert "dup ·" in text
    assert "invalid? no" in text


@pytest.mark.parametrize("width", [8, 20, 40, 79, 200])
def test_no_width_breaks_the_view(width):
    text, lines = shown(width, no_color=True)
    drawn = [line for line in text.split("\n") if "\x1b" not in line]
    assert max(len(line) for line in drawn) <= width
    if width >= 40:
        for name in ("carrier-outage", "telco_a ○ down 12 s", "telco_b ●", "promises"):
            assert name in text
    assert len(lines) == ALWAYS_CARRIED


def test_without_colours_no_colour_is_written(monkeypatch):
    def codes(text):
        return [code for code in ("\x1b[32m", "\x1b[31m", "\x1b[1;31m", "\x1b[33m") if code in text]

    assert codes(shown(120, color_system="standard")[0])
    assert not codes(shown(120, color_system="standard", no_color=True)[0])
    monkeypatch.setenv("NO_COLOR", "1")
    assert Console(force_terminal=True).no_color


def test_doubts_are_told_while_the_run_goes():
    text, _ = shown(120, totals=Totals(doubts=("generator late: p99 80 ms",)), no_color=True)
    assert "INVALID? generator late: p99 80 ms" in text


def test_a_pipe_gets_one_plain_line_a_second():
    text, _ = shown(80, terminal=False)
    lines = text.splitlines()
    assert len(lines) == 32
    assert "\x1b" not in text
    assert lines[31].startswith("00:32/05:35 hold 300/s offered=")
    assert "telco_a=0/400,down" in lines[31]
    assert "accept_p99=" in lines[31]


def test_a_terminal_of_plain_letters_gets_plain_letters():
    text, _ = shown(120, encoding="ascii", no_color=True)
    assert "telco_a x down 12 s" in text
    assert "lost ok 0" in text
    assert "recovery MISSED 82 s" in text


def test_a_broken_pipe_ends_the_view_only():
    class Broken(io.StringIO):
        writes = 0

        def write(self, _):
            self.writes += 1
            raise BrokenPipeError

    file = Broken()
    with LiveView(read_scenario("smoke"), Console(file=file), 30) as view:
        for second in SECONDS[:3]:
            view.update(second, Totals())
    assert file.writes == 1


def test_seconds_of_nothing_and_of_very_many_carriers_are_shown():
    bare = Second(0.0, "ramp to 1/s", 0.0, 0, 0, 0, 0, 0, 0, 0)
    many = Second(
        1.0,
        "hold",
        1.0,
        0,
        0,
        3,
        0,
        0,
        0,
        0,
        carriers={f"carrier_{at}": CarrierSecond(1) for at in range(40)},
    )
    view = LiveView(read_scenario("smoke"), Console(file=io.StringIO()), 30)
    assert view.plain_line(bare, Totals()).startswith("00:00/00:30 ramp to 1/s offered=0")
    lines = view.lines(many, Totals())
    assert ("and 28 more", "dim") in lines[3]
    assert any("refused 3/s" in text for text, _ in lines[1])


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (seconds_text(0), "0 s"),
        (seconds_text(0.00025), "250 µs"),
        (seconds_text(0.0009999), "1 ms"),
        (seconds_text(0.041), "41 ms"),
        (seconds_text(0.92), "920 ms"),
        (seconds_text(0.9999), "1 s"),
        (seconds_text(1.234), "1.23 s"),
        (seconds_text(30), "30 s"),
        (seconds_text(100), "1 m 40 s"),
        (seconds_text(7_260), "2 h 01 m"),
        (seconds_text(-0.5), "-500 ms"),
        (seconds_text(None), "—"),
        (count_text(2_778.4), "2,778"),
        (count_text(296.24), "296.2"),
        (count_text(0), "0"),
        (share_text(0.0005), "0.05 %"),
        (share_text(-1.5), "-150 %"),
        (share_text(0.988), "98.8 %"),
        (clock_text(3_723.9), "1:02:03"),
        (figure_text("submitted_mps_mean", 294), "294/s"),
        (figure_text("error_ratio", 0.0), "0 %"),
        (figure_text("recovery_after_event", 12.4), "12.4 s"),
        (figure_text("lost", None), "—"),
    ],
)
def test_numbers_are_told_as_people_read_them(told, text):
    assert told == text
