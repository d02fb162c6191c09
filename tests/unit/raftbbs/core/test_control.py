"""What people do to an LRP without a new definition, and what the brain says of its rollout."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diegod.v1.definition_pb2 import CrashPolicy, Dependency, LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import PlacementNeeds, Rollout
from tests.unit.raftbbs.core.board import Board
from tests.unit.raftbbs.core.lrps import Verb, Web

ILLEGAL = "InvalidStateTransition"
PAUSES = UpdatePolicy(on_failure=UpdatePolicy.PAUSE)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Version 1, done."""
    board = Board.open(tmp_path).with_brain().with_cell("c1").with_cell("c2")
    web = Web(board)
    assert not web.desire(b"v1")
    assert not web.brain("finish_rollout")
    yield web
    board.environment.close()


def test_stopped_and_started_it_keeps_its_definition(web: Web) -> None:
    before = web.row()
    assert not web.control(Verb.STOP).reason
    assert web.row().stopped
    assert web.row().scaled_revision == web.row().provenance.revision
    assert web.control(Verb.STOP).unchanged
    assert not web.control(Verb.START).reason
    row = web.row()
    assert not row.stopped
    assert (row.version, row.definition_revision) == (1, before.definition_revision)
    assert row.rollout.state == Rollout.DONE
    assert web.control(Verb.START).unchanged


def test_an_update_that_was_stopped_has_its_full_time_when_it_is_started(web: Web) -> None:
    web.desire(b"v2")
    web.control(Verb.STOP)
    began = web.row().rollout.began_at.seconds
    web.board.later(3600)
    web.control(Verb.START)
    assert web.row().rollout.began_at.seconds == began + 3600


def test_a_restart_is_a_copy_that_replaces_what_runs(web: Web) -> None:
    before = web.row().definition_revision
    assert not web.control(Verb.RESTART).reason
    row = web.row()
    assert row.definition_revision == row.provenance.revision != before
    assert web.definition() == b"v1"
    assert (row.version, web.versions()[-1].copy_of) == (2, 1)
    assert row.rollout.state == Rollout.ROLLING
    assert row.rollout.stable_definition_revision == before


def test_what_is_stopped_is_not_restarted(web: Web) -> None:
    web.control(Verb.STOP)
    outcome = web.control(Verb.RESTART)
    assert outcome.reason == ILLEGAL
    assert "start it" in outcome.message


def test_a_rollback_is_the_very_definition_again(web: Web) -> None:
    first = web.row().definition_revision
    web.desire(b"v2")
    assert not web.control(Verb.ROLLBACK).reason
    row = web.row()
    assert (row.definition_revision, row.version) == (first, 3)
    assert web.versions()[-1].copy_of == 1
    assert web.outcomes() == ["STABLE", "SUPERSEDED", "CURRENT"]
    assert not row.rollout.rolled_back, "a person did this"


def test_a_rollback_to_a_version_that_is_named(web: Web) -> None:
    for definition in (b"v2", b"v3"):
        web.desire(definition)
        assert not web.brain("finish_rollout")
    assert not web.control(Verb.ROLLBACK, to_version=1).reason
    assert web.definition() == b"v1"
    assert not web.brain("finish_rollout")
    assert not web.control(Verb.ROLLBACK).reason
    assert web.definition() == b"v3", "the last stable one before the present"


def test_a_rollback_without_a_place_to_go_to(web: Web) -> None:
    assert web.control(Verb.ROLLBACK).reason == ILLEGAL
    gone = web.control(Verb.ROLLBACK, to_version=9)
    assert gone.reason == "ResourceNotFound"
    assert "there are: 1" in gone.message
    assert web.control(Verb.ROLLBACK, to_version=1).unchanged


def test_a_rollback_names_the_versions_of_which_nobody_knows_whether_they_are_stable(
    tmp_path: Path,
) -> None:
    board = Board.open(tmp_path).with_brain().with_cell("c1")
    web = Web(board)
    for definition in (b"v1", b"v2", b"v3"):
        web.desire(definition)
    refused = web.control(Verb.ROLLBACK)
    board.environment.close()
    assert refused.reason == ILLEGAL
    assert refused.message.endswith("stable to go back to; name one: --to 1, 2")


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.RESUME, Verb.PROMOTE])
def test_only_an_update_that_is_under_way_is_paused_resumed_and_promoted(
    web: Web, verb: Verb.ValueType
) -> None:
    assert web.control(verb).reason == ILLEGAL


def test_no_verb_is_no_request(web: Web) -> None:
    assert web.control(Verb.INVALID).reason == "InvalidRequest"


def test_an_update_is_paused_and_goes_on_with_its_full_time(web: Web) -> None:
    web.desire(b"v2")
    assert not web.control(Verb.PAUSE).reason
    assert web.row().rollout.state == Rollout.PAUSED
    assert web.control(Verb.PAUSE).unchanged
    assert web.control(Verb.PROMOTE).reason == ILLEGAL
    web.board.later(600)
    assert not web.control(Verb.RESUME).reason
    row = web.row()
    assert row.rollout.state == Rollout.ROLLING
    assert row.rollout.began_at.seconds * 10**9 == web.board.at_ns
    assert web.control(Verb.RESUME).unchanged


