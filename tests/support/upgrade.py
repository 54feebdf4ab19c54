"""Makes `tests/data/upgrade`: the database of an earlier release, as kill -9 left it with messages in every place.

`python -m tests.support.upgrade CHECKOUT_OF_THE_RELEASE NAME` runs that release with a carrier, brings messages to where
they can be when it ends, kills it, and writes NAME.sql and NAME.json. Messages expire, so whoever goes on from these files
sets the clocks of his gateway to `made_at_ms`.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from gateway.store.embedded import EmbeddedPostgres
from gateway.store.postgres_programs import candidate_bins
from tests.scenarios.posting import numbered
from tests.support.ledger import database
from tests.support.smsc import Smsc
from tests.support.stack import Stack, until

FOLDER = Path(__file__).parents[1] / "data" / "upgrade"
CLASSES = ("otp", "transactional", "collections", "marketing")
RATE, BINDS, WINDOW = 50, 2, 10
LONG = "Estimada clienta, le recordamos su cita del 7 de mayo a las 10:00 en la clinica. " * 3


def receipt_of(message_id: str, *, at: datetime | None = None) -> str:
    """Return the text of a receipt that says DELIVRD."""
    stamp = (at or datetime.now(UTC)).strftime("%y%m%d%H%M")
    return (
        f"id:{message_id} sub:001 dlvrd:001 submit date:{stamp} done date:{stamp} stat:DELIVRD err:000 text:"
    )


async def send_receipt(smsc: Smsc, message_id: str, recipient: str) -> None:
    """Let the carrier send a receipt of our making."""
    text = receipt_of(message_id).encode().hex()
    wish = {"source": recipient, "destination": "CAUDAL", "short_message_hex": text, "esm_class": 4}
    await smsc.originate(**wish)


class Maker:
    """Drives one gateway of the old release and notes which message it brought where."""

    def __init__(self, stack: Stack, smsc: Smsc) -> None:
        self._stack = stack
        self._smsc = smsc
        self._numbers = numbered(10_000)
        self.messages: list[dict[str, Any]] = []

    async def post(self, where: str, count: int, **fields: Any) -> list[dict[str, Any]]:
        """Post that many messages of each class; they are noted as being `where`."""
        made = []
        for name in CLASSES:
            items = [{**next(self._numbers), **fields} for _ in range(count)]
            body = {"defaults": {"from": "CAUDAL", "class": name}, "messages": items}
            status, answer = await self._stack.request("POST", "/v1/messages:batch", json=body)
            assert status == 202, answer
            for result, item in zip(answer["results"], items, strict=True):
                made.append({"id": result["id"], "class": name, "to": item["to"][1:], "where": where})
        self.messages += made
        return made

    async def until_states(self, **wanted: int) -> None:
        """Wait for so many messages in each state."""
        connection = await database(self._stack)
        try:

            async def are_there() -> bool:
                rows = await connection.fetch("SELECT state, count(*) AS n FROM messages GROUP BY state")
                return {row["state"]: row["n"] for row in rows} == wanted

            await until(are_there, limit_s=30)
        finally:
            await connection.close()

    async def until_taken(self, count: int) -> list[dict[str, Any]]:
        """Wait until the carrier has that many segments; return them."""
        await until(lambda: self._count(count), limit_s=30)
        return await self._smsc.messages()

    async def _count(self, count: int) -> bool:
        return len(await self._smsc.messages()) >= count

    async def bring_everywhere(self) -> None:
        """Leave messages in every place that a message can be in."""
        smsc = self._smsc
        await self.post("done", 1)
        await self.post("done", 1, content={"text": LONG})
        await self.until_states(delivered=8)
        await smsc.faults(hold_receipts=True)
        await self.post("receipt on the bus", 2)
        await self.until_states(delivered=8, submitted=8)
        later = datetime.fromtimestamp(time.time() + 7_200, UTC)
        await self.post("deferred", 1, send_at=later.isoformat())
        await self.until_states(delivered=8, submitted=8, scheduled=4)
        taken = await smsc.messages()
        # The receipt of a message that is not posted yet: it is parked, and then nobody can record what it waits for.
        early = [str(int(taken[-1]["message_id"]) + 8 + number) for number in range(1, 5)]
        for one in early:
            await send_receipt(smsc, one, "525512345678")
        await self._until_parked(len(early))
        back = (await self._stack.roles())["back"]["pid"]
        os.kill(back, signal.SIGSTOP)
        await self.post("event and receipt on the bus", 2)
        await self.until_taken(len(taken) + 8)
        await smsc.faults(hold_receipts=False)
        await until(lambda: self._are_acknowledged(len(taken) + 8), limit_s=30)
        await smsc.faults(hold_receipts=True)
        await self.post("receipt parked", 1)
        taken = await self.until_taken(len(taken) + 12)
        assert {row["message_id"] for row in taken[-4:]} == set(early), (taken[-4:], early)
        await self.post("waits for its receipt", 1)
        await self.until_taken(len(taken) + 4)
        await asyncio.sleep(1.0)  # the answers become durable; nobody is left who could tell
        await smsc.faults(silence="submits")
        await self.post("in doubt or in the lane", 10)
        await self.until_taken(len(taken) + 4 + BINDS * WINDOW)
        await asyncio.sleep(1.0)
        self._note(await smsc.messages())

    async def _until_parked(self, count: int) -> None:
        connection = await database(self._stack)
        try:

            async def are_parked() -> bool:
                return await connection.fetchval("SELECT count(*) FROM parked_receipts") == count

            await until(are_parked, limit_s=30)
        finally:
            await connection.close()

    async def _are_acknowledged(self, count: int) -> bool:
        return sum(row["receipt"] == "acknowledged" for row in await self._smsc.messages()) >= count

    def _note(self, rows: list[dict[str, Any]]) -> None:
        """Add to each message what the carrier had of it."""
        for one in self.messages:
            mine = [row for row in rows if row["destination"] == one["to"]]
            one["taken"] = len(mine)
            one["carrier_message_ids"] = [row["message_id"] for row in mine if row["is_answered"]]


async def make(release: Path, name: str) -> None:
    """Run the release, kill it, write the files."""
    folder = Path(tempfile.mkdtemp(prefix="cdl"))
    (folder / "var").mkdir(mode=0o700)  # the release makes its own cluster
    async with Smsc(
        *("--latency", "5ms", "--receipt-delay", "100ms", "--first-message-id", str(0x70000000))
    ) as smsc:
        os.environ["PYTHONPATH"] = str(release)  # the carrier is ours, what follows is the release
        carrier = smsc.carrier(rate=f"{RATE}/s", binds=BINDS, window=WINDOW)
        tree = {"api": {"port": 0}, "admin": {"port": 0}, "carriers": {"telco": carrier}}
        stack = Stack(tree, folder=folder)
        try:
            async with stack:
                maker = Maker(stack, smsc)
                await maker.bring_everywhere()
                assert stack.process is not None
                family = psutil.Process(stack.process.pid).children(recursive=True)
                stack.process.kill()
                made_at_ms = int(time.time() * 1000)
                await asyncio.to_thread(psutil.wait_procs, family, timeout=30)
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{name}.sql").write_text(dump(folder / "var"))
            lines = ",\n ".join(json.dumps(one) for one in maker.messages)
            text = f'{{"made_at_ms": {made_at_ms}, "messages": [\n {lines}\n]}}\n'
            (FOLDER / f"{name}.json").write_text(text)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def dump(state_dir: Path) -> str:
    """Return the database as SQL: schema and rows, without keys."""
    server = EmbeddedPostgres(state_dir)
    dsn = server.start()
    try:
        program = candidate_bins(None)[0] / "pg_dump"
        options = ("--inserts", "--rows-per-insert=50", "--no-owner", "--exclude-table-data=api_keys")
        # Escaped, because the octets on the bus are text that people can read.
        environment = {**os.environ, "PGOPTIONS": "-c bytea_output=escape"}
        made = subprocess.run(
            [str(program), *options, dsn], check=True, capture_output=True, text=True, env=environment
        )
    finally:
        server.stop()
    lines = (line for line in made.stdout.splitlines() if not line.startswith(("\\", "--")))
    return "\n".join(line for line in lines if line) + "\n"


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.upgrade")
    parser.add_argument("release", type=Path)
    parser.add_argument("name")
    options = parser.parse_args()
    asyncio.run(make(options.release.resolve(), options.name))


if __name__ == "__main__":
    main()
