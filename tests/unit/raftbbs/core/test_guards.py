"""Every compare-and-set of every command: a good command is carried out; with one thing that is not
as its speaker believed it is refused, for that reason, and changes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs import core
from diegod.v1.cell_pb2 import ControlCellRequest
from diegod.v1.record_pb2 import Task
from tests.unit.raftbbs.core.board import a_task, an_lrp
from tests.unit.raftbbs.core.scenes import (
    ANN,
    GOOD,
    OF_CALLBACKS,
    OF_ROLLOUTS,
    OF_SCHEDULES,
    SCENES,
    Scene,
    a_schedule,
    a_told_task,
)

CONFLICT, ILLEGAL = "ResourceConflict", "InvalidStateTransition"

#: Commands that are of no scene here: test_adoption.py, test_membership.py, test_formats.py.
ELSEWHERE = ("adopt_instance", "change_members", "raise_format")


@dataclass(frozen=True)
class Case:
    """What is not as it was believed: in another scene, by another cell, with another field."""

    guard: str
    command: str
    reason: str
    scene: str = ""
    by: str = ""
    fields: Callable[[Scene], dict[str, object]] = lambda scene: {}
    before: Callable[[Scene], object] = lambda scene: None

    def __str__(self) -> str:
        return f"{self.command}/{self.guard}"


def _older(scene: Scene, command: str) -> dict[str, object]:
    _, body = scene.good(command)
    return {"row_revision": body.row_revision - 1}


def _revision(command: str) -> Case:
    return Case("row_revision", command, CONFLICT, fields=lambda scene: _older(scene, command))


def _state(command: str, scene: str, reason: str = ILLEGAL) -> Case:
    return Case("state", command, reason, scene)


def _cell(command: str, reason: str) -> Case:
    return Case("cell", command, reason, by="cell/c2")


def _attempt(command: str) -> Case:
    def earlier(scene: Scene) -> dict[str, object]:
        return {"attempt": scene.task().attempt - 1}

    return Case("attempt", command, "WrongAttempt", fields=earlier)


def _incarnation(command: str) -> Case:
    of_another_life: dict[str, object] = {"cell_incarnation": 2}
    return Case("cell_incarnation", command, "StaleIncarnation", fields=lambda s: of_another_life)


def _place_elsewhere(scene: Scene) -> None:
    scene.carried_out("place_task", cell_id="c2")


def _place_instance_elsewhere(scene: Scene) -> None:
    scene.carried_out("place_instance", cell_id="c2")


def _ask_to_stop(scene: Scene) -> None:
    scene.carried_out("retire_instance")


def _cordon(scene: Scene) -> None:
    scene.carried_out("control_cell")


def _verb(verb: int) -> Callable[[Scene], dict[str, object]]:
    return lambda scene: {"verb": verb}


def _newest(scene: Scene) -> dict[str, object]:
    row = scene.board.state().instances("web")[-1]
    return {"instance_guid": row.instance_guid, "row_revision": row.provenance.revision}


def _cannot(verb: str) -> str:
    return f"ActualLRPCannotBe{verb}"


CASES = [
    # Repairs name the revision of the row that they were decided on.
    *map(_revision, ("place_task", "refuse_task", "withdraw_task", "fail_task", "expire_task")),
    *map(_revision, ("place_instance", "refuse_instance", "withdraw_instance", "unclaim_instance")),
    *map(_revision, ("suspect_instance", "unsuspect_instance", "retire_instance")),
    *map(_revision, ("evacuate_instance", "reinstate_instance", *OF_ROLLOUTS)),
    Case("desired_revision", "create_instance", CONFLICT, fields=lambda s: {"desired_revision": 1}),
    Case("expected_revision", "desire_lrp", CONFLICT, fields=lambda s: {"expected_revision": 1}),
    Case("expected_revision", "scale_lrp", CONFLICT, fields=lambda s: {"expected_revision": 1}),
    Case("expected_revision", "control_lrp", CONFLICT, fields=lambda s: {"expected_revision": 1}),
    # Nothing leaves the table of states.
    _state("place_task", "cancelled before it was placed"),
    _state("refuse_task", "cancelled before it was placed"),
    _state("withdraw_task", "running"),
    _state("fail_task", "completed"),
    _state("expire_task", "running"),
    _state("start_task", "completed"),
    _state("reject_task", "completed"),
    _state("complete_task", "placed"),
    _state("delete_task", "running"),
    _state("place_instance", "crashed"),
    _state("refuse_instance", "running instance"),
    _state("withdraw_instance", "claimed"),
    _state("unclaim_instance", "running instance", _cannot("Unclaimed")),
    _state("suspect_instance", "crashed"),
    _state("unsuspect_instance", "crashed"),
    _state("evacuate_instance", "claimed"),
    _state("reinstate_instance", "claimed"),
    _state("finish_rollout", "rolled out"),
    _state("await_promotion", "canaries"),
    _state("fail_rollout", "rolled out"),
    _state("forget_lrp", "no instance"),
    _state("claim_instance", "running instance", _cannot("Claimed")),
    _state("start_instance", "placed instance", _cannot("Started")),
    _state("crash_instance", "placed instance", _cannot("Crashed")),
    _state("remove_instance", "placed instance", _cannot("Removed")),
    _state("reject_instance", "running instance"),
    # A cell names the attempt, and speaks of what is on it.
    *map(_attempt, ("start_task", "reject_task", "complete_task")),
    _cell("start_task", "WrongAttempt"),
    _cell("reject_task", "RunningOnDifferentCell"),
    _cell("complete_task", "RunningOnDifferentCell"),
    _cell("claim_instance", _cannot("Claimed")),
    *(
        _cell(f"{verb}_instance", "RunningOnDifferentCell")
        for verb in ("start", "crash", "remove", "reject")
    ),
    Case("cell", "register_cell", "PermissionDenied", by="cell/c2"),
    # A placement names the registration of its cell, and nothing is placed twice.
    _incarnation("place_task"),
    _incarnation("place_instance"),
    Case("cell_present", "place_task", "CellMissing", before=Scene.lose_cell),
    Case("cell_present", "place_instance", "CellMissing", before=Scene.lose_cell),
    Case("placed", "place_task", CONFLICT, before=_place_elsewhere),
    Case("placed", "place_instance", CONFLICT, before=_place_instance_elsewhere),
    # One ordinary instance an index; suspects only of cells that are lost.
    Case("ordinary", "create_instance", "ResourceExists", "unclaimed"),
    Case(
        "ordinary",
        "unsuspect_instance",
        CONFLICT,
        before=lambda scene: scene.carried_out("create_instance"),
    ),
    Case("cell_missing", "suspect_instance", CONFLICT, "running instance"),
    Case("cell_present", "unsuspect_instance", "CellMissing", "suspect"),
    Case(
        "one_suspect",
        "suspect_instance",
        CONFLICT,
        "suspect beside a lost replacement",
        fields=_newest,
    ),
    # Instances serve until others do; what evacuates is on a cell that is there.
    Case("cell_present", "evacuate_instance", "CellMissing", before=Scene.lose_cell),
    Case("cell_present", "reinstate_instance", "CellMissing", before=Scene.lose_cell),
    Case("cell_present", "retire_index", "CellMissing", before=Scene.lose_cell),
    Case("stopping", "evacuate_instance", CONFLICT, before=_ask_to_stop),
    Case("presence", "reinstate_instance", ILLEGAL, "running instance"),
    Case("presence", "unsuspect_instance", ILLEGAL, "evacuating"),
    Case(
        "ordinary",
        "reinstate_instance",
        CONFLICT,
        before=lambda scene: scene.carried_out("create_instance"),
    ),
    Case("evacuating", "retire_instance", CONFLICT, "evacuating"),
    Case("suspect", "retire_instance", CONFLICT, "suspect"),
    Case("replaced", "start_instance", _cannot("Started"), "suspect whose replacement runs"),
    # What operators say of cells, and people of LRPs.
    Case("cordoned", "place_task", CONFLICT, before=_cordon),
    Case("cordoned", "place_instance", CONFLICT, before=_cordon),
    Case("for_cell", "place_instance", CONFLICT, "for a cell"),
    Case("mode", "create_instance", "InvalidRequest", fields=lambda s: {"cell_id": "c1"}),
    Case("cell_missing", "control_cell", ILLEGAL, fields=_verb(ControlCellRequest.REMOVE)),
    Case("cell_lost", "control_cell", ILLEGAL, fields=_verb(ControlCellRequest.ACCEPT_LOSS)),
    Case("instances", "forget_lrp", CONFLICT, "removing"),
    *(
        Case("removing", kind, ILLEGAL, "removing")
        for kind in ("scale_lrp", "control_lrp", "retire_index")
    ),
    Case("removing", "create_instance", ILLEGAL, "removed but for its row"),
    *(
        Case("removing", kind, ILLEGAL, "removed but for its row")
        for kind in ("finish_rollout", "await_promotion", "fail_rollout")
    ),
    # Leases and locks.
    Case("incarnation", "expire_cell", "StaleIncarnation", fields=lambda s: {"incarnation": 2}),
    Case("token", "expire_lock", "LockCollision", fields=lambda s: {"token": 2}),
    Case("token", "release_lock", "LockCollision", fields=lambda s: {"token": 2}),
    Case("owner", "release_lock", "LockCollision", by="brain/b2"),
    Case("owner", "acquire_lock", "LockCollision", fields=lambda s: {"name": "brain"}),
    # What people desire is not replaced unawares.
    Case(
        "definition",
        "desire_task",
        "ResourceExists",
        fields=lambda s: {"task": a_task("t1"), "definition": b"other"},
    ),
    Case(
        "domain",
        "desire_lrp",
        "InvalidRequest",
        fields=lambda s: {"desired_lrp": _of_another_domain()},
    ),
]


def _told_until_heard(scene: Scene) -> None:
    """Its policy gives up only by itself: so the record stays."""
    task = a_told_task()
    task.task_guid, task.callback.give_up_after_ms = "t2", 60_000
    scene.carried_out("desire_task", task=task)
    scene.carried_out("cancel_task", task_guid="t2")


def _second_task(scene: Scene) -> dict[str, object]:
    return {"task_guid": "t2", "row_revision": scene.board.task("t2").provenance.revision}


def _deleted(scene: Scene) -> None:
    scene.carried_out("desire_task")
    scene.carried_out("cancel_task", task_guid="t2")
    scene.carried_out("delete_task", task_guid="t2")


def _of_one_cell(scene: Scene) -> None:
    task = a_task("t2")
    task.needs.cell_id = "c2"
    scene.carried_out("desire_task", task=task)


CASES += [
    # Tasks whose end is told, and what a schedule makes.
    *map(_revision, (*OF_CALLBACKS, *OF_SCHEDULES)),
    Case(
        "expected_revision", "desire_schedule", CONFLICT, fields=lambda s: {"expected_revision": 1}
    ),
    _state("resolve_task", "being told"),
    _state("claim_callback", "resolving"),
    _state("finish_callback", "completed"),
    _state("reopen_task", "completed"),
    Case("untold", "claim_callback", ILLEGAL, "told"),
    Case("untold", "expire_task", ILLEGAL, before=_told_until_heard, fields=_second_task),
    Case("kept_guid", "desire_task", "ResourceExists", before=_deleted),
    Case("only_cell", "place_task", CONFLICT, before=_of_one_cell, fields=_second_task),
    *(Case("slot", kind, ILLEGAL, "fired") for kind in OF_SCHEDULES),
    *(Case("not_paused", kind, ILLEGAL, "paused") for kind in OF_SCHEDULES),
    Case(
        "schedule_domain",
        "desire_schedule",
        "InvalidRequest",
        "scheduled",
        fields=lambda s: {"schedule": a_schedule(domain="other"), "definition": b"other"},
    ),
    Case(
        "there",
        "control_schedule",
        "ResourceNotFound",
        fields=lambda s: {"name": "nowhere"},
    ),
]


def _of_another_domain() -> Any:
    other = an_lrp()
    other.domain = "other"
    return other


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_each_command_has_a_good_form() -> None:
    assert sorted([*GOOD, *ELSEWHERE]) == sorted(core.RULES)


def test_whatever_a_command_compares_is_tried() -> None:
    """By the fields of the commands, so that a new one can't be forgotten."""
    comparing = {
        *("row_revision", "desired_revision", "expected_revision"),
        *("attempt", "cell_incarnation", "incarnation", "token"),
    }
    of_commands = {
        f"{kind}/{field.name}"
        for kind in GOOD
        for field in c.Command.DESCRIPTOR.fields_by_name[kind].message_type.fields
        if field.name in comparing
    }
    assert of_commands <= {str(case) for case in CASES}


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_good_command_is_carried_out(scene: Scene, kind: str) -> None:
    SCENES[GOOD[kind][0]](scene)
    before = scene.board.state().counters().revision
    scene.carried_out(kind)
    assert scene.board.state().counters().revision == before + 1


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_not_as_it_was_believed_is_refused(scene: Scene, case: Case) -> None:
    SCENES[case.scene or GOOD[case.command][0]](scene)
    case.before(scene)
    by, body = scene.good(case.command, **case.fields(scene))
    before = scene.board.state().counters().revision
    outcome = scene.say(case.by or by, case.command, body)
    assert outcome.reason == case.reason
    assert scene.board.state().counters().revision == before


