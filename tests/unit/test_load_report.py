"""The HTML report of a load run: whole, without a network, safe from what it shows, honest about what was not measured."""

import hashlib
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

import loadtest.report
from loadtest.report import write_all
from loadtest.report.html import report_html, write_report
from loadtest.report.junit import write_junit
from loadtest.report.png import HEIGHT, WIDTH
from loadtest.report.points import spread
from loadtest.results import EventBand, Latency, ResultsError, ResultsWriter, read_results
from tests.support.load_results import FIGURES, Course, made_run, make_results

VENDOR = Path(loadtest.report.__file__).parent / "vendor"
SHORT = Course(length=20, ramp=3, drain=2, outage=(5, 9), histogram=False)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"
VOID = {"meta", "br", "hr", "img", "link", "input", "col"}


class Page(HTMLParser):
    """Reads a page strictly enough: every element is closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.texts: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.elements.append((tag, dict(attrs)))
        if tag in ("h1", "h2", "h3"):
            self.headings.append((int(tag[1]), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]].append(data)
            return
        self.texts.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)

    def of(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def charts(self):
        (spec,) = [one for one in self.raw["script"] if one.startswith("[")]
        return json.loads(spec)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = make_results(tmp_path_factory.mktemp("results") / "run")
    write_report(directory)
    return directory


@pytest.fixture(scope="module")
def page(made):
    return Page((made / "report.html").read_text(encoding="utf-8"))


def test_all_three_are_written_beside_the_results(tmp_path):
    directory = make_results(tmp_path / "run", SHORT)

    paths = write_all(directory)

    assert {path.name for path in paths} == {"report.html", "summary.png", "junit.xml"}
    assert all(path.parent == directory for path in paths)
    assert not list(directory.glob("*.part"))
    octets = (directory / "summary.png").read_bytes()
    assert octets.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(octets[16:20], "big"), int.from_bytes(octets[20:24], "big")) == (WIDTH, HEIGHT)
    assert len(octets) > 20_000


def test_the_report_has_its_parts_in_order(page):
    assert page.headings[0] == (1, "carrier-outage")
    assert [text for level, text in page.headings if level == 2] == [
        "Promises",
        "Rates",
        "Latency",
        "Carriers",
        "Receipts and final states",
        "Queues",
        "Recovery",
        "Conservation",
        "Generator",
        "Host",
        "Scenario and configuration",
    ]
    assert [text for level, text in page.headings if level == 3] == ["telco_a", "telco_b"]


def test_every_link_inside_the_report_has_its_target(page):
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for attrs in page.of("a")} <= set(ids)


def test_verdict_promises_and_sources_are_told(page):
    assert "Passed : all 7 promises were kept." in page.text
    assert "≥ 294/s >= 0.98 * target 296.2/s +0.75 %" in page.text
    assert "≤ 100 ms 41 ms +59 %" in page.text
    assert "01:20 to 02:20: telco_a refuses binds" in page.text
    assert "12.4 s" in page.text
    assert 'stages = [{ to = 300, over = "10s" }, { hold = "4m" }]' in page.text
    assert "127.0.0.1:8080" in page.text


def test_tables_and_charts_say_what_they_are(page):
    assert len(page.of("table")) >= 15
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.of("th"))
    plots = [attrs for attrs in page.of("div") if attrs.get("class") == "plot"]
    assert len(plots) == len(page.charts) == len(page.of("figure"))
    assert all(attrs["role"] == "img" and ": " in attrs["aria-label"] for attrs in plots)


def test_the_report_needs_no_network(page):
    assert not {"link", "img", "iframe", "object", "embed", "base", "video", "audio", "source"} & {
        tag for tag, _ in page.elements
    }
    loading = {"src", "srcset", "data", "action", "poster", "background", "formaction", "ping"}
    assert not any(loading & attrs.keys() for _, attrs in page.elements)
    assert all(attrs["href"].startswith("#") for attrs in page.of("a"))
    for style in page.raw["style"]:
        assert not re.search(r"@import|url\(|https?:|//", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
    for script in page.raw["script"]:
        code = re.sub(r"/\*.*?\*/|^\s*//.*$", "", script, flags=re.DOTALL | re.MULTILINE)
        assert not re.search(
            r"https?:|fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(", code
        )


def test_the_content_policy_lets_only_our_scripts_run(page):
    (policy,) = [attrs["content"] for attrs in page.of("meta") if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none';")
    assert policy.count("'sha256-") == 2
    assert "'unsafe-inline'; script-src" in policy  # styles only
    assert "unsafe-eval" not in policy


def test_a_hostile_scenario_stays_text(tmp_path):
    directory = make_results(
        tmp_path / "run",
        SHORT,
        scenario_text=f"# {HOSTILE}\n",
        name=HOSTILE,
        about=HOSTILE,
        reasons=[HOSTILE],
        overrides=[HOSTILE],
        final_states={HOSTILE: 1},
        events=[EventBand(5, 9, HOSTILE, HOSTILE)],
        latencies={HOSTILE: made_run(SHORT).latencies["accept"]},
    )
    page = Page(write_report(directory).read_text(encoding="utf-8"))

    assert not page.of("img")
    assert len(page.of("script")) == 3
    assert page.headings[0] == (1, HOSTILE)
    assert page.text.count("onerror=alert(2)") >= 6
    assert HOSTILE in [line["label"] for chart in page.charts for line in chart["series"]]
    assert "alert(1)" in write_junit(directory).read_text()


def test_gaps_stay_gaps(page):
    (waiting,) = [
        chart for chart in page.charts if [line["label"] for line in chart["series"]] == ["otp", "marketing"]
    ]
    gaps = [at for at, value in zip(waiting["x"], waiting["series"][1]["y"], strict=True) if value is None]
    assert gaps == [53, 106, 159, 212]


def test_faults_and_stages_are_in_the_charts_over_time_only(page):
    for chart in page.charts:
        if chart["kind"] == "time":
            assert chart["bands"] == [[80, 140]]
            assert chart["stages"][-1] == [250, "drain"]
        else:
            assert chart["x"][0] == 1
            assert chart["x"] == sorted(chart["x"])
            assert all(value is None or value > 0 for line in chart["series"] for value in line["y"])


def test_two_hours_are_thinned_and_keep_every_peak(tmp_path):
    course = Course(length=7_200, outage=(3_000, 3_060), histogram=False)
    results = read_results(make_results(tmp_path / "run", course))
    page = Page(report_html(results))

    rates = page.charts[0]
    labels = [line["label"] for line in rates["series"]]
    assert labels == ["target", "offered", "accepted", "submitted", "final"]
    assert len(rates["x"]) <= 1_500
    assert rates["x"] == sorted(set(rates["x"]))
    for name in ("offered", "submitted"):
        drawn = rates["series"][labels.index(name)]["y"]
        real = [getattr(second, name) for second in results.seconds]
        assert (min(drawn), max(drawn)) == (min(real), max(real))
    assert "Each 10 seconds are drawn as their lowest and highest value." in page.text
    assert max(page.text.count(f"({how} of 120 s)") for how in ("mean", "max")) > 0


def test_a_count_of_several_seconds_is_drawn_as_many_and_its_sum_stays():
    values = [4, None, None, None, 12, 0, None, 7, None]
    assert spread(values) == [4, 3, 3, 3, 3, 0, 3.5, 3.5, None]
    assert sum(filter(None, spread(values))) == sum(filter(None, values))
    assert spread([]) == []


def test_a_killed_run_has_a_report(tmp_path):
    directory = make_results(tmp_path / "run", SHORT, killed=True)
    text = write_report(directory).read_text(encoding="utf-8")
    page = Page(text)
    assert "Interrupted : the run was stopped after 20 s." in page.text
    assert "run.json is missing" in page.text
    assert "Not reconciled in this run." in page.text
    assert page.charts[0]["x"][-1] == 20


def test_a_run_of_no_seconds_and_no_figures_has_a_report(tmp_path):
    with ResultsWriter(tmp_path / "run") as writer:
        bare = made_run(
            SHORT,
            verdict="INVALID",
            reasons=["The gateway could not be reached."],
            promises=[],
            figures={},
            ledger={},
            events=[],
            latencies={"accept": Latency(count=0), "receipt": Latency(count=3, hdr="damaged")},
            carriers={},
            final_states={},
            processes={},
        )
        writer.close(bare)
    paths = write_all(tmp_path / "run")
    page = Page(paths[0].read_text(encoding="utf-8"))
    assert "Invalid : this run proves nothing" in page.text
    assert "The gateway could not be reached." in page.text
    assert page.text.count("Not measured in this run.") >= 7
    assert page.charts == []


def test_missed_and_unmeasured_promises_are_told_in_words(tmp_path):
    figures = {**FIGURES, "accept_p99": 0.250, "recovery_after_event": None}
    page = Page(
        write_report(make_results(tmp_path / "run", SHORT, figures=figures)).read_text(encoding="utf-8")
    )
    assert "Failed : 2 of 7 promises were missed." in page.text
    assert "✗ missed ≤ 100 ms 250 ms -150 %" in page.text
    assert "? not measured ≤ 30 s — —" in page.text


def test_a_report_of_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="no results of a run"):
        write_report(tmp_path)


def test_vendored_files_are_the_ones_of_their_list():
    listed = tomllib.loads((VENDOR / "VENDOR.toml").read_text())["uplot"]
    there = {path.name for path in VENDOR.iterdir() if path.name.startswith("uPlot-")}
    assert there == set(listed["files"])
    assert listed["licence"] == "MIT"
    for name, digest in listed["files"].items():
        assert listed["version"] in name
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_the_licence_of_the_chart_library_travels_with_the_report(made):
    text = (made / "report.html").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in text
    assert "Copyright (c)" in text
