"""hosts and resolv.conf of a container."""

import pytest

from diegod_runc.etc import hosts, name_servers, resolv_conf

STUB = "nameserver 127.0.0.53\noptions edns0\nsearch example.com\n"
REAL = "nameserver 10.0.0.53\nsearch example.com\n"


@pytest.mark.parametrize(
    ("host", "systemd", "container"),
    [
        pytest.param(REAL, "", REAL, id="real servers are taken over"),
        pytest.param(STUB, REAL, REAL, id="behind systemd-resolved's stub are the real ones"),
        pytest.param(REAL, STUB, REAL, id="systemd-resolved that is not asked"),
        pytest.param(
            STUB, "", "options edns0\nsearch example.com\n", id="a dead server is left out"
        ),
        pytest.param("nameserver ::1\n", "", "", id="loopback of IPv6"),
        pytest.param("nameserver fe80::1%eth0\n", "", "nameserver fe80::1%eth0\n", id="zone"),
        pytest.param("nameserver what?\n", "", "nameserver what?\n", id="nonsense is passed on"),
    ],
)
def test_resolv_conf(host: str, systemd: str, container: str) -> None:
    assert resolv_conf(host, systemd) == container


def test_name_servers() -> None:
    assert name_servers(f"# nameserver 1.1.1.1\n{REAL}nameserver\n") == ["10.0.0.53"]


def test_hosts() -> None:
    assert "10.1.0.2\tweb-0\n" in hosts("10.1.0.2", "web-0")
    assert hosts("10.1.0.2", "").startswith("127.0.0.1\tlocalhost\n")
