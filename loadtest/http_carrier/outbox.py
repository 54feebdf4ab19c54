"""What a simulated HTTP carrier has to tell: receipts on their way to their time, and the calls that tell them.

Without a callback URL nothing is ever told. The carrier's timer asks `next_due_ns` and calls `release_due`.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from loadtest.http_carrier import record as columns
from loadtest.http_carrier.callbacks import CallbackSender
from loadtest.http_carrier.exchange import Kind, Message, Notice, Status
from loadtest.http_carrier.orders import Orders
from loadtest.http_carrier.record import Record
from loadtest.http_carrier.settings import HttpCarrierSettings
from loadtest.http_client import HttpChannel, parse_url
from loadtest.ticks import TickQueue

REORDER_NS: Final = 500_000_000
DUPLICATE_NS: Final = 1_000_000_000


class Outbox:
    """Receipts by their time, and the sender. `on_told(notices)` is called with what a call's end has settled, well or not."""

    def __init__(
        self,
        settings: HttpCarrierSettings,
        *,
        kind: Kind,
        orders: Orders,
        record: Record,
        unix_ns: Callable[[], int],
        on_told: Callable[[list[Notice]], None],
    ) -> None:
        self._orders = orders
        self._kind = kind
        self._record = record
        self._settings = settings
        self._limit = settings.receipt_limit
        self._on_told = on_told
        self._draw = Random(f"outbox:{settings.seed}").random
        self._due: TickQueue[Notice] = TickQueue()
        self._sender: CallbackSender | None = None
        self._dropped_count = 0
        if settings.callback_url:
            self._sender = CallbackSender(
                parse_url(settings.callback_url),
                kind,
                orders,
                unix_ns=unix_ns,
                connections=settings.callback_connections,
                timeout_s=settings.callback_timeout_s,
                retry_s=settings.callback_retry_s,
                max_tries=settings.callback_tries,
                max_waiting=settings.receipt_limit,
                on_done=self._told,
                on_failed=lambda: on_told([]),
            )

    def start(self) -> None:
        """Begin to call."""
        if self._sender is not None:
            self._sender.start()

    async def stop(self) -> None:
        """End; what was not told is lost, as when a carrier dies."""
        if self._sender is not None:
            await self._sender.stop()

    def __len__(self) -> int:
        """Count the receipts whose time has not come."""
        return len(self._due)

    @property
    def tells(self) -> bool:
        """Tell whether there is somebody to call."""
        return self._sender is not None

    @property
    def next_due_ns(self) -> int | None:
        """When the next receipt is due; None while none waits."""
        return self._due.next_due_ns

    def schedule(
        self, number: int, message: Message, fate: str, *, due_ns: int, is_first: bool = False
    ) -> None:
        """Queue the receipts of a message that was taken, without those that shall be lost; `is_first` waits for none."""
        orders, shares = self._orders, self._orders.shares
        if self._sender is None or not orders.sends_receipts:
            return
        statuses: tuple[Status, ...] = self._kind.statuses(fate)
        if not statuses:
            return
        if shares["late"].falls():
            due_ns += orders.late_delay.draw_ns()
        if shares["receipts_reordered"].falls():
            if len(statuses) > 1:
                statuses = statuses[::-1]
            else:
                due_ns += int(self._draw() * REORDER_NS)
        for status in statuses:
            due_ns += 0 if is_first else orders.receipt_delay.draw_ns()
            if shares["receipts_lost"].falls():
                continue
            notice = Notice(
                number, status.state, message.destination, message.source, message.ref, status.error
            )
            self._push(due_ns, notice)
            if shares["receipts_duplicated"].falls():
                self._push(due_ns + int(self._draw() * DUPLICATE_NS), notice)

    def _push(self, due_ns: int, notice: Notice) -> None:
        """Queue a receipt; the ones above the limit are counted only."""
        if len(self._due) < self._limit:
            self._record.mark(notice.number, columns.RECEIPT_DUE)
            self._due.push(due_ns, notice)
        else:
            self._dropped_count += 1

    def release_due(self, now_ns: int) -> None:
        """Hand the receipts whose time has come to the calls."""
        if self._sender is not None:
            for notice in self._due.pop_due(now_ns):
                self._sender.put(notice)

    def send(self, notice: Notice) -> None:
        """Send what was ordered by hand. Raises ValueError without a callback URL, or when too much waits."""
        if self._sender is None:
            raise ValueError("there is no callback url to send to")
        if not self._sender.put(notice):
            raise ValueError(f"{self._limit} notices wait already, that is the limit")

    async def verify(self) -> bool:
        """Make the GET verification of the callback URL; tell whether the challenge came back.

        Raises ValueError without a callback URL, OSError or TimeoutError when it cannot be reached.
        """
        if self._sender is None:
            raise ValueError("there is no callback url to verify")
        challenge = str(int(self._draw() * 1e9))
        asked = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": self._settings.verify_token,
        }
        target = parse_url(self._settings.callback_url)
        path = f"{target.path}{'&' if '?' in target.path else '?'}{urlencode(asked)}"
        channel = HttpChannel(target)
        try:
            answer = await channel.request("GET", path, timeout_s=self._settings.callback_timeout_s)
        finally:
            channel.close()
        return answer.status == 200 and answer.body.strip() == challenge.encode()

    def wake(self) -> None:
        """Let the calls go on after they were held."""
        if self._sender is not None:
            self._sender.release()

    def report(self) -> dict[str, Any] | None:
        """Return the counts, None without a callback URL."""
        if self._sender is None:
            return None
        report = self._sender.report()
        report["dropped"] += self._dropped_count
        return report

    def _told(self, notices: list[Notice], is_acknowledged: bool) -> None:  # noqa: FBT001  # a callback
        for notice in notices:
            if notice.number >= 0:
                self._record.mark(notice.number, columns.RECEIPT_SENT)
                if is_acknowledged:
                    self._record.mark(notice.number, columns.RECEIPT_ACKNOWLEDGED)
        self._on_told(notices)
