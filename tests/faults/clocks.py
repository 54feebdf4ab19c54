"""Clocks that can be set while a program runs: each role of a gateway, and its database, behind libfaketime.

The roles are started by a small script in Python's place that names the file their clock is in; the same for PostgreSQL.
Only the time of day is moved: the monotonic clock never steps on a real machine either.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.store.postgres_programs import candidate_bins

ROLES = ("api", "dispatch", "back")
_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")

_SERVE = "import sys; sys.executable = sys.argv.pop(1); sys.argv[0] = 'caudal'; from gateway.cli import main; sys.exit(main())"


def library() -> Path | None:
    """Return libfaketime, None where it is not installed."""
    found = [path for pattern in _LIBRARIES for path in sorted(Path("/").glob(pattern.lstrip("/")))]
    return found[0] if found else None


def need_faketime() -> None:
    """Fail in CI, skip elsewhere, without libfaketime."""
    if library() is None:
        _missing("libfaketime is not installed (Debian: apt-get install faketime)")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"clock steps are required: {reason}")
    pytest.skip(f"LEFT OUT: clock steps: {reason}")


class Clocks:
    """The files and scripts of one gateway's clocks, in `folder`."""

    def __init__(self, folder: Path) -> None:
        lib = library()
        assert lib is not None
        self._folder = folder
        folder.mkdir(mode=0o755)
        for one in (*ROLES, "postgres"):
            self.set(one, 0)
        preload = f"export LD_PRELOAD={lib} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1"
        cases = "\n".join(
            f'  *" run {role} "*) {preload} FAKETIME_TIMESTAMP_FILE={self._file(role)};;' for role in ROLES
        )
        self._python = self._script("python", f'case " $* " in\n{cases}\nesac\nexec {sys.executable} "$@"\n')
        programs = candidate_bins(None)[0]
        self.postgres_bin = folder / "bin"
        self.postgres_bin.mkdir(mode=0o755)
        clock = f"{preload} FAKETIME_TIMESTAMP_FILE={self._file('postgres')}"
        self._script("bin/postgres", f'{clock}\nexec {programs / "postgres"} "$@"\n')
        self._script("bin/initdb", f'exec {programs / "initdb"} "$@"\n')

    @property
    def serve(self) -> list[str]:
        """The command that is `caudal serve` with these clocks."""
        return [sys.executable, "-c", _SERVE, str(self._python), "serve"]

    def set(self, whose: str, offset_s: int) -> None:
        """Let one clock be that far ahead of (or behind) the true time, from now on."""
        new = self._folder / f"{whose}.new"
        new.write_text(f"{offset_s:+d}\n")
        new.chmod(0o644)
        new.replace(self._file(whose))

    def remove(self) -> None:
        """Delete the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, whose: str) -> Path:
        return self._folder / f"{whose}.clock"

    def _script(self, name: str, body: str) -> Path:
        path = self._folder / name
        path.write_text(f"#!/bin/sh\n{body}")
        path.chmod(0o755)
        return path
