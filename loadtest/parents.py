"""A simulator ends with the process that started it."""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> None:
    """Ask Linux for SIGTERM when the parent ends; elsewhere say that it cannot be had.

    Raises OSError. Called from the main thread, before anything else starts.
    """
    parent = os.getppid()
    if not sys.platform.startswith("linux"):
        raise OSError("--die-with-parent needs Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:  # it ended between the two calls
        raise SystemExit(0)
