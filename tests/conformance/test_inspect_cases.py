"""`caudal inspect` as an operator runs it: every case of tests/data/inspect through the command line.

The expected values were worked out from the domain rules and the standards, not with the product. Each line of
`<command>.jsonl` is {"row", "command", "input" | "raw" | "raw_hex", "expect"}: `row` is the rule it covers,
`expect` a subset of the answer (the whole of it with "exact"), `keys` the exact keys of the answer.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data" / "inspect"
COMMANDS = ("text", "pdu", "receipt", "match", "status", "number", "sender", "keyword")


def line_of(case: dict[str, Any]) -> bytes:
    """Return the input line of a case, as octets without line feed."""
    if "raw_hex" in case:
        return bytes.fromhex(case["raw_hex"])
    line = case["raw"] if "raw" in case else json.dumps(case["input"], ensure_ascii=False)
    return line.encode()


def differences(expected: Any, actual: Any, *, exact: bool, at: str = "") -> list[str]:
    """Return where `actual` differs from `expected`; keys beyond the expected ones count only when `exact`."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = [f"{at}.{key}: unexpected" for key in sorted(set(actual) - set(expected)) if exact]
        for key, value in expected.items():
            if key in actual:
                found += differences(value, actual[key], exact=exact, at=f"{at}.{key}")
            else:
                found.append(f"{at}.{key}: missing")
        return found
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{at}: {len(expected)} items expected, got {len(actual)}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [
            text
            for index, (wanted, got) in pairs
            for text in differences(wanted, got, exact=exact, at=f"{at}[{index}]")
        ]
    same = type(expected) is type(actual) and expected == actual
    return [] if same else [f"{at}: expected {str(expected)[:300]!r}, got {str(actual)[:300]!r}"]


def check(case: dict[str, Any], line: bytes) -> list[str]:
    actual = json.loads(line)
    found = differences(case["expect"], actual, exact=case.get("exact", False))
    if "keys" in case and sorted(actual) != sorted(case["keys"]):
        found.append(f"keys are {sorted(actual)}")
    if "error" in actual:
        code, detail = actual["error"]["code"], actual["error"]["detail"]
        if code == "internal_error":
            found.append("the command met a fault of its own")
        if sorted(actual["error"]) != ["code", "detail"] or not code or not detail:
            found.append(f"the error is {actual['error']}")
        if len(detail) > 400 or "Traceback" in detail:
            found.append(f"the detail is not for people: {detail[:100]}")
        if "error" not in case["expect"]:
            found.append(f"an error was not expected: {code}: {detail}")
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_case_of(command: str) -> None:
    cases = [json.loads(line) for line in (DATA / f"{command}.jsonl").read_text("utf-8").splitlines()]
    assert {case["command"] for case in cases} == {command}
    lines = [line_of(case) for case in cases]
    assert not any(b"\n" in line for line in lines)

    # A user's terminal settings must not matter: the octets are UTF-8 in any locale.
    for locale in ("C", "C.UTF-8"):
        run = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "inspect", command],
            input=b"\n".join(lines) + b"\n",
            capture_output=True,
            timeout=60,
            check=False,
            env={"LC_ALL": locale, "PYTHONUTF8": "0", "PATH": ""},
            cwd=DATA.parents[2],
        )
        assert run.stderr == b""
        assert run.returncode == 0
        answers = run.stdout.decode("ascii").splitlines()
        assert len(answers) == len(cases), "one line for each input"
        failures = [
            f"case {number} ({case['row']}) {lines[number - 1][:160]!r}: " + "; ".join(found[:5])
            for number, (case, answer) in enumerate(zip(cases, answers, strict=True), 1)
            if (found := check(case, answer.encode()))
        ]
        assert not failures, f"{len(failures)} of {len(cases)}:\n" + "\n".join(failures[:40])


def test_each_line_is_answered_before_the_next_is_written() -> None:
    """A bench may hold a conversation with the command."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "inspect", "keyword"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=DATA.parents[2],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text, action in (("BAJA", "opt_out"), ("hola", "mo")):
            process.stdin.write(json.dumps({"text": text}).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == {"action": action}
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def test_the_rows_of_the_domain_rules_are_covered() -> None:
    rows = {
        json.loads(line)["row"]
        for command in COMMANDS
        for line in (DATA / f"{command}.jsonl").read_text("utf-8").splitlines()
    }
    expected = (
        {f"A{n}" for n in range(1, 9)} | {f"B{n}" for n in range(1, 28)} | {f"C{n}" for n in range(1, 7)}
    )
    expected |= {f"D{n}" for n in range(1, 11)} | {"E1", "E2", "E5", "E6", "E7", "E8", "E10"}
    expected |= {f"F{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 19)}
    expected |= {"G1", "G2", "G4", "G5"} | {f"I{n}" for n in range(1, 11)}
    assert sorted(expected - rows) == []
