"""`junit.xml`: a run for CI, one case for each promise, one for validity, one for conservation."""

import re
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from loadtest.report.evidence import broken_findings
from loadtest.report.sections import promise_value, target_text
from loadtest.results import PromiseRow, Results, Run, read_results

JUNIT_FILE: Final = "junit.xml"
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(directory: Path) -> Path:
    """Write `junit.xml` beside the results and return its path. Raises ResultsError, OSError."""
    path = directory / JUNIT_FILE
    draft = path.with_suffix(".xml.part")
    tree = ElementTree(_suite(read_results(directory)))
    indent(tree)
    tree.write(draft, encoding="utf-8", xml_declaration=True)
    draft.replace(path)
    return path


def _suite(results: Results) -> Element:
    run = results.run
    root = Element("testsuites")
    suite = SubElement(root, "testsuite", name=_clean(f"loadtest.{run.name}"), time=f"{run.duration_s:.3f}")
    if run.started_at:
        suite.set("timestamp", _clean(run.started_at.removesuffix("Z")))
    properties = SubElement(suite, "properties")
    for name, value in (
        ("verdict", run.verdict),
        ("seed", str(run.seed)),
        ("scenario_digest", run.scenario_digest),
        ("git_commit", run.host.git_commit or ""),
    ):
        SubElement(properties, "property", name=name, value=_clean(value))
    for row in run.promises:
        _promise(suite, run, row)
    _validity(suite, run)
    _conservation(suite, run)
    cases = suite.findall("testcase")
    for part in (root, suite):
        part.set("tests", str(len(cases)))
        part.set("failures", str(len(suite.findall("testcase/failure"))))
        part.set("errors", str(len(suite.findall("testcase/error"))))
    return root


def _case(suite: Element, run: Run, name: str) -> Element:
    return SubElement(
        suite, "testcase", classname=_clean(f"loadtest.{run.name}"), name=_clean(name), time="0"
    )


def _promise(suite: Element, run: Run, row: PromiseRow) -> None:
    case = _case(suite, run, row.figure)
    told = f"{promise_value(row, row.measured) if row.measured is not None else 'not measured'}, promised {target_text(row)}"
    if not row.is_kept:
        SubElement(case, "failure", message=_clean(told), type="PromiseMissed").text = _clean(row.meaning)
    SubElement(case, "system-out").text = _clean(f"{row.figure}: {told}")


def _validity(suite: Element, run: Run) -> None:
    """A run that is INVALID or INTERRUPTED is an error of the test, not a failure of the gateway."""
    case = _case(suite, run, "validity")
    if run.verdict in ("INVALID", "INTERRUPTED"):
        fault = SubElement(case, "error", message=_clean(" ".join(run.reasons)), type=run.verdict)
        fault.text = "The run proves nothing."


def _conservation(suite: Element, run: Run) -> None:
    case = _case(suite, run, "conservation")
    if not run.ledger:
        SubElement(case, "error", message="the messages were not reconciled", type="NotReconciled")
        return
    broken = broken_findings(run)
    if broken:
        told = ", ".join(f"{name} {count}" for name, count in broken)
        SubElement(case, "failure", message=_clean(told), type="NotConserved")


def _clean(text: str) -> str:
    """Return text without characters that XML 1.0 has no way to say."""
    return _NOT_XML.sub("\ufffd", text)
