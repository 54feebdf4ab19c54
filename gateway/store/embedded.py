"""The bundled PostgreSQL: a direct child of the supervisor, living in the state directory.

Walk: `EmbeddedPostgres(Path("var")).start()` gives the address, `stop()` ends it; another program in the same folder
finds it with `dsn_of_running`. It needs no help after any death: of itself, of us, or of the machine.

    <state_dir>/lock          flock of the owner, its pid inside
    <state_dir>/data/         the cluster (made as data.new, renamed when complete)
    <state_dir>/run/          mode 0700: the only way in is a Unix socket in here; no TCP
    <state_dir>/postgres.log  bounded, the previous one beside it
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from gateway.store.postgres_programs import (
    EmbeddedPostgresError,
    Identity,
    candidate_bins,
    choose,
    environment,
    last_lines,
    private_dir,
    require_path,
    run,
)

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "StateDirInUseError", "dsn_of_running"]

DATABASE = "caudal"
ROLE = "caudal"
MAX_LOG_OCTETS = 16 * 1024 * 1024

_PORT = 5432  # names the socket file only
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_MAX_SOCKET_OCTETS = 107  # sun_path holds 108 with its NUL
_POLL_S = 0.01
_INITDB_S = 300.0
_RECOVERY_S = 600.0
_STOP_S = 20.0
_QUIT_S = 10.0
_ACCEPT_S = 2.0
_READY_LINE = 7  # of postmaster.pid, counted from 0

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "",
        "max_connections": "60",
        "shared_buffers": "128MB",
        "synchronous_commit": "on",
        "wal_compression": "on",
        "wal_buffers": "4MB",
        "checkpoint_timeout": "15min",
        "max_wal_size": "2GB",
        "min_wal_size": "256MB",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        "autovacuum_naptime": "15s",
        "autovacuum_max_workers": "2",
        "log_checkpoints": "off",
        "log_autovacuum_min_duration": "-1",
        # Detail lines quote rows, and rows hold texts and numbers (P8).
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_line_prefix": "%m [%p] %a ",
    }
)


class StateDirInUseError(EmbeddedPostgresError):
    """Another process owns the state directory. `pid` is 0 when it could not be read."""

    def __init__(self, state_dir: Path, pid: int) -> None:
        self.pid = pid
        super().__init__(
            f"the state directory {state_dir} is in use by process {pid or 'unknown'}; stop that one first"
        )


class EmbeddedPostgres:
    """One PostgreSQL in one state directory, for the life of this process's main thread."""

    def __init__(
        self,
        state_dir: Path,
        *,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
        run_as: str = "auto",
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._data_dir = self._state_dir / "data"
        self._run_dir = _run_dir(self._state_dir)
        self._log_path = self._state_dir / "postgres.log"
        self._bin_dir = bin_dir
        self._settings = {**SETTINGS, **(settings or {})}
        self._run_as = run_as
        self._lock: int | None = None
        self._log: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The address of the server, whether it runs or not."""
        return _dsn(self._run_dir)

    @property
    def pid(self) -> int | None:
        """The postmaster: a direct child of ours; None before the first start."""
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        """How the server ended; None while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> str:
        """Start the server, making the cluster if there is none, and return its address when it takes connections.

        May be called again after the server died. Blocks: about a second for a new cluster, up to ten minutes for
        a recovery. StateDirInUseError when another process owns the directory, EmbeddedPostgresError otherwise.
        """
        # The death signal fires when the thread that forked ends, so it must be the one that lives longest.
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the embedded PostgreSQL must be started from the main thread")
        if self.alive():
            if self._accepts():
                return self.dsn
            self._end()  # killed, and not yet gone: for a moment it still looks alive
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take_lock()
            self._evict_orphans()
            folder, identity = self._choose()
            self._prepare(folder, identity)
            self._launch(folder, identity)
            self._wait_until_ready()
        except OSError as error:
            self.stop()
            raise EmbeddedPostgresError(f"the embedded PostgreSQL in {self._state_dir}: {error}") from error
        except BaseException:
            self.stop()
            raise
        return self.dsn

    def alive(self) -> bool:
        """True while the server runs. Called now and then by the supervisor, so the log is kept bounded here too."""
        if self._process is None or self._process.poll() is not None:
            return False
        with contextlib.suppress(OSError):
            self._bound_log()
        return True

    def stop(self) -> None:
        """Stop the server (fast, then at once) and give the state directory free. Harmless when it is stopped."""
        self._end()
        for descriptor in (self._log, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._log = self._lock = None

    def _end(self) -> None:
        process = self._process
        if process is not None:
            for number, patience_s in (
                (signal.SIGINT, _STOP_S),
                (signal.SIGQUIT, _QUIT_S),
                (signal.SIGKILL, _QUIT_S),
            ):
                if process.poll() is not None:
                    break
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(patience_s)

    def _accepts(self) -> bool:
        """True when somebody listens on the socket."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe, contextlib.suppress(OSError):
            probe.settimeout(_ACCEPT_S)
            probe.connect(str(self._run_dir / _SOCKET_NAME))
            return True
        return False

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        descriptor = os.open(self._state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = os.read(descriptor, 32)
            os.close(descriptor)
            raise StateDirInUseError(self._state_dir, int(text) if text.strip().isdigit() else 0) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor

    def _evict_orphans(self) -> None:
        """Wait for what is left of an earlier server; it got its signal when its parent died, but ask again."""
        pid_file = self._data_dir / "postmaster.pid"
        for number, patience_s in (
            (signal.SIGINT, _STOP_S),
            (signal.SIGQUIT, _QUIT_S),
            (signal.SIGKILL, _QUIT_S),
        ):
            left = _tenants(self._data_dir)
            if not left:
                break
            postmaster = _first_line_pid(pid_file)
            for pid in left if number == signal.SIGKILL else [pid for pid in left if pid == postmaster]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + patience_s
            while _tenants(self._data_dir) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        if left := _tenants(self._data_dir):
            raise StateDirInUseError(self._state_dir, left[0])
        # Nobody lives here, whatever process has that pid by now: PostgreSQL itself would believe a reused pid.
        for stale in (pid_file, self._run_dir / _SOCKET_NAME, self._run_dir / f"{_SOCKET_NAME}.lock"):
            stale.unlink(missing_ok=True)

    def _choose(self) -> tuple[Path, Identity]:
        version_file = self._data_dir / "PG_VERSION"
        exists = version_file.exists()
        return choose(
            candidate_bins(self._bin_dir),
            data_version=version_file.read_text().strip() if exists else None,
            owner=self._data_dir.stat().st_uid if exists else None,
            run_as=self._run_as,
        )

    def _prepare(self, folder: Path, identity: Identity) -> None:
        """Make what is missing: socket folder, log, cluster."""
        if identity.kind == "user":
            require_path(self._state_dir, identity)
        private_dir(self._run_dir, identity)
        if not (self._data_dir / "PG_VERSION").exists():
            self._make_cluster(folder, identity)
        self._bound_log()
        if self._log is None:
            self._log = os.open(self._log_path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _make_cluster(self, folder: Path, identity: Identity) -> None:
        new = self._state_dir / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if identity.kind == "user":
            os.chown(new, identity.uid, identity.gid)
        options = ["-D", str(new), "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums"]
        try:
            run(folder / "initdb", options, identity=identity, deadline_s=_INITDB_S)
            run(
                folder / "postgres",
                ["--single", "-D", str(new), "postgres"],
                identity=identity,
                deadline_s=_INITDB_S,
                stdin=f"CREATE DATABASE {DATABASE};\n",
            )
        except EmbeddedPostgresError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise EmbeddedPostgresError(f"cannot make a database in {self._state_dir}: {error}") from None
        new.rename(self._data_dir)

    def _launch(self, folder: Path, identity: Identity) -> None:
        assert self._log is not None
        command = [
            str(folder / "postgres"),
            "-D",
            str(self._data_dir),
            "-k",
            str(self._run_dir),
            "-p",
            str(_PORT),
        ]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd="/",
            env=environment(),
            # Not our terminal's: Ctrl-C is for the supervisor, which stops its roles before the database.
            start_new_session=True,
            preexec_fn=identity.entry(signal.SIGINT),  # noqa: PLW1509 - main thread, before any pool
        )

    def _wait_until_ready(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + _RECOVERY_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise EmbeddedPostgresError(
                    f"PostgreSQL ended with {process.returncode} at its start:\n  {self._last_words()}"
                )
            lines = _pid_file_lines(self._data_dir / "postmaster.pid")
            if len(lines) > _READY_LINE and lines[0] == str(process.pid) and lines[_READY_LINE] == "ready":
                return
            time.sleep(_POLL_S)
        raise EmbeddedPostgresError(
            f"PostgreSQL was not ready after {_RECOVERY_S:.0f} s:\n  {self._last_words()}"
        )

    def _last_words(self) -> str:
        try:
            return last_lines(self._log_path.read_text(encoding="utf-8", errors="replace")[-8192:])
        except OSError as error:
            return f"(no log: {error})"

    def _bound_log(self) -> None:
        """Keep one old log: copied and cut, because the server and its children hold the file open for appending."""
        if self._log_path.exists() and self._log_path.stat().st_size > MAX_LOG_OCTETS:
            shutil.copyfile(self._log_path, self._log_path.with_suffix(".log.1"))
            os.truncate(self._log_path, 0)


def dsn_of_running(state_dir: Path) -> str | None:
    """Return the address of the server that runs in the state directory, None when none is ready."""
    data_dir = state_dir.absolute() / "data"
    lines = _pid_file_lines(data_dir / "postmaster.pid")
    if len(lines) <= _READY_LINE or lines[_READY_LINE] != "ready" or not lines[0].isdigit():
        return None
    return _dsn(Path(lines[4])) if int(lines[0]) in _tenants(data_dir) else None


def _dsn(run_dir: Path) -> str:
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(run_dir), safe='')}&port={_PORT}"


def _run_dir(state_dir: Path) -> Path:
    """Return where the socket goes: in the state directory, or where that path is too long, a folder of our own."""
    inside = state_dir / "run"
    # The lock file beside the socket has the longest name.
    if len(os.fsencode(inside / f"{_SOCKET_NAME}.lock")) < _MAX_SOCKET_OCTETS:
        return inside
    digest = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"caudal-{os.geteuid()}-{digest}"


def _pid_file_lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text().splitlines()]
    except OSError:
        return []


def _first_line_pid(path: Path) -> int:
    lines = _pid_file_lines(path)
    return int(lines[0]) if lines and lines[0].isdigit() else 0


def _tenants(data_dir: Path) -> list[int]:
    """Return the processes that live in the data directory: a server and its children work nowhere else."""
    if sys.platform != "linux":
        pid = _first_line_pid(data_dir / "postmaster.pid")
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return [pid] if pid else []
        return []
    found: list[int] = []
    wanted = data_dir.resolve()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == wanted:
                    found.append(int(process.name))
    return found
