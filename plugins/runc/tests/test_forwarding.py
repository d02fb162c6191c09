"""ip_forward belongs to all owners of a host together."""

from pathlib import Path

import pytest

from diegod_runc.forwarding import Forwarding


def everybody(_: str) -> bool:
    return True


@pytest.fixture
def setting(tmp_path: Path) -> Path:
    file = tmp_path / "ip_forward"
    file.write_text("0\n")
    return file


def test_the_last_to_leave_puts_it_back(tmp_path: Path, setting: Path) -> None:
    forwarding = Forwarding(everybody, tmp_path / "run", setting)
    forwarding.need("a")
    forwarding.need("b")
    forwarding.need("b")
    assert setting.read_text() == "1"
    forwarding.leave("b")
    assert setting.read_text() == "1"
    forwarding.leave("a")
    assert setting.read_text() == "0"


def test_what_was_on_stays_on(tmp_path: Path, setting: Path) -> None:
    setting.write_text("1\n")
    forwarding = Forwarding(everybody, tmp_path / "run", setting)
    forwarding.need("a")
    forwarding.leave("a")
    assert setting.read_text() == "1\n"


def test_leaving_twice_does_not_switch_off_what_somebody_else_switched_on(
    tmp_path: Path, setting: Path
) -> None:
    forwarding = Forwarding(everybody, tmp_path / "run", setting)
    forwarding.leave("a")
    forwarding.need("a")
    forwarding.leave("a")
    setting.write_text("1\n")  # somebody else's wish, from now on
    forwarding.leave("a")
    assert setting.read_text() == "1\n"


def test_an_owner_who_died_without_a_word_does_not_count(tmp_path: Path, setting: Path) -> None:
    forwarding = Forwarding(lambda owner: owner != "dead", tmp_path / "run", setting)
    for owner in ("dead", "a"):
        forwarding.need(owner)
    forwarding.leave("a")
    assert setting.read_text() == "0"
