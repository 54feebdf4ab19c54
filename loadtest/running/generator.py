"""The load generator as a process of its own: an open loop of requests at their due times, and an account of each.

`python -m loadtest.running.generator`, started by `loadtest.running.load`. Its first line of input is an `Order`; then
`{"start_ns": N}` begins, `{"stop": true}` ends the load where it is and `{"end": true}` gives up what is open. It prints
a `Tick` a second and one `Account` at its end. Every message that was answered 202 goes to the file of the order.
"""

import asyncio
import sys
from dataclasses import dataclass
from math import inf
from pathlib import Path
from random import Random
from time import monotonic_ns
from typing import Any, Final

import msgspec
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it ships no types

from loadtest.arrivals import Load, Stage
from loadtest.http_client import Answer, HttpChannel, parse_url
from loadtest.parents import die_with_parent
from loadtest.running.lines import input_lines, say
from loadtest.running.orders import Account, Order, Tick
from loadtest.running.texts import TextMaker, kinds, recipient, recipients

HIGHEST_US: Final = 3_600_000_000
DIGITS: Final = 3
_TRIES_S: Final = (0.25, 0.5, 1.0, 2.0)
_OK: Final = 202
_STILL_RUNNING: Final = 409
_BUSY: Final = 503
_SERVER_ERROR: Final = 500
_MAX_REASONS: Final = 20


class _Result(msgspec.Struct):
    id: str | None = None


class _Batch(msgspec.Struct):
    results: list[_Result]


_read_single = msgspec.json.Decoder(_Result).decode
_read_batch = msgspec.json.Decoder(_Batch).decode


def histogram() -> Any:
    """Return an empty histogram of microseconds, 1 to an hour."""
    return HdrHistogram(1, HIGHEST_US, DIGITS)


@dataclass(slots=True)
class _Request:
    """One request: its messages are numbered from `first`; `kinds` and `recipients` are indexes."""

    first: int
    due_ns: int
    key: str
    body: bytes
    kinds: list[int]
    recipients: list[int]