OF_BRAINS = [kind for kind in sorted(GOOD) if GOOD[kind][1] == "brain/b1" and "lock" not in kind]
OF_CELLS = [kind for kind in sorted(GOOD) if GOOD[kind][1] == "cell/c1" and kind != "register_cell"]


@pytest.mark.parametrize("kind", OF_BRAINS)
@pytest.mark.parametrize("lacking", ["token", "owner"])
def test_a_brain_speaks_under_the_lock_that_it_holds(
    scene: Scene, kind: str, lacking: str
) -> None:
    SCENES[GOOD[kind][0]](scene)
    by, body = scene.good(kind)
    if lacking == "token":
        scene.board.lock_token += 1
    outcome = scene.say("brain/b2" if lacking == "owner" else by, kind, body)
    assert outcome.reason == "LockCollision"


@pytest.mark.parametrize("kind", OF_BRAINS)
def test_a_lock_that_is_lost_in_the_same_entry_is_lost(scene: Scene, kind: str) -> None:
    """At the time that the command was taken the token was good; where it is applied, it is not."""
    SCENES[GOOD[kind][0]](scene)
    by, body = scene.good(kind)
    expire = c.Command(by="bbs/m1", expire_lock=c.ExpireLock(name="brain", token=1))
    late = c.Command(by=by, lock_name="brain", lock_token=1, **{kind: body})  # type: ignore[arg-type]
    outcomes = scene.board.entry(expire, late).outcomes
    assert [outcome.reason for outcome in outcomes] == ["", "LockCollision"]


