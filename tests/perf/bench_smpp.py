"""The SMPP part of `make bench`: what the codec costs per PDU, and how many messages one core carries as an ESME.

Every client runs in a process of its own against the same raw sink (`smpp_sink`), in turns, and the median of the turns
is shown. Figures depend on the machine and on what else runs: compare only what one run printed, and trust the ratios.
`python -m tests.perf.bench_smpp [--count N] [--turns N] [--no-peers]`.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import (
    decode_deliver_sm,
    decode_submit_sm,
    decode_submit_sm_resp_id,
    encode_deliver_sm,
    encode_deliver_sm_resp,
    encode_submit_sm,
    encode_submit_sm_resp,
)
from adapters.smpp.wire.framer import Framer
from adapters.smpp.wire.receipt_text import parse_receipt
from adapters.smpp.wire.tlv import Tlv
from tests.perf.report import Report, json_option

ROOT = Path(__file__).parent.parent.parent
NPM = ROOT / "tests" / "conformance" / "npm"
DEADLINE_S = 120.0
WINDOW = 100
TARGET_PER_CORE_S = 25_000
TARGET_RATIO = 6.0
# Peers are slower: the same CPU seconds with fewer messages.
COUNT_SHARE = {"caudal": 1.0, "aiosmpplib": 0.1, "npm smpp": 0.2}

_SUBMIT = p.SubmitSm(
    source_addr="12345",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr="525512345678",
    validity_period="000000000500000R",
    registered_delivery=1,
    short_message=b"Su codigo es 123456. No lo comparta con nadie.",
)
_RECEIPT = p.DeliverSm(
    source_addr_ton=1,
    source_addr_npi=1,
    source_addr="525512345678",
    destination_addr="12345",
    esm_class=4,
    short_message=b"id:0000000007 sub:001 dlvrd:001 submit date:2601151230 done date:2601151231 stat:DELIVRD err:000 text:",
    tlvs=(Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"0000000007\0"), Tlv(c.TAG_MESSAGE_STATE, b"\x02")),
)


# --- codec ---------------------------------------------------------------------------------------------


def microseconds(call: Callable[[], Any], *, rounds: int = 20_000, turns: int = 5) -> float:
    """Return the CPU microseconds of one call: the best of some turns, for noise only adds."""
    best = float("inf")
    for _ in range(turns):
        started = time.process_time()
        for _ in range(rounds):
            call()
        best = min(best, time.process_time() - started)
    return best / rounds * 1e6


def codec_figures() -> dict[str, float]:
    """Return CPU microseconds per PDU by what is done to it."""
    submit = encode_submit_sm(_SUBMIT, sequence_number=7)[16:]
    deliver = encode_deliver_sm(_RECEIPT, sequence_number=7)[16:]
    pdu = decode_deliver_sm(deliver)
    stream = encode_submit_sm_resp(7, 0, "0000000007") * 100
    return {
        "submit_sm encode": microseconds(lambda: encode_submit_sm(_SUBMIT, sequence_number=7)),
        "submit_sm decode": microseconds(lambda: decode_submit_sm(submit)),
        "deliver_sm (receipt) encode": microseconds(lambda: encode_deliver_sm(_RECEIPT, sequence_number=7)),
        "deliver_sm (receipt) decode": microseconds(lambda: decode_deliver_sm(deliver)),
        "submit_sm_resp encode": microseconds(lambda: encode_submit_sm_resp(7, 0, "0000000007")),
        "submit_sm_resp decode": microseconds(lambda: decode_submit_sm_resp_id(b"0000000007\0")),
        "deliver_sm_resp encode": microseconds(lambda: encode_deliver_sm_resp(7, 0)),
        "frame (of 100 in a read)": microseconds(lambda: Framer().feed(stream), rounds=300) / 100,
        "receipt parse (text and TLVs)": microseconds(
            lambda: parse_receipt(
                esm_class=pdu.esm_class, data_coding=0, short_message=pdu.short_message, tlvs=pdu.tlvs
            )
        ),
    }


# --- one session ---------------------------------------------------------------------------------------


@contextmanager
def a_sink(*, receipts: bool) -> Iterator[int]:
    """Run the sink and give its port."""
    command = [sys.executable, "-m", "tests.perf.smpp_sink", *(["--receipts"] if receipts else [])]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["port"]
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=10)


def run_client(client: str, port: int, count: int, *, receipts: bool) -> dict[str, Any] | str:
    """Return the figures of one client, or why there are none."""
    numbers = [str(port), str(count), str(WINDOW)]
    if client == "npm smpp":
        command, folder = ["node", "esme_bench.js", *numbers, *(["receipts"] if receipts else [])], NPM
    else:
        module = [sys.executable, "-m", "tests.perf.smpp_clients", client]
        command, folder = [*module, *numbers, *(["--receipts"] if receipts else [])], ROOT
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done within {DEADLINE_S:.0f} s"
    if done.returncode:
        return done.stderr.strip().rsplit("\n", 1)[-1][:200] or f"exit code {done.returncode}"
    figures: dict[str, Any] = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
    return figures


def available_clients(report: Report, *, with_peers: bool) -> list[str]:
    """Return the clients that can run here; what is left out is said."""
    clients = ["caudal"]
    if with_peers:
        clients.append("aiosmpplib")
        if not (NPM / "node_modules" / "smpp").is_dir() and shutil.which("npm"):
            subprocess.run(["npm", "ci", "--silent"], cwd=NPM, timeout=120, check=False)
        if (NPM / "node_modules" / "smpp").is_dir() and shutil.which("node"):
            clients.append("npm smpp")
        else:
            report.note("Left out: npm smpp, which needs node and npm.")
    return clients


def session_figures(
    clients: list[str], *, count: int, turns: int, receipts: bool
) -> dict[str, tuple[float, float]]:
    """Return (CPU ms per 1,000, messages per second of wall clock) by client: medians of interleaved turns."""
    cpu: dict[str, list[float]] = {client: [] for client in clients}
    wall: dict[str, list[float]] = {client: [] for client in clients}
    with a_sink(receipts=receipts) as port:
        for _ in range(turns):
            for client in clients:
                own_count = max(100, int(count * COUNT_SHARE[client]))
                figures = run_client(client, port, own_count, receipts=receipts)
                if isinstance(figures, str):
                    print(f"  {client}: {figures}")
                    continue
                if figures["refused"]:
                    print(f"  {client}: {figures['refused']} of {own_count} were not taken")
                cpu[client].append(figures["cpu_s"] / own_count * 1e6)
                wall[client].append(own_count / figures["wall_s"])
    return {
        client: (statistics.median(cpu[client]), statistics.median(wall[client]))
        for client in clients
        if cpu[client]
    }


def table_of_sessions(report: Report, title: str, figures: dict[str, tuple[float, float]]) -> float:
    """Print and keep one table; return messages per core-second of ours."""
    own = figures["caudal"][0]
    rows = [
        [client, cpu_ms, 1e6 / cpu_ms, per_s, f"{cpu_ms / own:.1f}"]
        for client, (cpu_ms, per_s) in figures.items()
    ]
    report.table(
        title, ["", "CPU ms per 1,000", "messages per core-second", "messages/s", "times ours"], rows
    )
    return 1e6 / own


def main(argv: Sequence[str] = ()) -> int:
    """Measure and print; returns 0, for a slow machine is not a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000, help="segments of our client; peers get fewer")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    json_option(parser)
    given = parser.parse_args(argv)
    report = Report("smpp")
    report.table("Codec", ["", "CPU us per PDU"], [[name, spent] for name, spent in codec_figures().items()])
    clients = available_clients(report, with_peers=not given.no_peers)
    for title, receipts in (
        ("One ESME session, submit and response", False),
        ("One ESME session, submit, response, receipt, response", True),
    ):
        figures = session_figures(clients, count=given.count, turns=given.turns, receipts=receipts)
        if "caudal" not in figures:
            return 1
        per_core_s = table_of_sessions(
            report, f"{title}; window {WINDOW}, loopback, client process only", figures
        )
    ratio = figures["aiosmpplib"][0] / figures["caudal"][0] if "aiosmpplib" in figures else None
    report.headline(
        f"One SMPP session with receipts carries {per_core_s:,.0f} messages per core-second (target {TARGET_PER_CORE_S:,})"
        + ("." if ratio is None else f", {ratio:.1f} times aiosmpplib (target {TARGET_RATIO:.0f}).")
    )
    report.write(given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