class Generator:
    """Sends one load. `sent` and `offered` count messages, the rest requests unless the name says otherwise."""

    def __init__(self, order: Order) -> None:
        self._order = order
        target = parse_url(order.target)
        self._target = target
        self._path = f"{target.path.rstrip('/')}/v1/messages" + ("" if order.batch == 1 else ":batch")
        self._headers = f"Authorization: Bearer {order.key}\r\nContent-Type: application/json\r\n".encode()
        self._free: list[HttpChannel] = []
        self._slots = asyncio.Semaphore(order.max_open)
        self._kinds, shares = kinds(order.mix, gsm7=order.gsm7, segments=order.segments)
        self._cumulative = [sum(shares[: index + 1]) for index in range(len(shares))]
        self._texts = TextMaker(order.nonce)
        self._recipients = recipients(order.recipients, seed=order.seed)
        self._draw = Random(f"load:{order.seed}:{order.first}")
        self._encode = msgspec.json.Encoder().encode
        self._file = Path(order.accepted_path).open("ab", buffering=1 << 18)  # noqa: SIM115 - closed by `close`
        self._start_ns = 0
        self._next = order.first
        self._is_stopped = False
        self._is_ending = asyncio.Event()
        self.account = Account()
        self._tick = Tick()
        self._lateness, self._accept = histogram(), histogram()
        self._second_accept, self._second_lateness = histogram(), histogram()

    async def run(self, start_ns: int) -> None:
        """Send everything that falls due from `start_ns` on (monotonic), and wait for the answers."""
        order = self._order
        self._start_ns = start_ns
        load = Load([Stage(*stage) for stage in order.stages])
        async with asyncio.TaskGroup() as requests:
            for due_s in load.due(arrivals=order.arrivals, batch=order.batch, seed=order.seed):
                due_ns = start_ns + int(due_s * 1e9)
                wait_ns = due_ns - monotonic_ns()
                if wait_ns > 0:
                    await asyncio.sleep(wait_ns / 1e9)
                if self._is_stopped:
                    break
                await self._slots.acquire()  # beyond the bound a request is late, and says so
                requests.create_task(self._send(self._make(due_ns)), name="generator.request")
            self.account.is_sent = True

    @property
    def is_stopped(self) -> bool:
        """Tell whether the load was ended before its end."""
        return self._is_stopped

    def stop(self) -> None:
        """Begin no more requests."""
        self._is_stopped = True

    def end(self) -> None:
        """Give up the requests whose outcome is unknown."""
        self._is_stopped = True
        self._is_ending.set()

    def close(self) -> None:
        """Write what is in memory and drop the connections."""
        self._file.close()
        for channel in self._free:
            channel.close()

    def _make(self, due_ns: int) -> _Request:
        order, first = self._order, self._next
        count = order.batch
        self._next = first + count
        drawn = self._draw.choices(range(len(self._kinds)), cum_weights=self._cumulative, k=count)
        to = [next(self._recipients) for _ in range(count)]
        text = self._texts.text
        messages: list[dict[str, Any]] = []
        for number, (kind_index, index) in enumerate(zip(drawn, to, strict=True), start=first):
            kind = self._kinds[kind_index]
            messages.append(
                {
                    "to": recipient(index),
                    "from": order.sender,
                    "class": kind.message_class,
                    "content": {"text": text(kind, number)},
                }
            )
        body = self._encode(messages[0] if count == 1 else {"messages": messages})
        return _Request(first, due_ns, f"{order.nonce}-{first:x}", body, drawn, to)

    async def _send(self, request: _Request) -> None:
        """Send one request until its outcome is known; once more with the same key where it is to be repeated."""
        tick, count = self._tick, self._order.batch
        late_us = max(1, (monotonic_ns() - request.due_ns) // 1000)
        self._lateness.record_value(late_us)
        self._second_lateness.record_value(late_us)
        tick.sent += count
        self.account.sent += count
        try:
            is_accepted = await self._until_known(request)
            if is_accepted and self._order.duplicates and self._draw.random() < self._order.duplicates:
                self.account.repeated += 1
                await self._until_known(request, is_repeat=True)
        finally:
            self._slots.release()

    async def _until_known(self, request: _Request, *, is_repeat: bool = False) -> bool:
        """Try until somebody says what became of the request; True when it was accepted."""
        is_unsure, attempt = False, 0
        while True:
            sent_ns = monotonic_ns()
            status, answer = await self._post(request)
            if status == _OK and answer is not None:
                self._book(request, answer, sent_ns=sent_ns, is_repeat=is_repeat)
                return True
            if status == 0 or (status >= _SERVER_ERROR and status != _BUSY):
                is_unsure = True
            if not is_unsure:
                if not is_repeat:
                    self._refuse(self._order.batch)
                return False
            if self._is_ending.is_set():
                self.account.unsure += self._order.batch
                return False
            pause_s = _TRIES_S[min(attempt, len(_TRIES_S) - 1)]
            attempt += 1
            try:
                await asyncio.wait_for(self._is_ending.wait(), pause_s)
            except TimeoutError:
                continue

    async def _post(self, request: _Request) -> tuple[int, Answer | None]:
        """Send once; 0 when no answer came."""
        channel = self._free.pop() if self._free else HttpChannel(self._target)
        self.account.requests += 1
        self._tick.requests += 1
        try:
            answer = await channel.request(
                "POST",
                self._path,
                headers=self._headers + f"Idempotency-Key: {request.key}\r\n".encode(),
                body=request.body,
                timeout_s=self._order.timeout_s,
                is_repeatable=True,
            )
        except (OSError, TimeoutError) as error:
            self._fail(type(error).__name__)
            return 0, None
        self._free.append(channel)
        if answer.status >= _SERVER_ERROR:
            self._fail(f"HTTP {answer.status}")
        elif answer.status not in (_OK, _STILL_RUNNING):
            self._note(f"HTTP {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}")
        return (0 if answer.status == _STILL_RUNNING else answer.status), answer

    def _book(self, request: _Request, answer: Answer, *, sent_ns: int, is_repeat: bool) -> None:
        now_ns = monotonic_ns()
        if self._order.batch == 1:
            ids = [_read_single(answer.body).id]
        else:
            ids = [one.id for one in _read_batch(answer.body).results]
        accepted = sum(one is not None for one in ids)
        if is_repeat:
            # The same ids again are one acceptance; others would be a second one, and the ledger says so.
            self._write(request, ids, sent_ns=sent_ns, at_ns=now_ns, is_repeat=True)
            return
        took_us = min(HIGHEST_US, max(1, (now_ns - request.due_ns) // 1000))
        self._accept.record_value(took_us)
        self._second_accept.record_value(took_us)
        self._tick.accepted += accepted
        self.account.accepted += accepted
        if accepted < len(ids):
            self._refuse(len(ids) - accepted)
            self._note(f"refused in a batch: {answer.body[:200].decode('utf-8', 'replace')}")
        self._write(request, ids, sent_ns=sent_ns, at_ns=now_ns, is_repeat=False)

    def _write(
        self, request: _Request, ids: list[str | None], *, sent_ns: int, at_ns: int, is_repeat: bool
    ) -> None:
        line = {
            "first": request.first,
            "sent": sent_ns,
            "at": at_ns,
            "ids": ids,
            "kinds": request.kinds,
            "to": request.recipients,
        }
        if is_repeat:
            line["repeat"] = True
        self._file.write(self._encode(line) + b"\n")

    def _refuse(self, count: int) -> None:
        self._tick.refused += count
        self.account.refused += count

    def _fail(self, reason: str) -> None:
        self.account.errors += 1
        self._tick.errors += 1
        self._note(reason)

    def _note(self, reason: str) -> None:
        reasons = self.account.reasons
        if reason in reasons or len(reasons) < _MAX_REASONS:
            reasons[reason] = reasons.get(reason, 0) + 1

    # -- telling -----------------------------------------------------------------------------------

    def tick(self, *, offered: int) -> Tick:
        """Return the counts since the last call. `offered` are the messages that were due in that time."""
        tick, self._tick = self._tick, Tick()
        tick.offered = offered
        tick.open = self._order.max_open - self._slots._value  # noqa: SLF001 - there is no public way to read it
        accept, lateness = self._second_accept, self._second_lateness
        if accept.get_total_count():
            tick.accept_ms = [accept.get_value_at_percentile(share) / 1000 for share in (50, 90, 99)]
            tick.accept_ms.append(accept.get_max_value() / 1000)
            tick.accept_hdr = accept.encode().decode()
            accept.reset()
        if lateness.get_total_count():
            tick.lateness_p99_ms = lateness.get_value_at_percentile(99) / 1000
            lateness.reset()
        self._file.flush()
        return tick

    def finish(self) -> Account:
        """Return the account of the whole load."""
        account = self.account
        account.next = self._next
        if self._accept.get_total_count():
            account.accept_hdr = self._accept.encode().decode()
        if self._lateness.get_total_count():
            account.lateness_s = [
                self._lateness.get_value_at_percentile(share) / 1e6 for share in (50, 99)
            ] + [self._lateness.get_max_value() / 1e6]
        return account


class _Due:
    """How many messages are due up to a moment, in the order of the load."""

    def __init__(self, order: Order) -> None:
        self._batch = order.batch
        load = Load([Stage(*stage) for stage in order.stages])
        self._times = load.due(arrivals=order.arrivals, batch=order.batch, seed=order.seed)
        self._next: float | None = next(self._times, None)

    def up_to(self, elapsed_s: float) -> int:
        """Return the messages that fell due since the last call."""
        count = 0
        while self._next is not None and self._next <= elapsed_s:
            count += self._batch
            self._next = next(self._times, None)
        return count


class _Teller:
    """Prints a `Tick` a second."""

    def __init__(self, generator: Generator, order: Order, start_ns: int) -> None:
        self._generator = generator
        self._due = _Due(order)
        self._start_ns = start_ns

    async def run(self) -> None:
        second = 0
        while True:
            second += 1
            await asyncio.sleep(max(0.0, (self._start_ns - monotonic_ns()) / 1e9 + second))
            self.tell((monotonic_ns() - self._start_ns) / 1e9)

    def tell(self, elapsed_s: float) -> None:
        """Print what was done since the last time; what is due after a stop is not offered."""
        generator = self._generator
        offered = 0 if generator.is_stopped else self._due.up_to(elapsed_s)
        generator.account.offered += offered
        say(generator.tick(offered=offered))


async def _listen(lines: asyncio.StreamReader, generator: Generator) -> None:
    while line := await lines.readline():
        said = msgspec.json.decode(line)
        if said.get("stop"):
            generator.stop()
        if said.get("end"):
            generator.end()
    generator.end()  # whoever started us is gone


async def _main() -> None:
    lines = await input_lines()
    order = msgspec.json.decode(await lines.readline(), type=Order)
    generator = Generator(order)
    say({"event": "ready"})
    start = msgspec.json.decode(await lines.readline() or b"{}")
    if "start_ns" not in start:
        return
    start_ns = int(start["start_ns"])
    teller = _Teller(generator, order, start_ns)
    watchers = [
        asyncio.create_task(teller.run(), name="generator.tell"),
        asyncio.create_task(_listen(lines, generator), name="generator.listen"),
    ]
    try:
        await generator.run(start_ns)
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        teller.tell(inf)
        generator.close()
    say(generator.finish())


def main() -> None:
    """Run as a process; it ends with the one that started it."""
    if sys.platform.startswith("linux"):
        die_with_parent()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())


if __name__ == "__main__":
    main()
