"""Defects of a gateway that breaks its promises, planted into the processes of its roles by patching them at start.

Only for `tests.faults.defects`, which shows that `loadtest run` finds each of them. A patch changes what one role does,
as a bug in it would; it knows nothing of the load test.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

EVERY = 7  # no divisor of the recipients, who take turns: else the same ones would be hit each time
LATE_S = 8.0

Patch = Callable[[], None]
PLANTS: dict[str, tuple[str, Patch]] = {}
"""The role that each defect is in, and what plants it there."""


def plant(names: Sequence[str], *, role: str) -> None:
    """Plant those of the named defects that belong to the role. Raises KeyError for a name that is none."""
    for name in names:
        where, patch = PLANTS[name]
        if where == role:
            patch()


def _in(role: str) -> Callable[[Patch], Patch]:
    def add(patch: Patch) -> Patch:
        PLANTS[patch.__name__] = (role, patch)
        return patch

    return add


@_in("api")
def loses() -> None:
    """One message in seven is promised and not kept."""
    from gateway.intake import submission

    written, numbers = submission.written, count(1)

    def planted(messages: Sequence[Any], **how: Any) -> Any:
        return written([one for one in messages if next(numbers) % EVERY], **how)

    submission.written = planted


@_in("api")
def doubles() -> None:
    """One message in seven goes into its lane twice."""
    from gateway.bus.topics import EVENTS
    from gateway.intake import submission

    written, numbers = submission.written, count(1)

    def planted(messages: Sequence[Any], **how: Any) -> Any:
        records, rows = written(messages, **how)
        again = [one for one in records if one.topic != EVENTS and not next(numbers) % EVERY]
        return records + again, rows

    submission.written = planted


@_in("api")
def repeats() -> None:
    """One message in seven goes to its carrier twice, as a resend would that does not look whether an answer came."""
    doubles()


@_in("api")
def dawdles() -> None:
    """Every answer is late."""
    from gateway.ingress.hot import HotEndpoint

    answer = HotEndpoint.__call__

    async def planted(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(LATE_S)
        await answer(self, scope, receive, send)

    HotEndpoint.__call__ = planted


@_in("api")
def crashes() -> None:
    """One request in seven is answered 500."""
    from gateway.ingress.hot import HotEndpoint

    answer, numbers = HotEndpoint.__call__, count(1)

    async def planted(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not next(numbers) % EVERY:
            raise RuntimeError("planted")
        await answer(self, scope, receive, send)

    HotEndpoint.__call__ = planted


def _holding(is_chosen: Callable[[Any], bool], *, for_s: float) -> None:
    """Have the chosen messages wait as if they were scheduled."""
    from gateway.domain.carried import replace
    from gateway.domain.message import Message
    from gateway.intake.prepare import Preparer

    prepare = Preparer.prepare

    def planted(self: Any, draft: Any, common: Any) -> Any:
        made = prepare(self, draft, common)
        if isinstance(made, Message) and is_chosen(made):
            return replace(made, send_at=made.accepted_at + int(for_s * 1000))
        return made

    Preparer.prepare = planted


@_in("api")
def holds_otps() -> None:
    """Every OTP waits."""
    _holding(lambda message: message.message_class == "otp", for_s=LATE_S)


@_in("api")
def overtakes() -> None:
    """One message in seven waits while later ones to the same person go."""
    numbers = count(4)  # others than `loses` takes
    _holding(lambda _: not next(numbers) % EVERY, for_s=1.5)


@_in("dispatch")
def forgets_receipts() -> None:
    """One batch of receipts in two is acknowledged to the carrier and thrown away."""
    from gateway.bus.postgres import PostgresBus
    from gateway.bus.topics import RECEIPTS

    append, numbers = PostgresBus.append, count(1)

    async def planted(self: Any, records: Any, **how: Any) -> None:
        kept = [one for one in records if one.topic != RECEIPTS or next(numbers) % 2]
        await append(self, kept, **how)

    PostgresBus.append = planted


@_in("dispatch")
def overruns() -> None:
    """No submit ever waits for its rate."""
    from throttling.gcra import Gcra

    Gcra.offer = lambda self, now_ns: 0
    Gcra.peek = lambda self, now_ns: 0


@_in("dispatch")
def crawls() -> None:
    """A tenth of the rate that was sold is used."""
    from throttling.gcra import Gcra
    from throttling.rates import Rate

    configure = Gcra._configure
    Gcra._configure = lambda self, rate: configure(self, Rate.of(rate.per_s / 40))


@_in("dispatch")
def ignores_throttling() -> None:
    """A throttled submit changes nothing: the next goes at once."""
    from throttling.aimd import Aimd

    Aimd.throttled = lambda self, now_ns, **facts: False
    Aimd.wait_ns = lambda self, now_ns: 0


@_in("dispatch")
def stays_away() -> None:
    """A bind that was lost comes back after an hour."""
    from adapters.smpp.reconnect import Reconnect

    numbers = count(1)
    Reconnect.next_delay_s = lambda self: 3600.0 if next(numbers) else 0.0


@_in("dispatch")
def sticks() -> None:
    """What waits for a carrier that is down never moves to another."""
    from gateway.dispatch.failover import Failover

    Failover.is_due = lambda self, lane, *, trouble_s: False


@_in("back")
def forgets_callbacks() -> None:
    """One callback in seven is booked as told and never made."""
    from dlr.webhooks.client import Answer, Client, Outcome

    post, numbers = Client.post, count(1)

    async def planted(self: Any, url: str, **what: Any) -> Any:
        if not next(numbers) % EVERY:
            return Answer(Outcome.OK, 200, "", 1)
        return await post(self, url, **what)

    Client.post = planted


@_in("back")
def calls_late() -> None:
    """Every callback waits."""
    from dlr.webhooks.client import Client

    post = Client.post

    async def planted(self: Any, url: str, **what: Any) -> Any:
        await asyncio.sleep(LATE_S)
        return await post(self, url, **what)

    Client.post = planted
