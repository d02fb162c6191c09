"""Rows in every state, and for each command one that is accepted: what the guards' tests vary.

`GOOD` says of a command in which scene it is good, who says it, and with which fields. Whatever it
compares is filled in from the rows as they are.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diegod.internal.v1 import command_pb2 as c
from diegod.v1.cell_pb2 import (
    ControlCellRequest,
)
from diegod.v1.definition_pb2 import (
    LrpDefinition,
)
from diegod.v1.lrp_pb2 import (
    ControlLrpRequest,
)
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    NetInfo,
    Task,
    TaskSchedule,
)
from diegod.v1.task_pb2 import (
    ControlScheduleRequest,
)
from tests.unit.raftbbs.core.board import (
    BEGIN,
    SECOND,
    Board,
    a_task,
    an_lrp,
)

ANN, BRAIN, C1, BBS = "user/ann", "brain/b1", "cell/c1", "bbs/m1"


#: Commands of the brain whose `row_revision` is the LRP's.
OF_ROLLOUTS = ("finish_rollout", "await_promotion", "fail_rollout", "forget_lrp")

NIGHTLY = "nightly"
#: A slot of it that comes soon.
SLOT_NS = BEGIN + 60 * SECOND
#: Commands of the brain whose `row_revision` is the schedule's, or the task's.
OF_SCHEDULES = ("fire_schedule", "skip_slots")
OF_CALLBACKS = ("claim_callback", "finish_callback", "reopen_task")


def a_told_task() -> Task:
    """A task whose end somebody wants to be told of; its record is not kept for that."""
    task = a_task()
    task.callback.url = "http://ci.example.com/hook"
    task.callback.backoff_ms, task.callback.max_backoff_ms = 1000, 4000
    return task


def a_schedule(name: str = NIGHTLY, domain: str = "default") -> TaskSchedule:
    made = Task(domain=domain, max_placement_attempts=3)
    return TaskSchedule(name=name, domain=domain, cron="* * * * *", task=made)


class Scene:
    """A board with a brain, two cells, a task t1 and an LRP web/0 as far as they are wanted."""

    def __init__(self, folder: Path) -> None:
        self.board = Board.open(folder).with_brain().with_cell("c1").with_cell("c2")
        self._done(ANN, desire_lrp=c.DesireLrp(desired_lrp=an_lrp(), definition=b"v1"))
        self._done(ANN, desire_task=c.DesireTask(task=a_told_task(), definition=b"d"))

    def close(self) -> None:
        self.board.environment.close()

    def good(self, kind: str, **changed: object) -> tuple[str, Any]:
        """Who says a command that is accepted now, and the command, with some fields changed."""
        _, by, fields = GOOD[kind]
        body = getattr(c, c.Command.DESCRIPTOR.fields_by_name[kind].message_type.name)()
        compared = {
            "task_guid": "t1",
            "process_guid": "web",
            "instance_guid": self.instance().instance_guid if self._has_instance() else "",
            "row_revision": self._row_revision(kind),
            "desired_revision": self._desired_revision(),
            "attempt": self.board.task("t1").attempt,
        }
        for name, value in (compared | fields | changed).items():
            if name not in body.DESCRIPTOR.fields_by_name:
                continue
            if hasattr(value, "CopyFrom"):
                getattr(body, name).CopyFrom(value)
            else:
                setattr(body, name, value)
        return by, body

    def say(self, by: str, kind: str, body: Any, **more: Any) -> c.Outcome:
        return self.board.say(by, incarnation=self._incarnation(by), **{kind: body, **more})

    def carried_out(self, kind: str, **changed: object) -> c.Outcome:
        """Say the good command."""
        by, body = self.good(kind, **changed)
        outcome = self.say(by, kind, body)
        assert not outcome.reason, f"{kind}: {outcome.message}"
        return outcome

    def task(self) -> Task:
        return self.board.task("t1")

    def instance(self) -> ActualLrp:
        """The oldest one."""
        return self.board.state().instances("web")[0]

    def lose_cell(self, cell_id: str = "c1") -> None:
        cell = self.board.state().cell(cell_id)
        assert cell is not None
        expire = c.ExpireCell(cell_id=cell_id, incarnation=cell.incarnation)
        self._done(BBS, expire_cell=expire)

    def _has_instance(self) -> bool:
        return bool(self.board.state().instances("web"))

    def schedule(self) -> TaskSchedule:
        row = self.board.state().task_schedule(NIGHTLY)
        assert row is not None
        return row

    def _row_revision(self, kind: str) -> int:
        if kind in OF_SCHEDULES:
            return self.schedule().provenance.revision
        if kind in OF_CALLBACKS:
            return self.task().provenance.revision
        if kind in OF_ROLLOUTS:
            return self._desired_revision()
        if "task" in kind:
            return self.task().provenance.revision
        return self.instance().provenance.revision if self._has_instance() else 0

    def _desired_revision(self) -> int:
        desired = self.board.state().desired_lrp("web")
        return 0 if desired is None else desired.provenance.revision

    def _incarnation(self, by: str) -> int:
        cell = self.board.state().cell(by.partition("/")[2]) if by.startswith("cell/") else None
        return 0 if cell is None else cell.incarnation

    def _done(self, by: str, **command: Any) -> None:
        outcome = self.board.say(by, **command)
        assert not outcome.reason, outcome.message


# How far the rows are.


def _after(*kinds: str) -> Callable[[Scene], None]:
    def bring(scene: Scene) -> None:
        for kind in kinds:
            scene.carried_out(kind)

    return bring


def _suspect(scene: Scene) -> None:
    _running_instance(scene)
    scene.lose_cell()
    scene.carried_out("suspect_instance")


def _suspect_whose_cell_is_back(scene: Scene) -> None:
    _suspect(scene)
    scene.board.with_cell("c1")


def _running_instance_of_a_lost_cell(scene: Scene) -> None:
    _running_instance(scene)
    scene.lose_cell()


def _suspect_beside_a_lost_replacement(scene: Scene) -> None:
    _suspect(scene)
    scene.carried_out("create_instance")
    _bring_up(scene, scene.board.state().instances("web")[-1].instance_guid, "c2")
    scene.lose_cell("c2")


def _bring_up(scene: Scene, guid: str, cell_id: str) -> None:
    """Placed, claimed and started: an instance that is not the oldest."""
    row = scene.board.state().actual_lrp(guid)
    assert row is not None
    scene.carried_out(
        "place_instance",
        instance_guid=guid,
        row_revision=row.provenance.revision,
        cell_id=cell_id,
    )
    for kind in ("claim_instance", "start_instance"):
        _, body = scene.good(kind, instance_guid=guid)
        assert not scene.say(f"cell/{cell_id}", kind, body).reason


def _replaced_suspect(scene: Scene) -> None:
    _suspect_whose_cell_is_back(scene)
    scene.carried_out("create_instance")
    _bring_up(scene, scene.board.state().instances("web")[-1].instance_guid, "c2")


def _for_a_cell(scene: Scene) -> None:
    """A GLOBAL LRP, and its instance for cell c2."""
    everywhere = an_lrp()
    everywhere.mode = LrpDefinition.GLOBAL
    scene.carried_out("desire_lrp", desired_lrp=everywhere)
    scene.carried_out("create_instance", cell_id="c2")


pending = _after()
placed = _after("place_task")
running = _after("place_task", "start_task")
completed = _after("place_task", "start_task", "complete_task")
cancelled_before = _after("cancel_task")

_running_instance = _after(
    "create_instance", "place_instance", "claim_instance", "start_instance"
)
_evacuating = _after(
    *("create_instance", "place_instance", "claim_instance", "start_instance"),
    "evacuate_instance",
)
SCENES: dict[str, Callable[[Scene], None]] = {
    "pending": pending,
    "placed": placed,
    "running": running,
    "completed": completed,
    "cancelled before it was placed": cancelled_before,
    "no instance": _after(),
    "unclaimed": _after("create_instance"),
    "placed instance": _after("create_instance", "place_instance"),
    "claimed": _after("create_instance", "place_instance", "claim_instance"),
    "running instance": _running_instance,
    "running instance of a lost cell": _running_instance_of_a_lost_cell,
    "suspect": _suspect,
    "suspect whose cell is back": _suspect_whose_cell_is_back,
    "suspect beside a lost replacement": _suspect_beside_a_lost_replacement,
    "suspect whose replacement runs": _replaced_suspect,
    "evacuating": _evacuating,
    "for a cell": _for_a_cell,
    "removing": _after("create_instance", "remove_lrp"),
    "removed but for its row": _after("create_instance", "remove_lrp", "retire_instance"),
    "rolled out": _after("finish_rollout"),
    "canaries": _after("await_promotion"),
    "crashed": _after(
        "create_instance", "place_instance", "claim_instance", "start_instance", "crash_instance"
    ),
}

_ON_C1 = {"cell_id": "c1", "cell_incarnation": 1}
#: command -> the scene it is good in, who says it, and its fields.
GOOD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "desire_task": ("pending", ANN, {"task": a_task("t2"), "definition": b"d"}),
    "cancel_task": ("pending", ANN, {}),
    "delete_task": ("completed", ANN, {}),
    "place_task": ("pending", BRAIN, _ON_C1),
    "refuse_task": ("pending", BRAIN, {"placement_error": "no room"}),
    "withdraw_task": ("placed", BRAIN, {}),
    "fail_task": ("placed", BRAIN, {"failure_reason": "why"}),
    "expire_task": ("completed", BRAIN, {}),
    "start_task": ("placed", C1, {}),
    "reject_task": ("running", C1, {"rejection_reason": "why"}),
    "complete_task": ("running", C1, {"exit_status_known": True}),
    "desire_lrp": ("no instance", ANN, {"desired_lrp": an_lrp(), "definition": b"v2"}),
    "scale_lrp": ("no instance", ANN, {"instances": 5}),
    "remove_lrp": ("no instance", ANN, {}),
    "control_lrp": ("no instance", ANN, {"verb": ControlLrpRequest.RESTART}),
    "retire_index": ("running instance", ANN, {"index": 0}),
    "finish_rollout": ("no instance", BRAIN, {}),
    "await_promotion": ("no instance", BRAIN, {}),
    "fail_rollout": ("no instance", BRAIN, {"reason": "why"}),
    "forget_lrp": ("removed but for its row", BRAIN, {}),
    "create_instance": ("no instance", BRAIN, {}),
    "place_instance": ("unclaimed", BRAIN, _ON_C1),
    "refuse_instance": ("unclaimed", BRAIN, {"placement_error": "no room"}),
    "withdraw_instance": ("placed instance", BRAIN, {}),
    "unclaim_instance": ("crashed", BRAIN, {}),
    "suspect_instance": ("running instance of a lost cell", BRAIN, {}),
    "unsuspect_instance": ("suspect whose cell is back", BRAIN, {}),
    "evacuate_instance": ("running instance", BRAIN, {}),
    "reinstate_instance": ("evacuating", BRAIN, {}),
    "retire_instance": ("running instance", BRAIN, {}),
    "claim_instance": ("placed instance", C1, {}),
    "start_instance": (
        "claimed",
        C1,
        {"net_info": NetInfo(address="10.0.0.1"), "routable": True},
    ),
    "crash_instance": ("running instance", C1, {"crash_reason": "why"}),
    "remove_instance": ("running instance", C1, {}),
    "reject_instance": ("placed instance", C1, {"rejection_reason": "why"}),
    "register_cell": ("pending", C1, {"cell": Cell(cell_id="c1", zone="z1")}),
    "expire_cell": ("pending", BBS, {"cell_id": "c1", "incarnation": 1}),
    "control_cell": ("pending", ANN, {"cell_id": "c1", "verb": ControlCellRequest.CORDON}),
    "acquire_lock": ("pending", BRAIN, {"name": "another"}),
    "expire_lock": ("pending", BBS, {"name": "brain", "token": 1}),
    "release_lock": ("pending", BRAIN, {"name": "brain", "token": 1}),
    "upsert_domain": ("pending", ANN, {"domain": "d"}),
}

SCENES |= {
    "resolving": _after("place_task", "start_task", "complete_task", "resolve_task"),
    "being told": _after("place_task", "start_task", "complete_task", "claim_callback"),
    "told": _after(
        "place_task", "start_task", "complete_task", "claim_callback", "finish_callback"
    ),
    "scheduled": _after("desire_schedule"),
    "fired": _after("desire_schedule", "fire_schedule"),
    "paused": _after("desire_schedule", "control_schedule"),
    "a domain": _after("upsert_domain"),
}
_NAMED = {"name": NIGHTLY}
GOOD |= {
    "resolve_task": ("completed", ANN, {}),
    "claim_callback": ("completed", BRAIN, {}),
    "finish_callback": ("being told", BRAIN, {"delivered": True, "http_status": 204}),
    "reopen_task": ("resolving", BRAIN, {}),
    "desire_schedule": (
        "pending",
        ANN,
        {"schedule": a_schedule(), "definition": b"s", "task_definition": b""},
    ),
    "control_schedule": ("scheduled", ANN, _NAMED | {"verb": ControlScheduleRequest.PAUSE}),
    "fire_schedule": ("scheduled", BRAIN, _NAMED | {"slot_ns": SLOT_NS}),
    "skip_slots": ("scheduled", BRAIN, _NAMED | {"slot_ns": SLOT_NS, "count": 1}),
    "remove_domain": ("a domain", ANN, {"domain": "d"}),
}
