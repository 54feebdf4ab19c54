"""What `caudal top` shows: the gateway's own metrics, read from every process and made into rates between two looks.

Nothing but the admin ports is asked, so it works while the database does not. Pure apart from `look`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from time import time
from typing import Any, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.message import CLASSES

AVAILABILITY: Final = 0.9995
"""The objective that the budget is counted against (deploy/slo/slos.toml, ingress-availability)."""

Labels = tuple[tuple[str, str], ...]
# Every api process tells the same of the lanes: what one says counts.
_TOLD_BY_ALL: Final = frozenset(
    {"caudal_queue_lag_messages", "caudal_queue_oldest_message_timestamp_seconds"}
)


class NothingThereError(RuntimeError):
    """No process of a gateway answers."""


@dataclass(frozen=True, slots=True)
class Look:
    """All samples of one moment. `at` is in seconds since the epoch; processes are (role, target)."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]]
    processes: Mapping[tuple[str, str], Mapping[str, float]]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum over the series of a name that have these labels."""
        wanted = labels.items()
        return sum(
            value for found, value in self.samples.get(name, {}).items() if wanted <= dict(found).items()
        )

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Return the sums by one label."""
        sums: dict[str, float] = defaultdict(float)
        wanted = labels.items()
        for found, value in self.samples.get(name, {}).items():
            named = dict(found)
            if wanted <= named.items() and label in named:
                sums[named[label]] += value
        return dict(sums)


def read(pages: Mapping[tuple[str, str], str], *, at: float) -> Look:
    """Return the look of the pages (by role and target) of /metrics."""
    samples: dict[str, dict[Labels, float]] = defaultdict(dict)
    processes: dict[tuple[str, str], dict[str, float]] = {}
    for process, page in pages.items():
        own = processes.setdefault(process, {})
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                name = sample.name
                if name.startswith(("process_", "python_", "caudal_event_loop_lag")):
                    own[name + (f"|{sample.labels['le']}" if "le" in sample.labels else "")] = sample.value
                    continue
                labels = tuple(sorted(sample.labels.items()))
                before = samples[name].get(labels)
                if before is None:
                    samples[name][labels] = sample.value
                elif name in _TOLD_BY_ALL:
                    samples[name][labels] = max(before, sample.value)
                else:
                    samples[name][labels] = before + sample.value
    return Look(at, dict(samples), processes)