@pytest.mark.parametrize("kind", OF_CELLS)
def test_a_cell_speaks_under_its_present_registration(scene: Scene, kind: str) -> None:
    SCENES[GOOD[kind][0]](scene)
    by, body = scene.good(kind)
    scene.board.with_cell("c1")
    old = scene.board.say(by, incarnation=1, **{kind: body})
    assert old.reason == "StaleIncarnation"


@pytest.mark.parametrize("kind", OF_CELLS)
def test_a_cell_that_is_missed_is_not_heard(scene: Scene, kind: str) -> None:
    SCENES[GOOD[kind][0]](scene)
    by, body = scene.good(kind)
    scene.lose_cell()
    assert scene.say(by, kind, body).reason == "CellMissing"


def test_what_has_ended_is_not_cancelled_any_more(scene: Scene) -> None:
    SCENES["completed"](scene)
    outcome = scene.say(ANN, "cancel_task", c.CancelTask(task_guid="t1"))
    assert outcome.unchanged
    assert not scene.task().failed


def test_a_second_result_changes_nothing(scene: Scene) -> None:
    SCENES["completed"](scene)
    by, body = scene.good("complete_task", failed=True, failure_reason="no", exit_status=7)
    assert scene.say(by, "complete_task", body).unchanged
    assert (scene.task().state, scene.task().exit_status) == (Task.COMPLETED, 0)


