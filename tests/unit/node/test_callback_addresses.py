"""Which addresses may be posted to, as a table."""

import pytest

from diegod.node.callback_addresses import refusal


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "febf:ffff::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_some_are_refused_whoever_names_them(address: str) -> None:
    assert refusal(address, redirected=False)
    assert refusal(address, redirected=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:0a00:0001::1",
        "192.0.2.1",
        "240.0.0.1",
    ],
)
def test_others_are_only_for_those_who_write_definitions(address: str) -> None:
    assert refusal(address, redirected=False) == ""
    assert refusal(address, redirected=True) == (
        f"{address} is an inside address, to which no redirect may lead"
    )


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_the_outside_is_open(address: str) -> None:
    assert refusal(address, redirected=False) == refusal(address, redirected=True) == ""
