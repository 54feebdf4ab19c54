"""What was said to a carrier and by it, for people: PDUs and requests, with secrets and numbers masked.

Used by `gateway.runtime.carrier_test` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.http.dialect import HttpDialect, HttpRequest, HttpResponse
from adapters.http.shown import MAX_SHOWN_CHARACTERS, masked_numbers
from adapters.smpp.inspect import InspectError, inspect_pdu
from adapters.smpp.wire.constants import status_name
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import SubmitOutcome
from gateway.ports.clock import Clock

_MAX_TRACE: Final = 200
_ANSWER: Final = 0x80000000  # SMPP 3.4 §5.1.2.1, the bit of responses
_SOMEBODY_ELSES: Final = "deliver_sm"
_ADDRESSES: Final = ("source_addr", "destination_addr")


@dataclass(slots=True)
class Trace:
    """What was said, in order; at most `_MAX_TRACE` lines. Times are milliseconds since the start."""

    clock: Clock
    started_ns: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, direction: str, what: str, **more: Any) -> None:
        """Note something said (`out`, `in`) or met with (`-`)."""
        if len(self.lines) < _MAX_TRACE:
            at_ms = round((self.clock.monotonic_ns() - self.started_ns) / 1e6, 1)
            self.lines.append({"at_ms": at_ms, "direction": direction, "what": what, **more})

    def first(self, direction: str, *starts: str) -> float | None:
        """Return when something that begins so was first said."""
        return next(
            (
                line["at_ms"]
                for line in self.lines
                if line["direction"] == direction and line["what"].startswith(starts)
            ),
            None,
        )


class PduTap:
    """Notes the PDUs of a session: a tap of `SmppLink`."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._rest: dict[str, str] = {}

    def __call__(self, direction: str, octets: bytes) -> None:
        """Take octets as they are written or read; a PDU may be cut anywhere."""
        trace = self._trace
        try:
            found = inspect_pdu({"hex": self._rest.pop(direction, "") + octets.hex()})
        except InspectError as error:
            trace.add(direction, "octets that are no PDU", octets=len(octets), error=error.detail)
            return
        self._rest[direction] = found["rest_hex"] if "error" not in found else ""
        for entry in found["pdus"]:
            command, status = entry["command"], entry["command_status"]
            is_answer = entry["command_id"] & _ANSWER
            tlvs = {tlv["name"] or hex(tlv["tag"]): tlv["hex"] for tlv in entry["tlvs"]}
            trace.add(
                direction,
                command,
                **({"status": status_name(status) if status else "ESME_ROK"} if is_answer else {}),
                sequence_number=entry["sequence_number"],
                fields=_masked_fields(command, entry["fields"]),
                tlvs={} if command == _SOMEBODY_ELSES else tlvs,
            )


def _masked_fields(command: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(fields)
    if shown.get("password"):
        shown["password"] = "[redacted]"  # noqa: S105 - it is what hides one
    for name in _ADDRESSES:
        if shown.get(name):
            shown[name] = masked_numbers(str(shown[name]))
    if command == _SOMEBODY_ELSES:
        shown["short_message_hex"] = "[hidden]"
    return shown


class TracedDialect:
    """A dialect whose requests and answers are written down."""

    def __init__(self, dialect: HttpDialect, trace: Trace) -> None:
        self._dialect = dialect
        self._trace = trace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)

    def request(self, segments: Sequence[OutboundSegment], *, now_ms: int) -> HttpRequest:
        """Return the request, and note it."""
        made = self._dialect.request(segments, now_ms=now_ms)
        self._trace.add("out", f"{made.method} request", **self._dialect.shown(made))
        return made

    def outcomes(
        self, response: HttpResponse, segments: Sequence[OutboundSegment], *, bind: str, response_ms: int
    ) -> list[SubmitOutcome]:
        """Return the outcomes, and note the answer."""
        self._trace.add(
            "in",
            f"HTTP {response.status}",
            headers={
                name: masked_numbers(value) for name, value in response.headers.items() if _is_told(name)
            },
            body=masked_numbers(response.body.decode("utf-8", "replace"))[:MAX_SHOWN_CHARACTERS],
        )
        return self._dialect.outcomes(response, segments, bind=bind, response_ms=response_ms)


def _is_told(header: str) -> bool:
    return header.lower() not in ("set-cookie", "authorization", "www-authenticate")


def phases(trace: Trace, *, is_smpp: bool) -> dict[str, float]:
    """Return how long each part took, in milliseconds, as far as it came."""
    marks: list[tuple[str, float | None]]
    if is_smpp:
        marks = [
            ("connect", trace.first("out", "bind")),
            ("bind", trace.first("in", "bind")),
            ("submit", trace.first("in", "submit_sm_resp", "generic_nack")),
            ("unbind", trace.first("in", "unbind_resp")),
        ]
    else:
        methods = ("GET", "POST", "PUT")
        marks = [("connect", trace.first("out", *methods)), ("submit", trace.first("in", "HTTP"))]
    took: dict[str, float] = {}
    since = 0.0
    for name, at in marks:
        if at is not None:
            took[name] = round(at - since, 1)
            since = at
    return took
