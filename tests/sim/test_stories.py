"""The stories with a script hold; that they have teeth is shown by the mutants that they kill."""

from pathlib import Path

from tests.sim import stories
from tests.sim.ring import simulate


def test_a_guid_that_was_deleted_names_no_other_task() -> None:
    assert simulate(1, tell=stories.guid_is_kept).violations == []


def test_a_vote_is_given_once_a_term(tmp_path: Path) -> None:
    assert stories.votes_of_one_term(tmp_path / "store") == ["bbs-a"]
