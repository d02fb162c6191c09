"""What `--fresh` leaves of a dev cluster: what this process itself holds open."""

from pathlib import Path

from diegod.node.dev.foreground import BACKGROUND_LOG, empty
from diegod.node.folder import LOCK_FILE


def test_the_lock_and_the_log_that_is_being_written_stay(tmp_path: Path) -> None:
    for name in (LOCK_FILE, BACKGROUND_LOG, "cluster.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "parts" / "bbs-1").mkdir(parents=True)
    (tmp_path / "parts" / "bbs-1" / "log").write_text("old")
    empty(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {LOCK_FILE, BACKGROUND_LOG}
    assert (tmp_path / BACKGROUND_LOG).read_text() == BACKGROUND_LOG
