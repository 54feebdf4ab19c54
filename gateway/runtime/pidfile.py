"""`caudal.pid` in the state directory: which supervisor runs here, and which file it was started with.

The supervisor holds a lock on the file as long as it lives, so what a dead one left behind names nobody: a number
that another program has by now is never signalled.
"""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

NAME = "caudal.pid"
_MAX_OCTETS = 16_384
_TRIES = 3
_PAUSE_S = 0.05


class Supervised(NamedTuple):
    """A supervisor that runs. `source` is the absolute path of its configuration, or `demo`."""

    pid: int
    source: str
    admin_port: int = 0


class PidFile:
    """The supervisor's side. The file stays when it ends; only the lock goes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path, *, source: str, admin_port: int = 0) -> Self | None:
        """Lock and write the file; None while another supervisor holds it. OSError where it cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        if not _lock(descriptor):
            os.close(descriptor)
            return None
        facts = {"pid": os.getpid(), "source": source, "admin_port": admin_port}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(facts).encode() + b"\n", 0)
        return cls(descriptor)

    def release(self) -> None:
        """Name nobody any more."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _lock(descriptor: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)  # somebody may just be looking
        else:
            return True
    return False


def find_supervisor(folder: Path) -> Supervised | None:
    """Return the supervisor that runs on a state directory, None when none does; OSError where it cannot be read."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            said: dict[str, Any] = json.loads(os.pread(descriptor, _MAX_OCTETS, 0) or b"{}")
        else:
            return None  # nobody holds it: what it says is old
    except ValueError:
        return None
    finally:
        os.close(descriptor)
    pid = said.get("pid")
    if not isinstance(pid, int) or not _is_gateway(pid):
        return None
    port = said.get("admin_port")
    return Supervised(pid, str(said.get("source", "")), port if isinstance(port, int) else 0)


def _is_gateway(pid: int) -> bool:
    """Tell whether that process is one of ours: in another container the number may be anybody's."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"serve" in command.split(b"\0")
