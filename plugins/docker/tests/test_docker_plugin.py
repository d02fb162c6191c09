"""The name is known, can't be chosen without a reason, and the package metadata points at it."""

import tomllib
from pathlib import Path

import diegod_docker
import pytest

from diegod.contracts.backend import BackendError, Owner
from diegod.plugins import PluginState, load_plugins


def test_it_is_shown_as_not_in_this_release() -> None:
    (entry,) = load_plugins([diegod_docker], load_entry_points=False).entries
    assert (entry.kind, entry.name) == ("backend", "docker")
    assert (entry.state, entry.reason) == (PluginState.UNAVAILABLE, "not in this release")


def test_whoever_chooses_it_is_told_why_not(tmp_path: Path) -> None:
    record = load_plugins([diegod_docker], load_entry_points=False).backends["docker"]
    with pytest.raises(BackendError, match="backend docker is not in this release: use runc"):
        record.factory(Owner("cluster", "cell"), tmp_path, {})


def test_the_entry_point_is_in_the_metadata() -> None:
    about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    entry_points = about["project"]["entry-points"]
    assert entry_points == {"diegod": {"docker": diegod_docker.__name__}}
