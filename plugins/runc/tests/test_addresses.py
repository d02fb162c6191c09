"""Subnets and addresses."""

from ipaddress import IPv4Network

import pytest
from diegod.contracts.backend import BackendError

from diegod_runc.addresses import Subnet, choose, single

SMALL = Subnet(IPv4Network("10.1.2.0/29"))


def test_a_slot_is_an_address() -> None:
    assert SMALL.gateway == "10.1.2.1"
    assert [SMALL.address(slot) for slot in SMALL.slots] == [f"10.1.2.{n}" for n in range(2, 7)]
    assert SMALL.mac(6) == "02:64:0a:01:02:06"


def test_a_23_has_room_for_509_containers() -> None:
    assert len(Subnet(IPv4Network("10.0.0.0/23")).slots) == 509


def test_owners_begin_at_different_places() -> None:
    assert choose("00000000", []).network == IPv4Network("10.0.0.0/23")
    assert choose("00000001", []).network == IPv4Network("10.0.2.0/23")
    assert choose("00008000", []).network == IPv4Network("172.16.0.0/23")


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        (["10.0.0.0/24"], "10.0.2.0/23"),
        (["10.0.1.7/32"], "10.0.2.0/23"),
        (["10.0.0.0/22", "192.168.0.0/16"], "10.0.4.0/23"),
        (["10.0.0.0/8"], "172.16.0.0/23"),
    ],
)
def test_what_overlaps_a_route_is_passed_over(taken: list[str], chosen: str) -> None:
    routes = [IPv4Network(network) for network in taken]
    assert choose("00000000", routes).network == IPv4Network(chosen)


def test_the_search_comes_round() -> None:
    last = f"{(1 << 15) + (1 << 11) - 1:08x}"
    assert choose(last, [IPv4Network("172.31.0.0/16")]).network == IPv4Network("10.0.0.0/23")


def test_no_room_is_an_error_that_says_what_to_set() -> None:
    everything = [IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12")]
    with pytest.raises(BackendError, match=r"backends\.runc\.subnet"):
        choose("12345678", everything)


def test_single() -> None:
    assert single("10.255.255.53") == IPv4Network("10.255.255.53/32")
    assert single("fd00::1") is None
    assert single("nonsense") is None
