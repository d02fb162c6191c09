"""Replacing attributes of the product: everywhere, counted, and undone."""

from typing import Any

import pytest

from diegod.raftbbs import core
from diegod.raftbbs.core import guards, instances, schedules, tasks
from diegod.raftbbs.raft import journal
from diegod.raftbbs.raft.elections import Elections
from diegod.raftbbs.raft.flow import Flow
from diegod.raftbbs.store.environment import Environment
from tests.mutants.surgery import Surgery, TargetVanished, never_fails, says


def test_a_function_is_replaced_wherever_it_was_imported() -> None:
    surgery, original = Surgery(), guards.stale_row
    surgery.around("raftbbs.core.guards:stale_row", says("replaced"))
    asked: list[Any] = [each.stale_row for each in (guards, instances, schedules)]
    assert [ask("task", "t1", 1, 2) for ask in asked] == ["replaced"] * 3
    assert surgery.reached == 3
    surgery.undo()
    assert guards.stale_row is instances.stale_row is schedules.stale_row is original


def test_methods_properties_and_class_methods_are_replaced() -> None:
    surgery = Surgery()
    flow = Flow(0)
    assert not flow.has_room
    surgery.around("raftbbs.raft.flow:Flow.has_room", says(True))
    surgery.around("raftbbs.raft.flow:Flow.clear", says("cleared"))
    surgery.around("raftbbs.store.environment:Environment.open", says("opened"))
    opened: Any = Environment.open
    cleared: Any = flow.clear
    assert (flow.has_room, cleared(), opened("x")) == (True, "cleared", "opened")
    surgery.undo()
    assert not flow.has_room
    assert surgery.reached == 3


def test_a_constant_is_changed_and_its_reader_is_watched() -> None:
    surgery = Surgery()
    surgery.value(
        "raftbbs.raft.journal:_RECENT_ENTRIES_MAX", 1, "raftbbs.raft.journal:Journal._remember"
    )
    assert journal._RECENT_ENTRIES_MAX == 1
    assert surgery.reached == 0
    surgery.undo()
    assert journal._RECENT_ENTRIES_MAX > 1


def test_the_rule_of_a_command_is_replaced() -> None:
    surgery, before = Surgery(), core.RULES["cancel_task"]
    surgery.rule("cancel_task", says("replaced"))
    role, rule = core.RULES["cancel_task"]
    answer: Any = rule(None, None, None)  # type: ignore[arg-type]
    assert (role, answer, surgery.reached) == ("user", "replaced", 1)
    surgery.undo()
    assert core.RULES["cancel_task"] == before


def test_an_override_is_taken_away() -> None:
    from pysyncobj import syncobj

    from diegod.raftbbs.raft.guarded import _Core

    surgery = Surgery()
    surgery.without("raftbbs.raft.guarded:_Core._SyncObj__loadDumpFile")
    inherited = vars(syncobj.SyncObj)["_SyncObj__loadDumpFile"]
    assert vars(_Core)["_SyncObj__loadDumpFile"].__wrapped__ is inherited
    surgery.undo()
    assert not hasattr(vars(_Core)["_SyncObj__loadDumpFile"], "__wrapped__")
    with pytest.raises(TargetVanished, match="overrides nothing"):
        surgery.without("raftbbs.raft.elections:Elections.leader_id")


def test_one_call_is_left_out() -> None:
    surgery = Surgery()
    with pytest.raises(TargetVanished, match="does not call nobody"):
        surgery.without_call("raftbbs.core.guards:stale_row", "nobody")
    surgery.without_call("raftbbs.core.tasks:delete", "not_found")
    view: Any = type("View", (), {"task": lambda self, guid: None})()
    assert tasks.delete(view, type("Command", (), {"task_guid": "t"}), None) is None  # type: ignore[arg-type]
    surgery.undo()


def test_the_mistakes_of_a_mutant_are_told_from_the_products_refusals() -> None:
    surgery = Surgery()
    mistaken: Any = lambda original, *args: args[0].nothing  # noqa: E731
    surgery.around("raftbbs.raft.elections:Elections.heard_leader", mistaken)
    with pytest.raises(AttributeError):
        Elections.heard_leader(object(), 1.0)  # type: ignore[arg-type]
    assert len(surgery.stumbled) == 1
    surgery.undo()
    refusing: Any = never_fails(ZeroDivisionError)
    assert refusing(lambda: 1 / 0) is None
