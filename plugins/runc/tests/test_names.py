"""Names on the host: short enough, and never another owner's."""

from pathlib import Path

from diegod.contracts.backend import Owner
from hypothesis import given
from hypothesis import strategies as st

from diegod_runc.names import Names, short_id

RUN = Path("/run/diegod")
OWNERS = st.builds(Owner, st.text(max_size=20), st.text(max_size=20))


@given(OWNERS, st.integers(0, 0xFFFF))
def test_interface_names_fit(owner: Owner, slot: int) -> None:
    names = Names.of(owner, Path("/run/diegod"))
    assert len(names.bridge) <= 15
    assert len(names.veth(slot)) <= 15


@given(OWNERS, OWNERS)
def test_other_owners_have_other_names(one: Owner, other: Owner) -> None:
    assert (one == other) == (short_id(one, RUN) == short_id(other, RUN))


def test_another_run_folder_is_another_owner() -> None:
    owner = Owner("c", "cell-1")
    assert short_id(owner, RUN) != short_id(owner, Path("/run/other"))


def test_cluster_and_cell_do_not_run_together() -> None:
    assert short_id(Owner("a", "bc"), RUN) != short_id(Owner("ab", "c"), RUN)


def test_no_name_of_one_owner_begins_with_one_of_another() -> None:
    mine, theirs = (Names.of(Owner("c", cell), Path("/run")) for cell in ("1", "2"))
    assert not theirs.veth(2).startswith((mine.bridge, mine.veth_prefix))
    assert not theirs.bridge.startswith((mine.bridge, mine.veth_prefix))


def test_a_long_handle_has_a_short_socket() -> None:
    assert len(Names.socket("x" * 128)) == 12


def test_bridge_has_a_unicast_address_of_its_own() -> None:
    names = Names("0a1b2c3d", Path("/run"))
    assert names.bridge_mac == "02:0a:1b:2c:3d:01"
