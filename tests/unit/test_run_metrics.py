"""What every process tells of itself: configuration, program, when credentials end; and how the page is built."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.ports.clock import SystemClock
from gateway.runtime.admin import AdminServer
from gateway.runtime.credentials import CertificateEnd, certificates_end_s, credential_ends
from gateway.runtime.run_metrics import RunMetrics, build_commit, config_hash
from gateway.settings import Settings
from tests.support.peers import need_command

DAY_S = 86_400


def make_certificate(path: Path, *, days: int) -> None:
    """Write a self-signed certificate with its key."""
    need_command("openssl", package="openssl")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
            *("-days", str(days), "-subj", "/CN=acme"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())


def carrier(**more: object) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": 1, "system_id": "acme", "password": "secret1", **more}


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "client.pem"
    make_certificate(path, days=10)
    return path


@pytest.mark.peer
def test_the_end_of_a_certificate_is_read_and_follows_its_file(pem: Path, tmp_path: Path):
    at_s = time.time() + 10 * DAY_S
    assert abs(certificates_end_s(pem.read_bytes()) - at_s) < DAY_S / 2
    copy = tmp_path / "copy.pem"
    copy.write_bytes(pem.read_bytes())
    end = CertificateEnd(copy)
    assert abs(end() - at_s) < DAY_S / 2
    far = tmp_path / "far.pem"
    make_certificate(far, days=20_000)  # past 2049 the time is written in another form
    far.replace(copy)
    assert abs(end() - time.time() - 20_000 * DAY_S) < DAY_S
    copy.unlink()
    assert end() == 0, "one that cannot be read needs somebody too"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n////\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_an_error(octets: bytes):
    with pytest.raises(ValueError, match="certificate"):
        certificates_end_s(octets)


@pytest.mark.peer
def test_each_role_tells_of_the_credentials_that_it_holds(pem: Path):
    tls = {"enabled": True, "certificate_file": str(pem)}
    settings = Settings(
        carriers={
            "telco_a": carrier(tls=tls, credentials_expire="2031-01-31"),
            "telco_b": carrier(tls={**tls, "enabled": False}),
        },
        smpp_server={"enabled": True, "tls": tls},
        kafka={"bootstrap": "127.0.0.1:9092", "security_protocol": "SSL", "certificate_file": str(pem)},
    )
    dispatch = credential_ends(settings, role="dispatch")
    assert set(dispatch) == {("telco_a", "password"), ("telco_a", "certificate"), ("kafka", "certificate")}
    assert dispatch["telco_a", "password"]() == datetime(2031, 2, 1, tzinfo=UTC).timestamp()
    assert set(credential_ends(settings, role="api")) == {
        ("smpp_server", "certificate"),
        ("kafka", "certificate"),
    }
    assert set(credential_ends(settings, role="back")) == {("kafka", "certificate")}


def test_a_reload_replaces_the_hash_and_forgets_credentials_that_are_gone():
    registry = CollectorRegistry()
    metrics = RunMetrics(registry, role="dispatch", clock=SystemClock())
    before = Settings(carriers={"telco_a": carrier(credentials_expire="2031-01-31")})
    after = Settings(carriers={"telco_a": carrier(rate="50/s")})

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"caudal_{name}", labels)

    metrics.runs(before)
    assert shown("credential_expiry_timestamp_seconds", owner="telco_a", kind="password")
    began_s = shown("config_reload_success_timestamp_seconds")
    assert began_s is not None
    assert abs(began_s - time.time()) < 60
    metrics.runs(after)
    assert shown("config_info", hash=config_hash(before)) is None
    assert shown("config_info", hash=config_hash(after)) == 1
    assert shown("credential_expiry_timestamp_seconds", owner="telco_a", kind="password") is None
    metrics.runs(after)
    assert shown("config_info", hash=config_hash(after)) == 1


def test_the_hash_of_a_configuration_holds_no_secret_and_nothing_of_one_process():
    one = Settings(carriers={"telco_a": carrier()})
    same = Settings(
        carriers={"telco_a": carrier(password="other")},
        database_url="postgresql://caudal:pw@db/caudal",
        api={"port": 1234},
        admin={"port": 4321},
    )
    assert config_hash(one) == config_hash(same)
    assert config_hash(one) != config_hash(Settings(carriers={"telco_a": carrier(window=11)}))


def test_the_commit_is_that_of_the_image_or_of_the_checkout(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAUDAL_COMMIT", "0123456789abcdef0123")
    assert build_commit() == "0123456789ab"
    monkeypatch.delenv("CAUDAL_COMMIT")
    found = build_commit()
    assert found == "unknown" or (len(found) == 12 and int(found, 16) >= 0)


class Slow:
    """A collector that waits until it may go on, as a page of thousands of series does."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.threads: set[int] = set()

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        self.threads.add(threading.get_ident())
        self.began.set()
        assert self.may_end.wait(30)
        yield GaugeMetricFamily("caudal_slow", "slow", value=1)


async def test_the_page_of_metrics_is_built_beside_the_event_loop():
    slow, registry = Slow(), CollectorRegistry()
    registry.register(slow)
    admin = AdminServer(registry, host="127.0.0.1", port=0, not_ready=dict)
    url = f"http://127.0.0.1:{await admin.start()}"
    try:
        async with aiohttp.ClientSession() as http:

            async def get(path: str) -> str:
                async with http.get(url + path) as answer:
                    return await answer.text()

            page = asyncio.create_task(get("/metrics"))
            assert await asyncio.to_thread(slow.began.wait, 30)
            assert "ok" in await asyncio.wait_for(get("/healthz"), 10), "others are answered meanwhile"
            assert not page.done()
            slow.may_end.set()
            assert "caudal_slow 1.0" in await asyncio.wait_for(page, 10)
            assert threading.get_ident() not in slow.threads
    finally:
        slow.may_end.set()
        await admin.stop()


async def test_orders_come_as_json_and_not_from_a_browser():
    async def order(told: dict[str, object]) -> dict[str, object]:
        if told.get("bad"):
            raise ValueError("bad is not wanted")
        return {"got": told}

    admin = AdminServer(
        CollectorRegistry(), host="127.0.0.1", port=0, not_ready=dict, orders={"/order": order}
    )
    url = f"http://127.0.0.1:{await admin.start()}/order"
    try:
        async with aiohttp.ClientSession() as http:

            async def post(**request: object) -> tuple[int, object]:
                async with http.post(url, **request) as answer:  # type: ignore[arg-type]
                    return answer.status, await answer.json()

            assert await post(json={"a": 1}) == (200, {"got": {"a": 1}})
            assert await post(json={"bad": 1}) == (400, {"error": "bad is not wanted"})
            assert (await post(json=[1]))[0] == 400
            assert (await post(data=b"{", headers={"Content-Type": "application/json"}))[0] == 400
            assert (await post(data=b'{"a": 1}', headers={"Content-Type": "text/plain"}))[0] == 415
            assert (await post(json={}, headers={"Origin": "https://example.invalid"}))[0] == 415
    finally:
        await admin.stop()
