"""Another configuration for a running gateway: what of it can be followed, and how a role is brought to it.

`read_again` and `follow` are used by whoever got SIGHUP (the supervisor, or a role that runs alone), `Reloader` by
every role.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from gateway.ports.clock import SystemClock
from gateway.ports.control_store import AuditEntry
from gateway.runtime.carriers import check_carriers
from gateway.runtime.pidfile import find_supervisor
from gateway.settings import Settings, SettingsError, load_settings
from gateway.settings.loading import DEMO_SOURCE
from gateway.store.controls import PostgresControls
from gateway.store.pool import Database
from gateway.telemetry.logs import set_level

FOLLOWED: Final = ("carriers", "routes", "log_level")
"""What a running gateway follows; all else needs a restart."""

_RETRY_FIRST_S: Final = 1.0
_RETRY_MAX_S: Final = 30.0
_AUDIT_S: Final = 5.0

log = structlog.get_logger()


class Reload(NamedTuple):
    """What a configuration changes. `settings` is what to run with, `needs_restart` are keys that stay as they were."""

    settings: Settings
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    is_rerouted: bool
    needs_restart: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return what changed, for the log and the audit."""
        return {
            "added": list(self.added),
            "changed": list(self.changed),
            "removed": list(self.removed),
            "routes": "changed" if self.is_rerouted else "same",
            "log_level": self.settings.log_level,
            "needs_restart": list(self.needs_restart),
        }


def read_again(source: str) -> Settings:
    """Return the settings of the file that the gateway was started with; SettingsError where they cannot be used."""
    if source == DEMO_SOURCE:
        raise SettingsError("the embedded demo has no file: there is nothing to reload")
    try:
        settings, _ = load_settings(Path(source))
        check_carriers(settings, source=source)
    except ValueError as error:  # a file that is no text
        raise SettingsError(f"{source}: {error}") from None
    return settings


def announce(reload: Reload, *, source: str) -> None:
    """Log what a file that was read again changes, and what of it needs a restart."""
    if reload.needs_restart:
        log.warning("config.needs_restart", keys=list(reload.needs_restart), action="restart to use them")
    log.info("config.read", source=source, **reload.facts())


def refused(error: SettingsError) -> None:
    """Log in one line why a file that was read again changes nothing."""
    log.error("config.refused", error="; ".join(str(error).splitlines()))


def follow(running: Settings, wanted: Settings) -> Reload:
    """Return `running` with what can be followed of `wanted`."""
    before, after = running.carriers, wanted.carriers
    settings = running.model_copy(update={name: getattr(wanted, name) for name in FOLLOWED})
    return Reload(
        settings=settings,
        added=tuple(name for name in after if name not in before),
        changed=tuple(name for name in after if name in before and after[name] != before[name]),
        removed=tuple(name for name in before if name not in after),
        is_rerouted=wanted.routes != running.routes,
        needs_restart=tuple(_different(running, wanted)),
    )


def ask_to_reload(settings: Settings, *, chosen: str | None = None, checks: bool = True) -> str:
    """Send SIGHUP to the supervisor on these settings' state directory; return what was done.

    SettingsError when none runs there, when it was started with another file than `chosen`, or, where `checks`, when
    its file cannot be used.
    """
    found = find_supervisor(settings.state_dir)
    if found is None:
        raise SettingsError(
            f"`caudal serve` does not run on {settings.state_dir}: there is nothing to reload"
        )
    if chosen is not None and Path(chosen).resolve() != Path(found.source):
        raise SettingsError(
            f"`caudal serve` (pid {found.pid}) was started with {found.source}, not with {chosen}"
        )
    if checks or found.source == DEMO_SOURCE:
        read_again(found.source)
    os.kill(found.pid, signal.SIGHUP)
    fine = " is fine" if checks else " was not checked here"
    return f"{found.source}{fine}; asked pid {found.pid} to follow it (its log and `caudal carriers audit` say what changed)"


def _different(running: Settings, wanted: Settings) -> list[str]:
    """Return the dotted keys that differ and are not followed, without their values: they may be secrets."""
    fields = [name for name in type(running).model_fields if name not in FOLLOWED]
    old, new = running.model_dump(include=set(fields)), wanted.model_dump(include=set(fields))
    return [key for name in fields for key in _keys(name, old[name], new[name])]


def _keys(path: str, old: object, new: object) -> list[str]:
    if old == new:
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = dict.fromkeys([*old, *new])
        return [key for name in names for key in _keys(f"{path}.{name}", old.get(name), new.get(name))]
    return [path]


async def audit_reload(database_url: str, reload: Reload, *, actor: str, source: str) -> None:
    """Write the reload into the audit; a database that does not answer is only logged."""
    now_ms = SystemClock().now_ms()
    entry = AuditEntry(now_ms, actor, "reload", "configuration", f"read {source}", reload.facts())
    await note_audit(database_url, entry)


async def note_audit(database_url: str, entry: AuditEntry) -> None:
    """Write a line into the audit over a connection of its own; a database that does not answer is only logged."""
    try:
        async with asyncio.timeout(_AUDIT_S):
            db = await Database.connect(database_url, max_size=1, name="caudal.audit", deadline_s=_AUDIT_S)
            try:
                await PostgresControls(db).note(entry)
            finally:
                await db.close()
    except (OSError, ValueError) as error:
        log.warning("audit.failed", error=type(error).__name__)


class Reloader:
    """Brings one role to the latest settings offered, trying again until it is there or newer ones come."""

    def __init__(self, apply: Callable[[Settings], Awaitable[None]]) -> None:
        self._apply = apply
        self._wanted: Settings | None = None
        self._offered = asyncio.Event()

    def offer(self, settings: Settings) -> None:
        """Let these be the settings to run with."""
        self._wanted = settings
        self._offered.set()

    async def run(self) -> None:
        """Work until cancelled."""
        retry_s = _RETRY_FIRST_S
        while True:
            await self._offered.wait()
            self._offered.clear()
            settings = self._wanted
            assert settings is not None
            try:
                set_level(settings.log_level)
                await self._apply(settings)
            except Exception as error:  # noqa: BLE001 - the role runs on with what it has
                log.warning("config.apply_failed", error=f"{type(error).__name__}: {error}", retry_s=retry_s)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(retry_s):
                        await self._offered.wait()
                self._offered.set()
                retry_s = min(2 * retry_s, _RETRY_MAX_S)
            else:
                retry_s = _RETRY_FIRST_S
                log.info("config.applied", carriers=len(settings.carriers), routes=len(settings.routes))
