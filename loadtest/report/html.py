"""`report.html`: one file that opens without a network and says what a run proved. Made at the end of a run and by `loadtest report`."""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any, Final

import msgspec

from loadtest.report import evidence, sections
from loadtest.report.charts import Charts
from loadtest.report.markup import Html, el, joined
from loadtest.report.points import stages
from loadtest.results import Results, read_results

REPORT_FILE: Final = "report.html"
_ROOM: Final = Path(__file__).parent
_UPLOT: Final = "vendor/uPlot-1.6.32"

_SECTIONS: Final[tuple[tuple[str, Callable[[Results, Charts], Html]], ...]] = (
    ("Promises", lambda results, _: sections.promises(results.run)),
    ("Rates", sections.rates),
    ("Latency", sections.latencies),
    ("Carriers", sections.carriers),
    ("Receipts", sections.receipts),
    ("Queues", sections.queues),
    ("Recovery", lambda results, _: sections.recovery(results.run)),
    ("Conservation", lambda results, _: evidence.conservation(results.run)),
    ("Generator", evidence.generator),
    ("Host", evidence.host),
    ("Scenario", lambda results, _: evidence.sources(results)),
)


def write_report(directory: Path) -> Path:
    """Write `report.html` beside the results and return its path. Raises ResultsError, OSError."""
    path = directory / REPORT_FILE
    draft = path.with_suffix(".html.part")
    draft.write_text(report_html(read_results(directory)), encoding="utf-8")
    draft.replace(path)
    return path


def report_html(results: Results) -> str:
    """Return the report of a run."""
    charts = Charts(
        times=[second.t for second in results.seconds],
        bands=list(results.run.events),
        stages=stages(results.seconds),
    )
    parts = [
        (f"part-{at}", name, make(results, charts)) for at, (name, make) in enumerate(_SECTIONS, start=1)
    ]
    contents = el(
        "nav",
        *(el("a", name, href=f"#{anchor}") for anchor, name, _ in parts),
        aria_label="Parts of this report",
    )
    body = joined(
        sections.verdict(results.run),
        contents,
        *(el("div", section, id=anchor, class_="part") for anchor, _, section in parts),
    )
    scripts = [_read(f"{_UPLOT}.min.js"), _read("report.js")]
    return Template(_read("report.html")).substitute(
        title=joined(f"{results.run.name}: {results.run.verdict}, load test report"),
        policy=_policy(scripts),
        licence=_read(f"{_UPLOT}.LICENSE").replace("--", "- -"),
        styles=_read(f"{_UPLOT}.min.css") + "\n" + _read("report.css"),
        body=body,
        charts=_json(charts.specs),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _policy(scripts: list[str]) -> str:
    """Return a content policy: nothing is fetched, and no script runs but ours."""
    digests = " ".join(f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {digests}; base-uri 'none'; form-action 'none'"


def _json(value: Any) -> str:
    """Return JSON that cannot end the element that it stands in."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c").replace("&", "\\u0026")


def _read(name: str) -> str:
    return (_ROOM / name).read_text(encoding="utf-8")