async def look(admin_url: str, *, deadline_s: float = 5.0) -> Look:
    """Ask the supervisor which processes there are, and each for its metrics; NothingThereError when none answers."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=deadline_s)) as session:
        try:
            async with session.get(f"{admin_url}/sd") as answer:
                answer.raise_for_status()
                groups = await answer.json()
            targets = [
                (str(group["labels"].get("role", "")), str(target))
                for group in groups
                for target in group["targets"]
            ]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise NothingThereError(f"no gateway answers on {admin_url} ({type(error).__name__})") from None
        at = time()
        found = await asyncio.gather(*(_page(session, target) for _, target in targets))
    pages = {process: page for process, page in zip(targets, found, strict=True) if page}
    if not pages:
        raise NothingThereError(f"no process of {admin_url} answers")
    return await asyncio.to_thread(read, pages, at=at)


async def _page(session: aiohttp.ClientSession, target: str) -> str:
    try:
        async with session.get(f"http://{target}/metrics") as answer:
            return await answer.text() if answer.status == 200 else ""
    except (aiohttp.ClientError, TimeoutError):
        return ""  # it is starting, or it is gone: the picture has one process less


def picture(before: Look, now: Look) -> dict[str, Any]:
    """Return what people want to see, as plain values: totals, carriers, queues, processes."""
    seconds = max(now.at - before.at, 0.001)

    def rate(name: str, **labels: str) -> float:
        # A process that was started again counts from 0: better a gap than a negative rate.
        return max(0.0, now.total(name, **labels) - before.total(name, **labels)) / seconds

    requests = now.total("caudal_http_requests_total")
    failed = sum(
        count for code, count in now.by("caudal_http_requests_total", "code").items() if code.startswith("5")
    )
    return {
        "at": now.at,
        "totals": {
            "accepted_per_s": rate("caudal_messages_accepted_total"),
            "refused_per_s": rate("caudal_messages_rejected_total"),
            "segments_per_s": rate("caudal_carrier_segments_submitted_total"),
            "final_per_s": rate("caudal_messages_final_total"),
            "receipts_per_s": rate("caudal_dlr_received_total"),
            "webhooks_per_s": rate("caudal_webhook_attempts_total", outcome="ok"),
            "dead": now.total("caudal_messages_dead_lettered_total"),
            "webhooks_pending": now.total("caudal_webhook_pending"),
            "budget_used": (failed / requests / (1 - AVAILABILITY)) if requests else 0.0,
        },
        "carriers": [
            _carrier(name, before, now, rate)
            for name in sorted(now.by("caudal_carrier_mps_limit", "carrier"))
        ],
        "queues": _queues(now),
        "processes": [_process(process, before, now, seconds) for process in sorted(now.processes)],
    }


def _carrier(name: str, before: Look, now: Look, rate: Any) -> dict[str, Any]:
    def total(metric: str, **labels: str) -> float:
        return now.total(f"caudal_carrier_{metric}", carrier=name, **labels)

    binds = now.by("caudal_carrier_bind_state", "bind", carrier=name)
    up = sum(total("bind_state", state=state) for state in ("bound", "throttled"))
    breaker = next(
        (state for state in ("open", "half_open", "closed") if total("circuit_state", state=state)), "unknown"
    )
    waiting = {
        message_class.value: now.total("caudal_queue_lag_messages", topic=f"lane.{name}.{message_class}")
        for message_class in CLASSES
    }
    return {
        "carrier": name,
        "state": "held"
        if total("paused")
        else "up"
        if up and up == len(binds)
        else "degraded"
        if up
        else "down",
        "binds_up": int(up),
        "binds": len(binds),
        "per_s": rate("caudal_carrier_segments_submitted_total", carrier=name),
        "limit_per_s": total("mps_limit"),
        "effective_per_s": total("mps_effective_limit"),
        "window_in_use": int(total("window_in_use")),
        "window_size": int(total("window_size")),
        "response_p99_s": quantile(
            0.99, _buckets(before, now, "caudal_carrier_submit_duration_seconds_bucket", name)
        ),
        "throttled_per_s": rate("caudal_carrier_throttled_total", carrier=name),
        "breaker": breaker,
        "waiting": {message_class: int(count) for message_class, count in waiting.items()},
    }


def _queues(now: Look) -> list[dict[str, Any]]:
    oldest = now.by("caudal_queue_oldest_message_timestamp_seconds", "queue")
    return [
        {
            "queue": topic,
            "records": int(count),
            "oldest_s": max(0.0, now.at - oldest[topic]) if count and oldest.get(topic) else 0.0,
        }
        for topic, count in sorted(now.by("caudal_queue_lag_messages", "topic").items())
    ]


def _process(process: tuple[str, str], before: Look, now: Look, seconds: float) -> dict[str, Any]:
    own, own_before = now.processes[process], before.processes.get(process, {})
    name = "caudal_event_loop_lag_seconds_bucket|"
    buckets = [
        (float(key.removeprefix(name)), value - own_before.get(key, 0.0))
        for key, value in own.items()
        if key.startswith(name)
    ]
    cpu = own.get("process_cpu_seconds_total", 0.0) - own_before.get("process_cpu_seconds_total", 0.0)
    return {
        "role": process[0],
        "target": process[1],
        "cpu": max(0.0, cpu) / seconds,
        "memory_bytes": int(own.get("process_resident_memory_bytes", 0)),
        "loop_lag_p99_s": quantile(0.99, buckets),
    }


def _buckets(before: Look, now: Look, name: str, carrier: str) -> list[tuple[float, float]]:
    was = before.by(name, "le", carrier=carrier)
    return [
        (float(edge), count - was.get(edge, 0.0))
        for edge, count in now.by(name, "le", carrier=carrier).items()
    ]


def quantile(share: float, buckets: Iterable[tuple[float, float]]) -> float | None:
    """Return the quantile of cumulative (edge, count) pairs as Prometheus does; None without an observation."""
    ordered = sorted(buckets)
    if not ordered or ordered[-1][1] <= 0:
        return None
    wanted = share * ordered[-1][1]
    if ordered[0][1] >= wanted:
        return ordered[0][0]
    for (low, below), (high, upto) in pairwise(ordered):
        if upto >= wanted:
            if high == float("inf"):
                return low
            return low + (high - low) * (wanted - below) / (upto - below)
    return ordered[-1][0]
