"""Where the tests keep their servers: in memory where there is room, as a hundred clusters wait mostly for the disk.

Nothing is proved less: a process that is killed loses no page that it has written, on either.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 6 << 30


def use_memory() -> None:
    """Put temporary files into memory unless TMPDIR says where, or there are less than 6 GB of it."""
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    if min(shutil.disk_usage(_MEMORY).free, _available()) < _ROOM:
        return
    folder = tempfile.mkdtemp(prefix="caudal-tests-", dir=_MEMORY)
    Path(folder).chmod(0o755)  # servers that root starts run as somebody else
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _available() -> int:
    """Return the octets of memory that are free or can be freed; 0 where nobody says."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return 0
