"""Child processes that never outlive their parent, and the signals of a role.

Linux only: PR_SET_PDEATHSIG. It fires when the *thread* that started the child ends, so children are started from
the main thread.
"""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signum: signal.Signals) -> Callable[[], None]:
    """Return a preexec function: the child gets `signum` when its parent dies, and shuns the terminal's Ctrl-C."""
    parent = os.getpid()

    def preexec() -> None:
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, signum)
        if os.getppid() != parent:  # the parent died before prctl took effect
            os._exit(1)

    return preexec


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second signal ends the process at once."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if event.is_set():
            os._exit(130)
        event.set()

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, on_signal)
    return event


def hangup_event(stop: asyncio.Event) -> asyncio.Event:
    """Return an event that SIGHUP sets; when its cause is that our terminal went away, `stop` is set instead."""
    event = asyncio.Event()
    had_terminal = os.isatty(0)

    def on_signal() -> None:
        if had_terminal and not os.isatty(0):
            stop.set()
        else:
            event.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_signal)
    return event
