"""Another configuration for a running gateway: what is followed, how it travels, whom `config reload` signals."""

import asyncio
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest

from gateway.runtime import reload as reload_module
from gateway.runtime.feed import SettingsFeed, settings_line
from gateway.runtime.pidfile import NAME, PidFile, find_supervisor
from gateway.runtime.reload import Reloader, ask_to_reload, follow, read_again
from gateway.settings import Settings, SettingsError
from gateway.telemetry import logs

CARRIER = {"host": "127.0.0.1", "port": 2775, "system_id": "acme", "password": "secret"}


def settings(**more):
    return Settings(**({"carriers": {"telco_a": CARRIER}} | more))


# --- what is followed -----------------------------------------------------------------------------------------


def test_carriers_routes_and_log_level_are_followed():
    running = settings(carriers={"telco_a": CARRIER, "telco_b": CARRIER, "telco_c": CARRIER})
    wanted = settings(
        carriers={"telco_b": CARRIER | {"rate": "50/s"}, "telco_c": CARRIER, "telco_d": CARRIER},
        routes=[{"carriers": ["telco_d"], "prefix": "52"}],
        log_level="debug",
    )
    reload = follow(running, wanted)
    assert (reload.added, reload.changed, reload.removed) == (("telco_d",), ("telco_b",), ("telco_a",))
    assert (reload.is_rerouted, reload.needs_restart) == (True, ())
    assert reload.settings == wanted


def test_what_needs_a_restart_stays_and_is_named_without_its_value():
    running = settings(database_url="postgresql://u:old@h/d", api={"port": 8080})
    wanted = settings(
        database_url="postgresql://u:new@h/d",
        api={"port": 9090, "linger_ms": 5},
        state_dir="elsewhere",
        security={"pepper": "hush"},
        log_level="error",
    )
    reload = follow(running, wanted)
    assert reload.needs_restart == (
        "state_dir",
        "database_url",
        "api.port",
        "api.linger_ms",
        "security.pepper",
    )
    assert reload.settings == running.model_copy(update={"log_level": "error"})
    said = json.dumps(reload.facts())
    assert not any(secret in said for secret in ("old", "new", "hush", "secret"))


