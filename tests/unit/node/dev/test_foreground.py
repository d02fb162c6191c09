"""What `--fresh` leaves of a dev cluster: what this process itself holds open."""

from pathlib import Path

import pytest

from diegod.node.dev.foreground import BACKGROUND_LOG, empty, suggestions
from diegod.node.dev.layout import Layout, Part
from diegod.node.folder import LOCK_FILE


def test_the_lock_and_the_log_that_is_being_written_stay(tmp_path: Path) -> None:
    for name in (LOCK_FILE, BACKGROUND_LOG, "cluster.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "parts" / "bbs-1").mkdir(parents=True)
    (tmp_path / "parts" / "bbs-1" / "log").write_text("old")
    empty(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {LOCK_FILE, BACKGROUND_LOG}
    assert (tmp_path / BACKGROUND_LOG).read_text() == BACKGROUND_LOG


def test_what_it_suggests_finds_a_cluster_of_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    cells = tuple(Part(f"cell-{n}", "cell", 0) for n in (1, 2))
    kill, start = suggestions(Layout("two", tmp_path / "d", "exec", cells, "id"))[-2:]
    assert kill == f"diegod dev kill cell-2 --name two --data {tmp_path}/d"
    assert start == f"diegod dev start cell-2 --name two --data {tmp_path}/d"
