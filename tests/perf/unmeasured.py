"""`caudal` for `tests.perf.bench_overhead`: without its metrics and logs, or with a clock around them.

`python tests/perf/unmeasured.py without serve` runs the gateway with every metric replaced by one that does nothing,
the counting around them too, and with the logs of its roles switched off. `... timed serve` leaves all as it is and
writes several times a second into `overhead.<role>.json` how much CPU time went into them. For that bench alone.
"""

import functools
import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import structlog

from gateway.runtime import admin, supervisor
from gateway.telemetry import logs, metrics

WRITE_EVERY_S = 0.25
METRICS, SCRAPES, LOGS = "metrics", "scrapes", "logs"


class Nothing:
    """In the place of a counter, gauge or histogram and of all their children."""

    _upper_bounds = ()
    _buckets = ()

    def labels(self, *_: object, **__: object) -> Self:
        """Return itself: there are no children."""
        return self

    def inc(self, *_: object, **__: object) -> None:
        """Do nothing, like all that follow."""

    dec = set = observe = set_function = remove = clear = inc


def _nothing(*_: object, **__: object) -> None: ...


def bundles() -> tuple[tuple[type, tuple[str, ...]], ...]:
    """Return what bundles do for each message, batch or second, before and while they count."""
    # Only now: bundles take the functions of the catalogue by their names.
    from dlr.metrics import DlrMetrics
    from gateway.bus.reader_metrics import PendingMetrics, ReaderMetrics
    from gateway.dispatch.metrics import CarrierMetrics
    from gateway.ingress.exchange import HttpMetrics
    from gateway.intake.metrics import IntakeMetrics, LaneMetrics
    from gateway.recorder.consumer import RecorderMetrics

    found: tuple[tuple[type, tuple[str, ...]], ...] = (
        (DlrMetrics, ("judged",)),
        (PendingMetrics, ("submitted", "ended")),
        (ReaderMetrics, ("progressed", "lag")),
        (CarrierMetrics, ("count_submitted", "count_delays", "count_outcome", "show_binds", "show_shard")),
        (HttpMetrics, ("finished",)),
        (IntakeMetrics, ("accepted", "flushed", "batch_size")),
        (LaneMetrics, ("show",)),
        (RecorderMetrics, ("finals", "submitted")),
    )
    for bundle, names in found:
        for name in names:
            assert callable(getattr(bundle, name)), (
                f"{bundle.__name__}.{name} is gone: this file is out of date"
            )
    return found


def without_metrics() -> None:
    """Replace every metric and every bundle's work."""
    nothing = Nothing()
    made: Any = lambda *_, **__: nothing  # noqa: E731 - in the place of three functions
    metrics.counter = metrics.gauge = metrics.histogram = made
    metrics.observe_many = _nothing
    for bundle, names in bundles():
        for name in names:
            setattr(bundle, name, _nothing)


def without_logs() -> None:
    """Let nothing be logged; what a role writes to say that it is ready is no log line."""
    logs.configure_logs = lambda **_: structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=True
    )


class Stopwatch:
    """CPU time by what it went into; of calls within calls the outermost counts."""

    def __init__(self) -> None:
        self.spent_ns = dict.fromkeys((METRICS, SCRAPES, LOGS), 0)
        self.calls = dict.fromkeys((METRICS, SCRAPES, LOGS), 0)
        self._is_running = threading.local()

    def around(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock around it."""
        spent_ns, calls, running, now = self.spent_ns, self.calls, self._is_running, time.thread_time_ns

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if getattr(running, "is_on", False):
                return function(*args, **kwargs)
            running.is_on = True
            began_ns = now()
            try:
                return function(*args, **kwargs)
            finally:
                spent_ns[what] += now() - began_ns
                calls[what] += 1
                running.is_on = False

        return timed

    def write(self, path: Path) -> None:
        """Write what was spent until now, for ever."""
        while True:
            beside = path.with_suffix(".new")
            beside.write_text(json.dumps({"spent_ns": self.spent_ns, "calls": self.calls}))
            beside.replace(path)
            time.sleep(WRITE_EVERY_S)


def with_a_clock(role: str) -> None:
    """Put a clock around metrics, bundles, pages of metrics and log lines."""
    from prometheus_client.metrics import Counter, Gauge, Histogram, MetricWrapperBase

    watch = Stopwatch()
    operations = (
        (Counter, ("inc",)),
        (Gauge, ("inc", "dec", "set")),
        (Histogram, ("observe",)),
        (MetricWrapperBase, ("labels",)),
    )
    metrics.observe_many = watch.around(METRICS, metrics.observe_many)
    for owner, names in (*operations, *bundles()):
        for name in names:
            setattr(owner, name, watch.around(METRICS, getattr(owner, name)))
    built = admin.choose_encoder

    def choose_encoder(accepted: str) -> tuple[Callable[..., Any], str]:
        encode, content_type = built(accepted)
        return watch.around(SCRAPES, encode), content_type

    admin.choose_encoder = choose_encoder  # type: ignore[assignment]
    filtering = structlog.make_filtering_bound_logger(logging.DEBUG)
    for name in ("debug", "info", "warning", "error", "exception"):
        setattr(filtering, name, watch.around(LOGS, getattr(filtering, name)))
    path = Path.cwd() / f"overhead.{role}.json"
    threading.Thread(target=watch.write, args=(path,), name="overhead.write", daemon=True).start()


def main() -> None:
    """Run `caudal` with the arguments given; its roles are run by this file too."""
    mode = sys.argv.pop(1)
    role = sys.argv[2] if sys.argv[1:2] == ["run"] else ""
    if mode == "without":
        without_metrics()
        if role:
            without_logs()
    elif role:
        with_a_clock(role)
    supervisor._role_command = lambda role, index: [
        *(sys.executable, __file__, mode, "run", role, "--settings-from-stdin", "--index", str(index))
    ]
    from gateway.cli import main as caudal

    caudal()


if __name__ == "__main__":
    main()
