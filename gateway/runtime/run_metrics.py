"""What every process tells Prometheus of itself: program, configuration, and when what it holds ends."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from gateway.ports.clock import Clock
from gateway.runtime.admin import VERSION
from gateway.runtime.credentials import credential_ends
from gateway.settings import Settings
from gateway.telemetry.metrics import gauge

COMMIT_VARIABLE: Final = "CAUDAL_COMMIT"

_COMMIT_DIGITS: Final = 12
_HASH_DIGITS: Final = 12
# What a supervisor fills in or a process takes for itself: equal configurations must have equal digests.
_OWN: Final = frozenset({"database_url", "admin", "state_dir", "simulator"})
_SECRETS: Final = ("password", "secret", "token", "pepper", "authorization", "cookie", "key")


class RunMetrics:
    """One bundle per process. `role` decides whose credentials are watched."""

    def __init__(self, registry: CollectorRegistry, *, role: str, clock: Clock) -> None:
        gauge(registry, "build_info").labels(VERSION, build_commit()).set(1)
        self._config = gauge(registry, "config_info")
        self._taken = gauge(registry, "config_reload_success_timestamp_seconds")
        self._ends = gauge(registry, "credential_expiry_timestamp_seconds")
        self._role = role
        self._clock = clock
        self._hash = ""
        self._watched: set[tuple[str, str]] = set()

    def runs(self, settings: Settings) -> None:
        """Note that the process runs with these settings from now on."""
        digest = config_hash(settings)
        if self._hash and self._hash != digest:
            self._config.remove(self._hash)
        self._hash = digest
        self._config.labels(digest).set(1)
        self._taken.set(self._clock.now_ms() / 1000)
        ends = credential_ends(settings, role=self._role)
        for gone in self._watched - ends.keys():
            self._ends.remove(*gone)
        for key, end in ends.items():
            self._ends.labels(*key).set_function(end)
        self._watched = set(ends)


def config_hash(settings: Settings) -> str:
    """Return a short digest of the configuration without its secrets, the same in all processes that run it."""
    tree = settings.model_dump(mode="json", by_alias=True, exclude=set(_OWN))
    for section in ("api", "smpp_server"):
        tree[section].pop("port", None)
    text = json.dumps(_without_secrets(tree), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def _without_secrets(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            key: _without_secrets(value)
            for key, value in tree.items()
            if isinstance(value, dict) or not str(key).lower().endswith(_SECRETS)
        }
    return [_without_secrets(one) for one in tree] if isinstance(tree, list) else tree


def build_commit() -> str:
    """Return the commit that the program was built from: of the image's variable or the checkout, else `unknown`."""
    named = os.environ.get(COMMIT_VARIABLE)
    if named:
        return named[:_COMMIT_DIGITS]
    folder = Path(__file__).resolve().parents[2] / ".git"
    try:
        head = (folder / "HEAD").read_text(encoding="ascii").strip()
        if not head.startswith("ref: "):
            return head[:_COMMIT_DIGITS]
        reference = head.removeprefix("ref: ")
        loose = folder / reference
        if loose.is_file():
            return loose.read_text(encoding="ascii").strip()[:_COMMIT_DIGITS]
        for line in (folder / "packed-refs").read_text(encoding="ascii").splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit[:_COMMIT_DIGITS]
    except (OSError, ValueError):
        pass
    return "unknown"