def test_canaries_wait_for_a_person(web: Web) -> None:
    web.desire(b"v2")
    assert not web.brain("await_promotion")
    assert web.row().rollout.state == Rollout.CANARIES
    assert web.brain("finish_rollout") == ILLEGAL
    assert web.control(Verb.RESUME).reason == ILLEGAL
    assert not web.control(Verb.PROMOTE).reason
    row = web.row()
    assert (row.rollout.state, row.rollout.promoted) == (Rollout.ROLLING, True)
    assert web.control(Verb.PROMOTE).unchanged
    assert web.brain("await_promotion") == ILLEGAL, "they were promoted"
    assert not web.brain("finish_rollout")


def test_what_was_promoted_before_is_forgotten_by_the_next_version(web: Web) -> None:
    web.desire(b"v2")
    web.control(Verb.PROMOTE)
    web.desire(b"v3")
    assert not web.row().rollout.promoted


def test_a_finished_rollout_is_stable(web: Web) -> None:
    web.desire(b"v2")
    assert not web.brain("finish_rollout")
    row = web.row()
    assert row.rollout.state == Rollout.DONE
    assert row.rollout.stable_definition_revision == row.definition_revision
    assert web.outcomes() == ["STABLE", "STABLE"]


def test_a_failed_rollout_goes_back_once(web: Web) -> None:
    first = web.row().definition_revision
    web.desire(b"v2")
    web.board.later(700)
    assert not web.brain("fail_rollout", reason="web/0 crashed 3 times")
    row = web.row()
    assert (row.definition_revision, row.version) == (first, 3)
    assert row.rollout.state == Rollout.ROLLING
    assert row.rollout.rolled_back
    assert row.rollout.reason == "web/0 crashed 3 times"
    assert row.rollout.began_at.seconds * 10**9 == web.board.at_ns
    assert web.outcomes() == ["STABLE", "FAILED", "CURRENT"]
    assert [each.reason for each in web.versions()] == ["", "web/0 crashed 3 times", ""]
    assert web.versions()[-1].copy_of == 1
    assert not web.brain("fail_rollout", reason="that one, too")
    row = web.row()
    assert (row.rollout.state, row.version) == (Rollout.PAUSED, 3)
    assert row.rollout.reason == "that one, too"


Failing = Callable[[Web], object]


@pytest.mark.parametrize(
    "come_to",
    [
        lambda web: web.desire(b"v2", update=PAUSES),
        lambda web: (web.desire(b"v2"), web.control(Verb.ROLLBACK)),
    ],
    ids=["the policy is to pause", "it is on the way back already"],
)
def test_a_failed_rollout_pauses(web: Web, come_to: Failing) -> None:
    come_to(web)
    before = web.row()
    assert not web.brain("fail_rollout", reason="r" * 2000)
    row = web.row()
    assert (row.rollout.state, row.version) == (Rollout.PAUSED, before.version)
    assert row.definition_revision == before.definition_revision
    assert row.rollout.reason == "r" * 1024
    assert web.outcomes()[-1] == "FAILED"


def test_a_first_version_that_fails_pauses_and_may_be_resumed(web: Web) -> None:
    web.remove()
    assert not web.desire(b"w1")
    assert not web.brain("fail_rollout", reason="why")
    assert web.row().rollout.state == Rollout.PAUSED
    assert web.outcomes() == ["FAILED"]
    assert not web.control(Verb.RESUME).reason
    assert web.outcomes() == ["CURRENT"]
    assert (web.versions()[0].reason, web.row().rollout.reason) == ("", "")
    assert not web.brain("finish_rollout")
    assert web.outcomes() == ["STABLE"]


def test_a_failure_of_what_waits_for_its_promotion(web: Web) -> None:
    web.desire(b"v2")
    web.brain("await_promotion")
    assert not web.brain("fail_rollout", reason="a canary crashed")
    assert web.definition() == b"v1"


#: Of a definition what its row takes from it: where it may be placed, how it crashes and updates.
BIG: dict[str, object] = {
    "needs": PlacementNeeds(rootfs_provider="preloaded:big", placement_tags=["ssd"]),
    "crash_policy": CrashPolicy(max_restarts=7),
    "update": UpdatePolicy(max_in_flight=9),
    "mode": LrpDefinition.GLOBAL,
    "depends_on": [Dependency(lrp="db")],
}


@pytest.mark.parametrize(
    "go_back",
    [
        lambda web: web.brain("fail_rollout", reason="why"),
        lambda web: web.control(Verb.ROLLBACK).reason,
        lambda web: web.control(Verb.ROLLBACK, to_version=1).reason,
    ],
)
def test_who_goes_back_is_placed_as_before(web: Web, go_back: Failing) -> None:
    before = web.row()
    web.desire(b"v2", **BIG)
    assert web.row().needs.rootfs_provider == "preloaded:big"
    assert not go_back(web)
    row = web.row()
    for field in BIG:
        assert getattr(row, field) == getattr(before, field), field
    web.control(Verb.ROLLBACK, to_version=2)
    assert web.row().needs.placement_tags == ["ssd"]
    assert web.row().mode == LrpDefinition.GLOBAL
