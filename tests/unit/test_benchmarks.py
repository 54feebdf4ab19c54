"""What benches say of themselves: their tables, the page made of them, and that lost work gives no figure."""

import asyncio
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.perf.__main__ import PARTS
from tests.perf.bench_kannel import Told, check_taken
from tests.perf.figures import Figures
from tests.perf.raw_sink import RawSink
from tests.perf.report import Report, shown

DOCS = Path(__file__).parents[2] / "deploy" / "docs"
MAKER = runpy.run_path(str(DOCS / "make_benchmarks.py"))


def a_report(tmp_path: Path) -> dict[str, Any]:
    report = Report("kannel")
    report.beside(
        "side by side", {"one": {"messages/s": 1234.5}, "other": {"CPU gateway": 0.0123}}, note="a note"
    )
    report.headline("in short")
    report.write(tmp_path / "new" / "kannel.json")
    return json.loads((tmp_path / "new" / "kannel.json").read_text())


def test_a_report_keeps_its_tables_with_machine_commit_and_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.orig_argv", ["/x/python", "-m", "a.bench", "--json", "there.json", "--count", "5"]
    )
    found = a_report(tmp_path)
    assert found["command"] == "python -m a.bench --count 5"
    assert found["tables"] == [
        {
            "title": "side by side",
            "columns": ["", "one", "other"],
            "rows": [["messages/s", 1234.5, None], ["CPU gateway", None, 0.0123]],
            "note": "a note",
        }
    ]
    assert found["machine"]["cores"] >= 1
    assert found["commit"]
    said = capsys.readouterr().out
    assert "1,234" in said
    assert "0.0123" in said


def test_the_page_shows_what_was_measured_and_says_what_was_not(tmp_path: Path) -> None:
    text = MAKER["page"]({"kannel": a_report(tmp_path)})
    assert "| messages/s | 1,234 |  |" in text
    assert "- in short\n" in text
    assert text.count("Not measured yet.") == len(MAKER["SECTIONS"]) - 1


def test_every_part_of_the_bench_has_its_place_on_the_page() -> None:
    assert [part.name for part in PARTS if part.name not in MAKER["SECTIONS"]] == []
    assert set(MAKER["SECTIONS"]) == {part.name for part in PARTS}


def test_the_committed_page_is_what_its_figures_make() -> None:
    figures = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    text = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert text == MAKER["page"](figures), "run: python deploy/docs/make_benchmarks.py"


def test_a_quick_run_takes_a_share_of_the_messages() -> None:
    part = next(part for part in PARTS if part.name == "whole-life")
    command = part.command(Path("x.json"), share=0.1)
    assert command[1:] == ["-m", "tests.perf.bench", "--count", "1500", "--single", "400", "--json", "x.json"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), ("a", "a"), (12345, "12,345"), (0.01234, "0.0123"), (12.345, "12.3"), (1.234, "1.23")],
)
def test_cells_are_shown_with_the_digits_that_say_something(value: Any, text: str) -> None:
    assert shown(value) == text


def test_figures_are_medians_of_turns_and_leave_out_what_is_not_the_gateways() -> None:
    figures = Figures()
    for seconds, spent in ((1.0, 0.1), (2.0, 0.3), (4.0, 0.2)):
        figures.add(1000, seconds, [0.01, 0.02], {"api": spent, "simulator": 9.0})
    rows = figures.rows()
    assert rows["messages/s"] == 500
    assert rows["CPU api"] == rows["CPU gateway"] == 0.2
    assert rows["CPU simulator"] == 9.0


class _Taken:
    def __init__(self, *rows: dict[str, str]) -> None:
        self._rows = rows

    async def messages(self) -> list[dict[str, str]]:
        return list(self._rows)


ROW = {"destination": "525512345678", "text": "hola", "status": "ESME_ROK"}
SENT = [{"to": "+525512345678", "text": "hola"}]


@pytest.mark.parametrize(
    ("taken", "complaint"),
    [
        ([], "lacks 1 and has 0 too many"),
        ([ROW, ROW], "lacks 0 and has 1 too many"),
        ([{**ROW, "text": "hol?"}], "lacks 1 and has 1 too many"),
        ([{**ROW, "status": "ESME_RTHROTTLED"}], "lacks 1 and has 0 too many"),
    ],
)
async def test_lost_doubled_and_changed_messages_give_no_figure(
    taken: list[dict[str, str]], complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        await check_taken(_Taken(*taken), SENT)  # type: ignore[arg-type]


async def test_what_came_once_as_it_was_sent_passes() -> None:
    await check_taken(_Taken(ROW, {**ROW, "status": "ESME_RTHROTTLED"}), SENT)  # type: ignore[arg-type]


async def test_the_sink_hears_both_gateways_over_one_connection_cut_anywhere() -> None:
    body = json.dumps(
        {"type": "batch", "data": [{"data": {"id": "msg_1"}}, {"data": {"id": "msg_2"}}]}
    ).encode()
    single = json.dumps({"type": "message.delivered", "data": {"id": "msg_3"}}).encode()
    octets = b"GET /dlr?id=7&type=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    for one in (body, single):
        octets += b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(one), one)
    told = Told()
    async with RawSink(told.hear) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        for at in range(0, len(octets), 7):
            writer.write(octets[at : at + 7])
            await writer.drain()
        answer = await asyncio.wait_for(
            reader.readexactly(3 * len(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), 10
        )
        writer.close()
        await writer.wait_closed()
    assert answer.count(b"200 OK") == 3
    assert told.names == {"7": 1, "msg_1": 1, "msg_2": 1, "msg_3": 1}
    assert told.requests == sink.requests == 3


def test_a_message_that_kannel_could_not_deliver_is_no_delivery() -> None:
    with pytest.raises(AssertionError, match="not delivered"):
        Told().hear("/dlr?id=7&type=2", b"")
