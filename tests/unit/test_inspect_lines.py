"""`caudal inspect`, line by line: a bad line spoils only itself, and a terminal gets text instead of JSON."""

import json

import pytest

from gateway.runtime import inspect as lines
from gateway.runtime.inspect import EXAMPLES, inspect_line


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "invalid_json"),
        (b"\n", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"code": "\xff"}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"code": 1' + b"0" * 5_000 + b"}", "invalid_json"),
        (rb'{"context": "\ud83d", "code": 0}', "lone_surrogate"),
        (rb'{"\ud83d": 0}', "lone_surrogate"),
    ],
)
def test_what_is_no_json_object_is_an_error_of_its_line(line, code):
    answer = json.loads(inspect_line("status", line))
    assert answer["error"]["code"] == code
    assert 0 < len(answer["error"]["detail"]) < 200


def test_b13_half_a_surrogate_pair_is_an_error_for_every_question():
    for what in EXAMPLES:
        assert "lone_surrogate" in inspect_line(what, rb'{"input": "\ud83d", "text": "\ude00"}')
    assert json.loads(inspect_line("text", rb'{"text": "\ud83d\ude00"}'))["units"] == 2


def test_a_fault_of_ours_is_an_answer_too(monkeypatch):
    def broken(_asked):
        raise ZeroDivisionError

    monkeypatch.setitem(lines._ANSWERS, "status", broken)
    assert json.loads(inspect_line("status", b'{"code": 0}'))["error"]["code"] == "internal_error"


@pytest.mark.parametrize("what", EXAMPLES)
def test_the_example_of_each_question_is_answered(what):
    assert "error" not in json.loads(inspect_line(what, EXAMPLES[what].encode()))


def test_readable_answers_are_indented_text():
    assert inspect_line("text", '{"text": "hola"}', readable=True) == (
        "encoding: gsm7\n"
        "data_coding: 0\n"
        "units: 4\n"
        "segment_count: 1\n"
        "segments:\n"
        "  #1:\n"
        "    esm_class: 0\n"
        "    udh_hex: -\n"
        "    short_message_hex: 686f6c61\n"
        "    tlvs: -\n"
    )


def test_what_a_peer_wrote_cannot_drive_the_terminal():
    body = b"id:1 stat:DELIVRD text:\x1b[2J\x9b"
    shown = inspect_line("receipt", json.dumps({"short_message_hex": body.hex()}), readable=True)
    assert shown.replace("\n", "").isprintable()
    assert r"\u001b[2J\u009b" in shown
