"""The four lists of a run as they are on disk and at the simulators, up to the closed books."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.running.books import AcceptedFile, CarrierBooks, close_books, latency, read_told
from loadtest.running.carriers import Place, Row
from loadtest.running.closing import forget_told
from loadtest.running.events import bands_of, excuse, timelines, what_of
from loadtest.running.texts import Kind, TextMaker, token
from loadtest.scenario import EventSettings

NONCE = "3f2"
KINDS = [Kind("otp", "gsm7", 1), Kind("marketing", "gsm7", 2)]
SECOND = 1_000_000_000


def a_file(folder: Path, *lines: dict[str, Any], tail: bytes = b"") -> AcceptedFile:
    path = folder / "accepted.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines) + tail)
    return AcceptedFile(path, NONCE, KINDS)


def a_line(first: int, ids: Sequence[str | None], *, kind: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "first": first,
        "sent": SECOND,
        "at": 2 * SECOND,
        "ids": ids,
        "kinds": [kind] * len(ids),
        "to": list(range(len(ids))),
        **more,
    }


def a_row(number: int, *, of: int, segment: int = 1, nonce: str = NONCE, **more: Any) -> Row:
    at_ns = 3 * SECOND + number
    text = TextMaker(nonce).text(KINDS[0], of)
    place = Place(segment)
    usual: dict[str, Any] = {
        "number": number,
        "arrival_ns": at_ns,
        "arrival_unix_ns": 0,
        "status": "ESME_ROK",
        "text": text,
        "concatenation": place,
        "receipt_ns": at_ns + SECOND,
    }
    return Row(**(usual | more))


def carrier_books(
    *rows: Row, is_ours: bool = True, by_ref: dict[str, tuple[str, int]] | None = None
) -> CarrierBooks:
    books = CarrierBooks(
        nonce=NONCE, start_ns=SECOND, duration_s=10, to_ns=lambda row: row.arrival_ns, is_ours=is_ours
    )
    books.add(rows, by_ref=by_ref or {})
    return books


def test_accepted_messages_are_read_back_and_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = a_file(tmp_path, a_line(5, ["msg_a", None, "msg_b"]), tail=b'{"first": 9, "sent"')
    found = list(file.messages())
    assert [(one.message_id, one.key) for one in found] == [
        ("msg_a", token(NONCE, 5)),
        ("msg_b", token(NONCE, 7)),
    ]
    assert (found[0].at_ns, found[0].sent_ns, found[0].message_class) == (2 * SECOND, SECOND, "otp")
    assert [one.message_id for one in file.messages(without={"msg_a"})] == ["msg_b"]


def test_a_repeat_counts_only_where_it_got_other_ids(tmp_path: Path) -> None:
    once = a_file(tmp_path, a_line(1, ["msg_a"]), a_line(1, ["msg_a"], repeat=True))
    assert [one.message_id for one in once.messages()] == ["msg_a"]
    twice = a_file(tmp_path, a_line(1, ["msg_a"]), a_line(1, ["msg_x"], repeat=True))
    closed = close_books(twice.messages(), [], [], [], wants_callbacks=False, is_excused=lambda _: False)
    assert closed.ledger.accepted_twice.examples == ["msg_x"]


def test_a_run_is_reconciled_from_its_lists(tmp_path: Path) -> None:
    file = a_file(tmp_path, a_line(0, ["msg_a", "msg_b"]), a_line(2, ["msg_c"], kind=1))
    carrier = carrier_books(
        a_row(0, of=0),
        a_row(1, of=1, status="ESME_RTHROTTLED"),
        a_row(2, of=1),
        a_row(3, of=2, segment=1),
        a_row(4, of=2, segment=2),
        a_row(5, of=0),  # again
    )
    told = tmp_path / "told.jsonl"
    told.write_bytes(
        b'[1, ["msg_old"]]\n' + msgspec.json.encode((5 * SECOND, ["msg_a", "msg_c", None])) + b"\n[7,"
    )
    closed = close_books(
        file.messages(),
        [carrier],
        [("msg_a", "delivered", 5_000), ("msg_b", "delivered", 5_000), ("msg_c", "expired", 5_000)],
        read_told(told, start=len(b'[1, ["msg_old"]]\n')),
        wants_callbacks=True,
        is_excused=lambda _: False,
    )
    ledger = closed.ledger
    assert (ledger.accepted, ledger.taken_segments, ledger.ended, ledger.told) == (3, 5, 3, 2)
    assert ledger.duplicated.examples == ["msg_a"]
    assert ledger.callbacks_missing.examples == ["msg_b"]
    assert closed.final_states == {"delivered": 2, "expired": 1}
    assert carrier.per_second[2] == carrier.taken_count == 5
    assert carrier.worst_second == 6
    assert latency(closed.submit["otp"]).count == 2
    assert latency(closed.submit["otp"]).p50_s == pytest.approx(1, rel=0.01)
    assert latency(closed.receipt).max_s == pytest.approx(1, rel=0.01)


def test_what_no_carrier_got_though_it_is_called_delivered_is_found(tmp_path: Path) -> None:
    file = a_file(tmp_path, a_line(0, ["msg_a"]), a_line(1, ["msg_b"], kind=1))
    closed = close_books(
        file.messages(),
        [carrier_books(a_row(0, of=1, segment=2))],
        [("msg_a", "delivered", 0), ("msg_b", "delivered", 0)],
        [],
        wants_callbacks=False,
        is_excused=lambda _: False,
    )
    assert closed.ledger.invented.examples == ["msg_a"]
    assert closed.ledger.incomplete.examples == ["msg_b"]


def test_a_text_that_a_carrier_keeps_as_a_hash_is_found_by_its_reference_and_counts_whole(
    tmp_path: Path,
) -> None:
    file = a_file(tmp_path, a_line(0, ["msg_a"], kind=1))
    row = a_row(0, of=0, text=None, status=None, is_taken=True, ref="msg_a", concatenation=None)
    books = carrier_books(row, by_ref={"msg_a": (token(NONCE, 0), 2)})
    closed = close_books(
        file.messages(),
        [books],
        [("msg_a", "delivered", 0)],
        [],
        wants_callbacks=False,
        is_excused=lambda _: False,
    )
    assert (closed.ledger.incomplete.count, closed.ledger.taken_segments, books.taken_count) == (0, 2, 2)


def test_messages_of_other_runs_are_nobodys_at_our_simulators_and_passed_over_at_others() -> None:
    stranger = a_row(0, of=0, nonce="fff")
    bare = a_row(1, of=0, text="hola")
    ours, others = carrier_books(stranger, bare), carrier_books(stranger, bare, is_ours=False)
    assert (len(ours.taken), len(others.taken), others.foreign_count) == (2, 0, 2)
    closed = close_books([], [ours], [], [], wants_callbacks=False, is_excused=lambda _: False)
    assert closed.ledger.unclaimed.examples == [token("fff", 0), "without a token, number 1"]


def test_faults_are_bands_in_words_steps_of_simulators_and_excuses() -> None:
    events = [
        EventSettings.model_validate({"at": "9s", "kill": "dispatch"}),
        EventSettings.model_validate({"at": "2s", "for": "3s", "carrier": "a", "set": {"refuse": True}}),
        EventSettings.model_validate({"at": "4s", "carrier": "a", "set": {"disconnect": 1}}),
        EventSettings.model_validate({"at": "5s", "for": "1s", "stop": "callbacks"}),
    ]
    assert [what_of(one) for one in events] == [
        "kill -9 of dispatch",
        "refuse = true",
        "disconnect = 1",
        "callbacks stopped",
    ]
    bands = bands_of(events)
    assert [(one.at_s, one.until_s, one.carrier) for one in bands] == [
        (2, 5, "a"),
        (4, 4, "a"),
        (5, 6, None),
        (9, 9, None),
    ]
    assert timelines(events) == {
        "a": [
            {"at": "2s", "set": {"refuse": True}, "for": "3s"},
            {"at": "4s", "set": {"disconnect": 1}},
        ]
    }
    is_excused = excuse(bands, start_ns=100 * SECOND)
    assert [is_excused((100 + at) * SECOND) for at in (1, 2, 65, 69, 70)] == [False, True, True, True, False]


def test_what_was_told_is_read_on_from_where_the_last_whole_line_ended(tmp_path: Path) -> None:
    told = tmp_path / "told.jsonl"
    told.write_bytes(b'[1,["msg_a"]]\n[2,["msg_b"')
    untold = {"msg_a", "msg_b", "msg_c"}
    start = forget_told(untold, told, 0)
    assert (start, untold) == (14, {"msg_b", "msg_c"})
    with told.open("ab") as file:
        file.write(b']]\n[3,["msg_c"]]\n')
    assert forget_told(untold, told, start) == told.stat().st_size
    assert untold == set()
    assert forget_told(untold, told, told.stat().st_size) == told.stat().st_size