RETRIED = [
    *("resolve_task", "desire_schedule", "control_schedule", "upsert_domain", "fire_schedule"),
    *("control_lrp", "retire_index", "control_cell", "evacuate_instance", "finish_rollout"),
    *("scale_lrp", "desire_lrp", "place_task", "withdraw_task", "reject_task", "claim_instance")
]


@pytest.mark.parametrize("kind", RETRIED)
def test_a_request_that_is_repeated_is_answered_as_before(scene: Scene, kind: str) -> None:
    """Though what it compares is not so any more: it was this very request that changed it."""
    SCENES[GOOD[kind][0]](scene)
    changed = {"expected_revision": scene._desired_revision()} if "lrp" in kind else {}
    by, body = scene.good(kind, **changed)
    first = scene.say(by, kind, body, request_id="r1")
    again = scene.say(by, kind, body, request_id="r1")
    assert (first.reason, again.reason) == ("", "")
    assert again.unchanged
    assert again.revision == first.revision == scene.board.state().counters().revision


@pytest.mark.parametrize("kind", ["scale_lrp", "desire_lrp"])
def test_a_request_id_of_somebody_else_answers_nothing(scene: Scene, kind: str) -> None:
    expected = scene._desired_revision()
    by, body = scene.good(kind, expected_revision=expected)
    assert not scene.say(by, kind, body, request_id="r1").reason
    assert scene.say("user/bob", kind, body, request_id="r1").reason == CONFLICT
