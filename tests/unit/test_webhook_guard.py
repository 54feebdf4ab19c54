"""Where webhooks never go, however it is written and whatever a name server says."""

import asyncio
import socket
from typing import Any

import pytest

from dlr.webhooks.guard import BlockedAddressError, Guard, GuardError

HOSTILE_ADDRESSES = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "100::1",
]
PUBLIC_ADDRESSES = [
    "8.8.8.8",
    "1.1.1.1",
    "203.0.114.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


def info(address: str, port: int = 443) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (address, port)


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
def test_an_address_that_is_not_public_is_refused_in_a_url_in_dns_and_at_the_socket(address: str) -> None:
    guard = Guard(look_up=lambda _, port: [info("8.8.8.8", port), info(address, port)])
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(GuardError, match="not public"):
        guard.check_url(f"https://{host}/hook")
    with pytest.raises(BlockedAddressError) as error:
        asyncio.run(guard.resolve("hooks.example.com", 443))
    assert address not in str(error.value)
    with pytest.raises(BlockedAddressError):
        guard.open_socket(info(address))


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_allowed(address: str) -> None:
    guard = Guard(look_up=lambda _, port: [info(address, port)])
    host = f"[{address}]" if ":" in address else address
    assert guard.check_url(f"https://{host}:8443/hook").port == 8443
    (found,) = asyncio.run(guard.resolve("hooks.example.com", 443))
    assert found["host"] == address
    guard.open_socket(info(address)).close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///hook",
        "http://hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com/#x",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:x/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://api.localhost/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://1.2.3.4.5/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nx: y",
        "https://\u0665.example.com/",
        "https://ex\u00e4mple.com/",
        "https://-x.example.com/",
        "https://a..b/",
        "https://" + "a" * 64 + ".com/",
        "https://" + ".".join(["a" * 60] * 5) + "/",
        "https://hooks.example.com/" + "x" * 2_000,
    ],
)
def test_a_url_that_is_not_plainly_one_of_a_public_host_is_refused(url: str) -> None:
    with pytest.raises(GuardError):
        Guard().check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a/b?c=d",
        "https://HOOKS.example.com:8443",
        "https://xn--exmple-cua.com/",
        "https://a_b.example.com/",
    ],
)
def test_an_ordinary_url_is_accepted(url: str) -> None:
    assert Guard().check_url(url).url == url


def test_settings_open_exactly_what_they_name() -> None:
    local = Guard(allow_loopback=True)
    assert local.check_url("http://127.0.0.1:9000/").port == 9000
    local.check_url("http://localhost:9000/")
    local.check_url("https://[::1]/")
    for url in ("https://10.0.0.1/", "http://hooks.example.com/", "http://10.0.0.1/"):
        with pytest.raises(GuardError):
            local.check_url(url)
    inside = Guard(networks=("10.1.0.0/16",), allow_http=True)
    inside.check_url("http://10.1.2.3/")
    inside.check_url("http://[::ffff:10.1.2.3]/")
    for url in ("https://10.2.0.1/", "https://127.0.0.1/"):
        with pytest.raises(GuardError):
            inside.check_url(url)


async def test_every_answer_of_dns_is_judged_anew() -> None:
    answers = iter([[info("8.8.8.8")], [info("127.0.0.1")], []])
    guard = Guard(look_up=lambda *_: next(answers))
    assert (await guard.check("https://hooks.example.com/")).host == "hooks.example.com"
    with pytest.raises(GuardError, match="not public"):
        await guard.check("https://hooks.example.com/")
    with pytest.raises(GuardError, match="cannot be resolved"):
        await guard.check("https://hooks.example.com/")
    await guard.close()


async def test_a_name_that_is_not_found_is_an_error_of_the_endpoint() -> None:
    def fail(*_: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    guard = Guard(look_up=fail)
    with pytest.raises(OSError, match="not known"):
        await guard.resolve("nowhere.example.com", 443)
    await guard.close()