def test_the_demo_has_nothing_to_reload():
    with pytest.raises(SettingsError, match="nothing to reload"):
        read_again("demo")


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"[carriers.a]\nhost = 'h'\nport = 'x'\n", ":3: carriers.a.port"),
        (b"[carriers", "not valid TOML"),
        (b"log_level = '\xff'", "utf-8"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(tmp_path, octets, said):
    path = tmp_path / "caudal.toml"
    path.write_bytes(octets)
    with pytest.raises(SettingsError) as caught:
        read_again(str(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


# --- how it travels -------------------------------------------------------------------------------------------


async def test_the_feed_gives_the_first_line_and_then_every_later_one():
    one, two, three = (settings(drain_s=n) for n in (1, 2, 3))
    read_end, write_end = os.pipe()
    # More than the first line at once: nothing of it may be lost on the way to the event loop.
    os.write(write_end, settings_line(one) + settings_line(two)[:100])
    feed = SettingsFeed(read_end)
    assert feed.first() == one
    os.write(write_end, settings_line(two)[100:] + b"no json\n" + settings_line(three))
    os.close(write_end)
    async with asyncio.timeout(5):
        assert [found async for found in feed.later()] == [two, three]


def test_a_pipe_that_ends_before_the_first_line_is_an_error():
    read_end, write_end = os.pipe()
    os.close(write_end)
    with pytest.raises(ValueError, match="Expecting value"):
        SettingsFeed(read_end).first()
    os.close(read_end)


async def test_the_reloader_skips_what_is_outdated_and_tries_again(monkeypatch):
    monkeypatch.setattr(reload_module, "_RETRY_FIRST_S", 0.01)
    applied, done = [], asyncio.Event()

    async def apply(wanted):
        applied.append(wanted.drain_s)
        if applied == [2.0]:
            raise ConnectionError("no database")
        if len(applied) == 2:
            done.set()

    reloader = Reloader(apply)
    reloader.offer(settings(drain_s=1))
    reloader.offer(settings(drain_s=2))
    task = asyncio.create_task(reloader.run(), name="test.reloader")
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    assert applied == [2.0, 2.0]


async def test_the_level_of_the_log_follows():
    done = asyncio.Event()

    async def apply(_):
        done.set()

    reloader = Reloader(apply)
    task = asyncio.create_task(reloader.run(), name="test.reloader")
    reloader.offer(settings(log_level="error"))
    try:
        async with asyncio.timeout(5):
            await done.wait()
        with pytest.raises(logs.structlog.DropEvent):
            logs._drop_below(None, "warning", {"event": "x"})
        assert logs._drop_below(None, "error", {"event": "x"}) == {"event": "x"}
    finally:
        task.cancel()
        logs.set_level("info")


# --- whom `config reload` signals -----------------------------------------------------------------------------


def test_a_supervisor_is_found_as_long_as_it_holds_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.runtime.pidfile._is_gateway", lambda _: True)
    assert find_supervisor(tmp_path) is None
    held = PidFile.take(tmp_path / "var", source="/etc/caudal.toml")
    assert find_supervisor(tmp_path / "var") == (os.getpid(), "/etc/caudal.toml", 0)
    assert PidFile.take(tmp_path / "var", source="demo") is None
    held.release()
    assert find_supervisor(tmp_path / "var") is None
    again = PidFile.take(tmp_path / "var", source="demo")
    assert find_supervisor(tmp_path / "var").source == "demo"
    again.release()


def test_what_a_dead_supervisor_left_names_nobody(tmp_path):
    (tmp_path / NAME).write_text(json.dumps({"pid": os.getpid(), "source": "x"}))
    assert find_supervisor(tmp_path) is None


@pytest.mark.parametrize("octets", [b"", b"{", b'{"pid": "1"}', b'{"pid": 999999999}'])
def test_a_file_that_names_no_gateway_is_no_supervisor(tmp_path, octets):
    (tmp_path / NAME).write_bytes(octets)
    with (tmp_path / NAME).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert find_supervisor(tmp_path) is None


def test_another_program_with_the_number_is_not_signalled(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / NAME).write_text(json.dumps({"pid": other.pid, "source": "x"}))
        with (tmp_path / NAME).open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert find_supervisor(tmp_path) is None
    finally:
        other.communicate(b"\n", timeout=10)


def test_config_reload_checks_the_file_that_the_supervisor_reads(tmp_path, monkeypatch):
    path = tmp_path / "caudal.toml"
    path.write_text(f"state_dir = '{tmp_path}'\n")
    sent = []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    monkeypatch.setattr("gateway.runtime.pidfile._is_gateway", lambda _: True)
    here = settings(state_dir=tmp_path)
    with pytest.raises(SettingsError, match="does not run on"):
        ask_to_reload(here)
    held = PidFile.take(tmp_path, source=str(path))
    assert str(path) in ask_to_reload(here, chosen=str(path))
    assert sent == [(os.getpid(), signal.SIGHUP)]
    with pytest.raises(SettingsError, match="was started with"):
        ask_to_reload(here, chosen=str(tmp_path / "other.toml"))
    path.write_text("nonsense = 1\n")
    with pytest.raises(SettingsError, match="unknown key 'nonsense'"):
        ask_to_reload(here)
    assert len(sent) == 1
    assert "not checked" in ask_to_reload(here, checks=False)
    held.release()
    assert len(sent) == 2


# --- SIGHUP ---------------------------------------------------------------------------------------------------

LISTENER = """
import asyncio
from gateway.runtime.process import hangup_event
async def main():
    stop = asyncio.Event()
    hung_up = hangup_event(stop)
    print("ready", flush=True)
    await hung_up.wait()
    print("reload", flush=True)
    await stop.wait()
    print("stop", flush=True)
asyncio.run(main())
"""


def test_a_hangup_asks_for_a_reload_as_long_as_the_terminal_is_there_and_else_for_the_end():
    terminal, slave = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    child = subprocess.Popen(
        [sys.executable, "-c", LISTENER],
        stdin=slave,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=take_terminal,
    )
    os.close(slave)
    try:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGHUP)
        assert child.stdout.readline() == "reload\n"
        os.close(terminal)  # the kernel tells the session
        assert child.communicate(timeout=20)[0] == "stop\n"
    finally:
        child.kill()
