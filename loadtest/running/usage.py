"""What the processes of a run cost the machine, and what the machine is. Used by the sampler and the report."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # it ships no types

from loadtest.results import HostFacts

_GIT_S: Final = 5.0


class Usage:
    """Processor seconds and memory by name, over processes that come and go; a process that ended still counts."""

    def __init__(self) -> None:
        self._cpu_s: dict[str, dict[tuple[int, float], float]] = {}
        self._base_s: dict[str, float] | None = None
        self.rss_mb_max: dict[str, float] = {}

    def look(
        self, processes: Mapping[str, Sequence[psutil.Process]]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return processor seconds since the first look, and megabytes now, by name."""
        rss_mb: dict[str, float] = {}
        for name, several in processes.items():
            known = self._cpu_s.setdefault(name, {})
            total_mb = 0.0
            for process in several:
                with suppress(psutil.Error):
                    with process.oneshot():
                        times, memory = process.cpu_times(), process.memory_info()
                        # What all backends share would be counted once for each.
                        own = memory.rss - (getattr(memory, "shared", 0) if len(several) > 1 else 0)
                        known[process.pid, process.create_time()] = times.user + times.system
                    total_mb += own / 1e6
            rss_mb[name] = round(total_mb, 1)
            self.rss_mb_max[name] = max(total_mb, self.rss_mb_max.get(name, 0.0))
        cpu_s = {name: sum(known.values()) for name, known in self._cpu_s.items()}
        if self._base_s is None:  # spent before the load; parts that come later count whole
            self._base_s = dict(cpu_s)
        return {name: spent - self._base_s.get(name, 0.0) for name, spent in cpu_s.items()}, rss_mb


class Busy:
    """How busy the whole machine was between two looks."""

    def __init__(self) -> None:
        self._last = psutil.cpu_times()

    def share(self) -> float:
        """Return the busy part of all cores since the last look, 0 to 1."""
        now, last = psutil.cpu_times(), self._last
        self._last = now
        total = sum(now) - sum(last)
        idle = now.idle - last.idle + getattr(now, "iowait", 0.0) - getattr(last, "iowait", 0.0)
        return 0.0 if total <= 0 else min(1.0, max(0.0, 1 - idle / total))


def host_facts(
    *,
    load_before: float | None,
    load_after: float | None,
    gateway_version: str | None,
    config_digest: str | None,
) -> HostFacts:
    """Return what the machine is, and which versions ran."""
    return HostFacts(
        cores=os.cpu_count() or 1,
        cpu_model=_cpu_model(),
        memory_mb=round(psutil.virtual_memory().total / 1e6),
        load_before=load_before,
        load_after=load_after,
        platform=platform.platform(),
        python=platform.python_version(),
        git_commit=_git_commit(),
        gateway_version=gateway_version,
        config_digest=config_digest,
    )


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _git_commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603 - fixed words, no shell
            [git, "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() or None
