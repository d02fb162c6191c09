"""What can be dialled, and so may stand in a server's certificate."""

from ipaddress import ip_address

import pytest
from cryptography import x509

from diegod.security.errors import SecurityError
from diegod.security.hosts import is_host, parse_host, split_address


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("localhost", x509.DNSName("localhost")),
        ("BBS-1.Example.com", x509.DNSName("bbs-1.example.com")),
        ("_dns.10.example", x509.DNSName("_dns.10.example")),
        ("10.0.0.11", x509.IPAddress(ip_address("10.0.0.11"))),
        ("FE80::1", x509.IPAddress(ip_address("fe80::1"))),
    ],
)
def test_hosts(text: str, name: x509.GeneralName) -> None:
    assert parse_host(text) == name
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "host.",
        "a..b",
        "-a",
        "a-",
        "*.example.com",
        "host:8889",
        "[::1]",
        "fe80::1%eth0",
        "10.0.0.300",
        "10.0.0.11/24",
        "user@host",
        "spiffe://prod/bbs/bbs-1",
        "ho st",
        "host\n",
        "ho\0st",
        "ban\u212a.example",  # a Kelvin sign, whose lower case is k
        "a" * 64,
        ".".join(["a" * 63] * 4),
    ],
)
def test_what_is_no_host(text: str) -> None:
    assert not is_host(text)
    with pytest.raises(SecurityError, match="is no host") as refusal:
        parse_host(text)
    assert refusal.value.message.isprintable()


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("bbs-1:8889", ("bbs-1", 8889)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_addresses(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "address",
    ["", "bbs-1", "bbs-1:", ":8889", "bbs-1:0", "bbs-1:65536", "bbs-1:٣", "bbs-1:-1", "a b:1"],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(SecurityError, match="is no address"):
        split_address(address)
