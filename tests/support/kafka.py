"""A real Apache Kafka for tests: the one of CAUDAL_KAFKA_BOOTSTRAP, or one node on loopback, started by `make kafka`'s script."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "kafka" / "run.sh"
START_S = 240.0  # the first start fetches the jars


class KafkaServer:
    """One broker, which can be killed and started again on its data."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port = _free_pair()
        # Where clients are sent to: to a proxy, if there is one in front.
        self.advertised_port = port
        self.bootstrap = f"127.0.0.1:{port}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        environment = {
            **os.environ,
            "KAFKA_PORT": str(self.port),
            "KAFKA_ADVERTISED_PORT": str(self.advertised_port),
            "KAFKA_STATE": str(self._state / "state"),
        }
        with (self._state / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", str(SCRIPT)], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None, (self._state / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"Kafka is not up after {START_S:.0f} s"
            time.sleep(0.2)

    @property
    def pid(self) -> int:
        """The process, once started."""
        assert self._process is not None
        return self._process.pid

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """End it and what it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signum)
            self._process.wait(30)

    def stop_for_a_while(self) -> None:
        """SIGSTOP: it neither answers nor dies."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)


def _free_pair() -> int:
    """Return a free port whose next one is free, for the controller: not of those that outgoing connections get."""
    while True:
        port = random.randrange(15_000, 30_000, 2)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", port))
            next_one.bind(("127.0.0.1", port + 1))
            return port


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Give the address of a cluster; it fails in CI and is said aloud elsewhere when there can be none."""
    given = os.environ.get("CAUDAL_KAFKA_BOOTSTRAP")
    if given:
        yield given
        return
    with kafka_server() as server:
        yield server.bootstrap


@contextlib.contextmanager
def kafka_server() -> Iterator[KafkaServer]:
    """Run a broker on data of its own; it fails in CI and is said aloud elsewhere without what Kafka runs on."""
    need_java()
    state = Path(tempfile.mkdtemp(prefix="cdlkafka"))
    server = KafkaServer(state)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(state, ignore_errors=True)


def need_java() -> None:
    """Fail in CI, skip elsewhere, without what Kafka runs on."""
    for command, package in (("java", "default-jdk-headless"), ("mvn", "maven")):
        if shutil.which(command) is None:
            _missing(f"{command} is not installed (Debian: apt-get install {package})")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"Kafka is required: {reason}")
    pytest.skip(f"LEFT OUT: the Kafka bus: {reason}")
