"""A command that a person is told has to find the cluster that it is about."""

from pathlib import Path

import pytest

from diegod.node.dev import which


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "diegod"


def test_the_one_that_is_taken_unasked_needs_no_flags(state: Path) -> None:
    assert which.flags("dev", state / "dev") == ""


def test_another_name_or_folder_is_named(state: Path) -> None:
    assert which.flags("two", state / "two") == " --name two"
    assert which.flags("two", Path("/srv/my cluster")) == " --name two --data '/srv/my cluster'"
    assert which.flags("dev", Path("/srv/d")) == " --data /srv/d"
