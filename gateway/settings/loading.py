"""From a file and the environment to the settings tree, or to an error that names file, line, key and limit."""

import os
import re
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from gateway.settings.base import SettingsError
from gateway.settings.carriers import CarrierSettings
from gateway.settings.http_carriers import HttpCarrierSettings
from gateway.settings.tree import DEMO, ENV_PREFIX, UNKNOWN_PROTOCOL, Settings

DEMO_SOURCE = "demo"
# Variables with our prefix that are no settings: the path of the file, what the image was built from, and switches of the test suite.
_OTHER_VARIABLES = frozenset({"CAUDAL_CONFIG", "CAUDAL_COMMIT"})
_TEST_PREFIX = "CAUDAL_TEST_"
# How pydantic marks that the key of a table is wrong, not its value.
_KEY_ITSELF = "[key]"
_SECRET_WORDS = ("password", "pepper", "secret", "token", "headers", "database_url")


def load_settings(path: Path | None = None) -> tuple[Settings, str]:
    """Return the settings and where they came from; SettingsError says what to mend.

    Without a path: $CAUDAL_CONFIG, then `caudal.toml` here, then the embedded demo with the simulator as carrier.
    """
    _refuse_unknown_variables()
    if path is None and (named := os.environ.get("CAUDAL_CONFIG")):
        path = Path(named)
    if path is None and Path("caudal.toml").is_file():
        path = Path("caudal.toml")
    if path is None:
        return _build(dict(DEMO), text="", source=DEMO_SOURCE), DEMO_SOURCE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read the configuration {path}: {error.strerror}") from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    return _build(tree, text=text, source=str(path)), str(path)


def check_exposure(settings: Settings) -> list[str]:
    """Return a warning for whatever is open to others, and for what a carrier will never tell us."""
    warnings = []
    if _is_open(settings.admin.host):
        warnings.append(
            f"admin.host {settings.admin.host} is reachable from other machines and has no authentication"
        )
    server = settings.smpp_server
    if server.enabled and not server.tls.enabled and _is_open(server.host):
        warnings.append(
            f"smpp_server.host {server.host} is reachable from other machines without TLS: passwords and messages "
            "can be read on the way"
        )
    tracing = settings.tracing
    if (
        tracing.enabled
        and tracing.endpoint.startswith("http:")
        and _is_open(urlsplit(tracing.endpoint).hostname or "")
    ):
        warnings.append("tracing.endpoint has no TLS: spans and the headers with them can be read on the way")
    for name, carrier in settings.carriers.items():
        where = carrier.host if isinstance(carrier, CarrierSettings) else carrier.url
        is_tls = carrier.tls.enabled if isinstance(carrier, CarrierSettings) else where.startswith("https:")
        if is_tls and not carrier.tls.verify:
            warnings.append(
                f"carriers.{name}.tls.verify is false: TLS IS NOT VERIFIED. Whoever answers at {where} gets "
                "the password and every message. For test benches only"
            )
        if where.startswith("http:") and _is_open(urlsplit(where).hostname or ""):
            warnings.append(
                f"carriers.{name}.url has no TLS: secrets and messages can be read and changed on the way"
            )
        if isinstance(carrier, HttpCarrierSettings) and carrier.callbacks and carrier.callbacks.auth.anyone:
            warnings.append(
                f"carriers.{name}.callbacks.auth.anyone is true: whoever reaches the API can say what was delivered, "
                "and write as anybody"
            )
        if isinstance(carrier, CarrierSettings) and carrier.profile.registered_delivery != 1:
            left = "no receipts" if carrier.profile.registered_delivery == 0 else "no receipts of success"
            warnings.append(
                f"carriers.{name}.profile.registered_delivery is {carrier.profile.registered_delivery}: {left}, "
                "so messages end as unknown when the receipt deadline passes"
            )
    return warnings


def _is_open(host: str) -> bool:
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def place_of(source: str, *path: str) -> str:
    """Return `file:line` of the deepest found part of a key, or the source alone where there is no line."""
    try:
        text = "" if source == DEMO_SOURCE else Path(source).read_text(encoding="utf-8")
    except OSError:
        text = ""
    line = line_of(text, path)
    return f"{source}:{line}" if line else source


def _build(tree: dict[str, Any], *, text: str, source: str) -> Settings:
    try:
        return Settings(**tree)
    except ValidationError as error:
        lines = [_explain(dict(one), text=text, source=source) for one in error.errors()]
        raise SettingsError("\n".join(lines)) from None


def _explain(error: dict[str, Any], *, text: str, source: str) -> str:
    path = tuple(str(part) for part in error["loc"] if part != _KEY_ITSELF)
    if path[:1] == ("carriers",):
        # The third part is the protocol that the union chose, which is no key of the file.
        path = (*path[:2], "protocol") if error["type"] == UNKNOWN_PROTOCOL else path[:2] + path[3:]
    line = line_of(text, path)
    where = f"{source}:{line}" if line else source
    key = ".".join(path) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}"
    if error["type"] == "missing":
        return f"{where}: {key} is missing"
    given = error.get("input")
    # A whole table is never shown: it may hold a secret.
    hidden = isinstance(given, dict | list) or any(word in key for word in _SECRET_WORDS)
    shown = "" if hidden else f" (got {str(given)[:80]!r})"
    return f"{where}: {key}: {error['msg'].removeprefix('Value error, ')}{shown}"


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line (from 1) where the deepest found part of a dotted key stands in a TOML text."""
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if header := re.match(r"^(\[\[?)\s*([^\]]+?)\s*\]", stripped):
            table = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                seen[table] = seen.get(table, -1) + 1
                table = (*table, str(seen[table]))
            here = table
        elif found := re.match(r"^([A-Za-z0-9_.\"'-]+)\s*=", stripped):
            here = (*table, *(part.strip("\"'") for part in found[1].split(".")))
        else:
            continue
        depth = len(here)
        if here == path[:depth] and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _refuse_unknown_variables() -> None:
    for name in sorted(os.environ):
        if not name.startswith(ENV_PREFIX) or name in _OTHER_VARIABLES or name.startswith(_TEST_PREFIX):
            continue
        key = name[len(ENV_PREFIX) :].lower().split("__", maxsplit=1)[0]
        if key not in Settings.model_fields:
            raise SettingsError(
                f"the variable {name} is no setting; known first parts: {', '.join(Settings.model_fields)}"
            )
