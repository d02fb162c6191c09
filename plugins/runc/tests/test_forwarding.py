"""ip_forward belongs to all owners of a host together."""

from concurrent.futures import ThreadPoolExecutor
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


def test_nothing_is_left_when_the_last_has_left(tmp_path: Path, setting: Path) -> None:
    for found in ("0", "1"):
        setting.write_text(found)
        forwarding = Forwarding(everybody, tmp_path / "run" / "ip_forward", setting)
        forwarding.need("a")
        forwarding.need("b")
        forwarding.leave("a")
        assert (tmp_path / "run" / "ip_forward").exists()
        forwarding.leave("b")
        assert sorted(tmp_path.iterdir()) == [setting]


def test_who_waited_for_the_lock_while_the_folder_went_makes_it_anew(
    tmp_path: Path, setting: Path
) -> None:
    forwardings = [Forwarding(everybody, tmp_path / "run" / "f", setting) for _ in range(4)]

    def come_and_go(number: int) -> None:
        for _ in range(50):
            forwardings[number].need(str(number))
            assert setting.read_text() == "1"
            forwardings[number].leave(str(number))

    with ThreadPoolExecutor() as pool:
        list(pool.map(come_and_go, range(4)))
    assert setting.read_text() == "0"
    assert not (tmp_path / "run").exists()
