"""Desired LRPs: versions and their outcomes, scaling, a removal that waits for instances."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.store.versions import VERSIONS_KEPT
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import DesiredLrp, Rollout
from tests.unit.raftbbs.core.board import Board, an_lrp
from tests.unit.raftbbs.core.lrps import Verb, Web


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    board = Board.open(tmp_path).with_brain().with_cell("c1").with_cell("c2")
    web = Web(board)
    assert not web.desire(b"v1")
    yield web
    board.environment.close()


def test_the_first_is_version_1_and_has_nowhere_to_go_back_to(web: Web) -> None:
    row = web.row()
    assert (row.version, row.rollout.state) == (1, Rollout.ROLLING)
    assert row.rollout.stable_definition_revision == 0
    assert row.rollout.began_at == row.created_at
    assert row.scaled_revision == row.provenance.revision
    (only,) = web.versions()
    assert (only.version, only.by, only.definition_revision) == (
        1,
        "user/ann",
        row.definition_revision,
    )


def test_what_apply_alone_writes_is_not_taken_from_a_command(web: Web) -> None:
    forged = DesiredLrp(version=7, stopped=True, removing=True, scaled_revision=3)
    forged.rollout.rolled_back = True
    forged.process_guid = "other"
    board = web.board
    forged.domain = "default"
    desire = c.DesireLrp(desired_lrp=forged, definition=b"x")
    made = board.say("user/ann", desire_lrp=desire).desired_lrp
    assert (made.version, made.stopped, made.removing) == (1, False, False)
    assert not made.rollout.rolled_back
    assert not web.desire(b"v2", version=9, removing=True, stopped=True)
    row = web.row()
    assert (row.version, row.stopped, row.removing) == (2, False, False)


def test_each_new_definition_is_a_version_and_an_equal_one_is_not(web: Web) -> None:
    before = web.row()
    assert not web.desire(b"v1")
    assert web.row() == before
    assert not web.desire(b"v2")
    assert web.row().version == 2
    assert web.outcomes() == ["SUPERSEDED", "CURRENT"]
    assert web.row().rollout.stable_definition_revision == 0


def test_an_update_can_go_back_to_what_was_done_last(web: Web) -> None:
    first = web.row().definition_revision
    assert not web.brain("finish_rollout")
    assert not web.desire(b"v2")
    assert not web.desire(b"v3")
    assert web.row().rollout.stable_definition_revision == first
    assert web.outcomes() == ["STABLE", "SUPERSEDED", "CURRENT"]


def test_another_number_is_no_version_but_is_noted(web: Web) -> None:
    before = web.row()
    assert not web.desire(b"v1", instances=3)
    row = web.row()
    assert (row.instances, row.version, row.rollout) == (3, 1, before.rollout)
    assert row.scaled_revision == row.provenance.revision > before.scaled_revision
    assert not web.scale(5)
    assert web.row().scaled_revision == web.row().provenance.revision
    noted = web.row().scaled_revision
    assert not web.desire(b"v2", instances=5)
    assert web.row().scaled_revision == noted


def test_what_is_stopped_stays_stopped_with_a_new_definition(web: Web) -> None:
    web.control(Verb.STOP)
    assert not web.desire(b"v2")
    assert web.row().stopped


def test_a_global_lrp_has_no_number(web: Web) -> None:
    assert not web.desire(b"v2", mode=LrpDefinition.GLOBAL)
    assert web.scale(3) == "InvalidRequest"


def test_twenty_versions_are_kept_and_what_goes_takes_its_definition_along(web: Web) -> None:
    row = web.create()
    first = row.definition_revision
    for number in range(2, 30):
        assert not web.desire(b"v%d" % number)
    kept = web.versions()
    assert [each.version for each in kept] == list(range(10, 30))
    assert len(kept) == VERSIONS_KEPT
    for each in kept:
        assert web.definition(each.definition_revision) == b"v%d" % each.version
    assert web.definition(first) == b"v1", "an instance has it"
    assert not web.repair("retire_instance", row)
    assert not web.desire(b"v30")
    assert web.definition(first) is None


def test_the_way_back_is_kept_however_many_versions_come(web: Web) -> None:
    stable = web.row().definition_revision
    assert not web.brain("finish_rollout")
    for number in range(2, 30):
        assert not web.desire(b"v%d" % number)
    assert web.definition(stable) == b"v1"
    assert not web.brain("fail_rollout", reason="why")
    assert web.row().definition_revision == stable
    assert web.versions()[-1].copy_of == 0, "that version is not kept any more"


def test_without_instances_it_is_gone_at_once(web: Web) -> None:
    assert not web.remove()
    assert web.is_gone()
    assert web.versions() == []
    with web.board.environment.begin_read() as transaction:
        assert transaction.count(web.board.tables.lrp_definitions) == 0
        assert transaction.count(web.board.tables.lrp_versions) == 0


def test_with_instances_it_stays_until_they_are_gone(web: Web) -> None:
    row = web.running("c1")
    assert not web.remove()
    assert web.row().removing
    assert web.row().scaled_revision == web.row().provenance.revision
    assert web.definition() == b"v1"
    assert web.board.say("user/ann", remove_lrp=c.RemoveLrp(process_guid="web")).unchanged
    assert web.brain("forget_lrp") == "ResourceConflict"
    assert not web.repair("retire_instance", row)
    assert not web.cell("remove_instance", row)
    assert not web.brain("forget_lrp")
    assert web.is_gone()


def test_what_is_being_removed_does_not_come_back_by_itself(web: Web) -> None:
    row = web.claimed("c1")
    assert not web.remove()
    assert not web.cell("reject_instance", row)
    crashed = web.again(row)
    assert not web.repair("unclaim_instance", crashed)
    assert not web.is_there(row)
    assert web.instances() == {}


@pytest.mark.parametrize("definition", [b"v1", b"v2"])
def test_desired_again_while_it_is_being_removed_it_is_a_new_one(
    web: Web, definition: bytes
) -> None:
    assert not web.brain("finish_rollout")
    running, before = web.running("c1"), web.row()
    web.control(Verb.STOP)
    web.remove()
    web.board.later(5)
    assert not web.desire(definition)
    row = web.row()
    assert (row.version, row.removing, row.stopped) == (2, False, False)
    assert row.rollout.state == Rollout.ROLLING
    assert row.rollout.stable_definition_revision == 0
    assert row.created_at.seconds == before.created_at.seconds + 5
    is_same = row.definition_revision == running.definition_revision
    assert is_same == (definition == b"v1"), "what runs of the same definition may stay"
    assert web.versions()[-1].copy_of == (1 if is_same else 0)


def test_it_keeps_its_domain_while_it_is_being_removed(web: Web) -> None:
    web.running("c1")
    web.remove()
    other = an_lrp()
    other.domain = "other"
    desire = c.DesireLrp(desired_lrp=other, definition=b"v2")
    assert web.board.say("user/ann", desire_lrp=desire).reason == "InvalidRequest"


class TestBeforeFormat2:
    """The cluster still has members of the first release: what they decide is decided."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Iterator[Web]:
        board = Board.open(tmp_path, cluster_format=1).with_brain().with_cell("c1")
        web = Web(board)
        assert not web.desire(b"v1")
        yield web
        board.environment.close()

    def test_there_are_no_versions(self, old: Web) -> None:
        assert not old.desire(b"v2")
        assert not old.scale(4)
        row = old.row()
        assert (row.version, row.scaled_revision, row.HasField("rollout")) == (0, 0, False)
        assert old.versions() == []

    def test_the_old_definition_goes_unless_it_runs(self, old: Web) -> None:
        first = old.row().definition_revision
        assert not old.desire(b"v2")
        assert old.definition(first) is None

    def test_a_removed_lrp_is_gone_at_once(self, old: Web) -> None:
        old.running("c1")
        assert not old.remove()
        assert old.is_gone()

    def test_an_instance_is_retired_whatever_runs(self, old: Web) -> None:
        row = old.suspect("c1")
        assert not old.repair("retire_instance", row)

    def test_the_new_commands_are_refused(self, old: Web) -> None:
        assert old.control(Verb.STOP).reason == "InvalidRequest"
        assert old.retire_index() == "InvalidRequest"

    def test_what_was_desired_then_is_version_1_and_stable_later(self, old: Web) -> None:
        before = old.row()
        raised = c.RaiseFormat(cluster_format=2)
        assert not old.board.say("bbs/m1", raise_format=raised).reason
        assert not old.desire(b"v2")
        assert [each.version for each in old.versions()] == [1, 2]
        assert old.outcomes() == ["STABLE", "CURRENT"]
        assert old.versions()[0].at == before.created_at
        assert old.row().rollout.stable_definition_revision == before.definition_revision
        assert not old.control(Verb.ROLLBACK).reason
        assert old.row().definition_revision == before.definition_revision
        assert old.definition() == b"v1"
