"""Memory of the load tool for the books of a run, fed with lists made up here: no gateway, no simulator.

    python -m tests.perf.load_memory 1000000

Goes the way of `loadtest.running.closing`: the finals as the database gives them, the carrier's record page by page,
what was told from the sink's file, then the ledger. Prints the resident memory after each and its peak.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import psutil  # type: ignore[import-untyped]  # it ships no types

from loadtest.running.books import AcceptedFile, CarrierBooks, close_books, message_id, read_told
from loadtest.running.carriers import Place, Row
from loadtest.running.closing import End, forget_told
from loadtest.running.texts import Kind, TextMaker

NONCE = "3f2"
KIND = Kind("transactional", "gsm7", 1)
BATCH = 100
PAGE = 10_000
SECOND_NS = 1_000_000_000
RATE = 2_778


def uuid_of(number: int) -> UUID:
    """Return an id as the gateway makes them: time first, then chance."""
    return UUID(int=(1_790_000_000_000 + number) << 80 | (number * 0x9E3779B97F4A7C15) % (1 << 62))


def at_ns(number: int) -> int:
    """Return when a message was accepted, at the rate of ten million an hour."""
    return SECOND_NS + number * SECOND_NS // RATE


def write_accepted(path: Path, count: int) -> AcceptedFile:
    """Write the generator's file."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            line = {
                "first": first,
                "sent": at_ns(first),
                "at": at_ns(first) + 5_000_000,
                "ids": [message_id(uuid_of(number)) for number in numbers],
                "kinds": [0] * len(numbers),
                "to": [number % 10_000 for number in numbers],
            }
            file.write(encode(line) + b"\n")
    return AcceptedFile(path, NONCE, [KIND])


def write_told(path: Path, count: int) -> None:
    """Write the sink's file."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for first in range(0, count, BATCH):
            ids = [message_id(uuid_of(number)) for number in range(first, min(first + BATCH, count))]
            file.write(encode((at_ns(first) + 2 * SECOND_NS, ids)) + b"\n")


def pages(count: int) -> Iterator[list[Row]]:
    """Yield the record of a carrier, as `Carrier.rows` does."""
    maker = TextMaker(NONCE)
    for first in range(0, count, PAGE):
        rows = []
        for number in range(first, min(first + PAGE, count)):
            came_ns = at_ns(number) + 50_000_000
            text = maker.text(KIND, number)
            rows.append(
                Row(
                    number=number,
                    arrival_ns=came_ns,
                    arrival_unix_ns=came_ns,
                    status="ESME_ROK",
                    text=text,
                    concatenation=Place(1),
                    receipt_ns=came_ns + SECOND_NS,
                )
            )
        yield rows


def say(what: str, since: float) -> None:
    """Print memory now and at most."""
    now_mb = psutil.Process().memory_info().rss / 1e6
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(
        f"{what:<22}{now_mb:>8.0f} MB   peak {peak_mb:>8.0f} MB   {time.process_time() - since:>6.1f} s CPU"
    )


def measure(count: int, folder: Path) -> None:
    """Close the books of a run of `count` messages."""
    file = write_accepted(folder / "accepted.jsonl", count)
    write_told(folder / "told.jsonl", count)
    since = time.process_time()
    say("before", since)
    finals_of = [(uuid_of(number), "delivered", 1_790_000_000_000 + number) for number in range(count)]
    finals: list[End] = [(message_id(one), state, at_ms) for one, state, at_ms in finals_of]
    del finals_of
    say("finals", since)
    books = CarrierBooks(
        nonce=NONCE,
        start_ns=SECOND_NS,
        duration_s=count / RATE + 60,
        to_ns=lambda row: row.arrival_ns,
        is_ours=True,
    )
    for rows in pages(count):
        books.add(rows, by_ref={})
    say("carrier's record", since)
    untold = {one for one, _, _ in finals}
    forget_told(untold, folder / "told.jsonl", 0)
    assert not untold
    say("told", since)
    closed = close_books(
        file.messages(),
        [books],
        finals,
        read_told(folder / "told.jsonl"),
        wants_callbacks=True,
        is_excused=lambda _: False,
    )
    say("ledger", since)
    ledger = closed.ledger
    assert (ledger.accepted, ledger.ended, ledger.told, ledger.taken_segments) == (count,) * 4
    assert not ledger.lost.count + ledger.duplicated.count + ledger.stuck.count + ledger.wrong_order.count


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("messages", nargs="?", type=int, default=1_000_000)
    with tempfile.TemporaryDirectory(prefix="cdlmemory") as folder:
        measure(parser.parse_args().messages, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
