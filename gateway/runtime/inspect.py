"""`caudal inspect`: which function answers which question; one JSON line in, one out, and a bad line only spoils itself."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from adapters.smpp import inspect as smpp
from gateway.domain.errors import InspectError
from gateway.intake import inspect as text

_ANSWERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "text": text.inspect_text,
    "number": text.inspect_number,
    "sender": text.inspect_sender,
    "keyword": text.inspect_keyword,
    "pdu": smpp.inspect_pdu,
    "receipt": smpp.inspect_receipt,
    "match": smpp.inspect_match,
    "status": smpp.inspect_status,
}

EXAMPLES = {
    "text": '{"text": "Tu código es 4821"}',
    "number": '{"input": "55 1234 5678", "default_region": "MX"}',
    "sender": '{"input": "BancoMX"}',
    "keyword": '{"text": "¡Baja!"}',
    "pdu": '{"hex": "00000010000000150000000000000001"}',
    "receipt": '{"short_message_hex": "69643a3746334120737461743a44454c49565244"}',
    "match": '{"submit_resp_id": "7F3A", "receipt_id": "0032570", "id_format": "resp_hex_receipt_dec"}',
    "status": '{"context": "submit_sm_resp", "code": 88}',
}
"""One input line for each question, to show to somebody at a terminal."""


def inspect_line(what: str, line: bytes | str, *, readable: bool = False) -> str:
    """Return the answer to one JSON line: one JSON line, or indented text when `readable`; errors are answers too."""
    answer = _answer(what, line)
    return "\n".join(_readable(answer)) + "\n" if readable else json.dumps(answer)


def _answer(what: str, line: bytes | str) -> dict[str, Any]:
    try:
        return _ANSWERS[what](_asked(line))
    except (InspectError, smpp.InspectError) as error:
        return _error(error.code, error.detail)
    except Exception as error:  # noqa: BLE001 - a fault of ours in one line must not cost the answers to the others
        return _error("internal_error", f"{type(error).__name__} while answering; this is a fault of caudal")


def _asked(line: bytes | str) -> dict[str, Any]:
    try:
        asked = json.loads(line.decode() if isinstance(line, bytes) else line)
        # The parser lets half a surrogate pair through; no octets can carry it, here or in a message (B13).
        json.dumps(asked, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InspectError("lone_surrogate", "a string holds half of a surrogate pair") from None
    except UnicodeDecodeError as error:
        raise InspectError("invalid_json", f"not UTF-8 at octet {error.start}") from None
    except RecursionError:
        raise InspectError("invalid_json", "nested too deeply") from None
    except ValueError as error:  # a JSONDecodeError, or a number of thousands of digits
        raise InspectError("invalid_json", str(error)) from None
    if not isinstance(asked, dict):
        raise InspectError("invalid_json", f"expected an object, got {type(asked).__name__}")
    return asked


def _error(code: str, detail: str) -> dict[str, Any]:
    return {"error": {"code": code, "detail": detail}}


def _readable(value: dict[str, Any] | list[Any], indent: str = "") -> Iterator[str]:
    """Yield the lines of an answer for people: a key and its value each, what is nested indented, lists numbered."""
    named = value.items() if isinstance(value, dict) else ((f"#{n}", one) for n, one in enumerate(value, 1))
    for name, one in named:
        if isinstance(one, dict | list) and one:
            yield f"{indent}{name}:"
            yield from _readable(one, indent + "  ")
        else:
            yield f"{indent}{name}: {_scalar(one)}"


def _scalar(value: Any) -> str:
    if value is None or value in ({}, [], ""):
        return "-"
    # Escaped unless printable: what a peer wrote must not drive the terminal.
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
