"""The compare-and-sets of the commands, each of them blind for one thing that it compares.

A blind rule sees the command, its speaker, or the rows as they would have to be for that one guard
to let it through; the rest of it is the product's.
"""

from collections.abc import Callable, Iterator
from typing import Any

from diegod.raftbbs.core.requests import _row_of
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell
from tests.mutants.mutant import RING, Mutant
from tests.mutants.seen import Seen, cleared, having
from tests.mutants.surgery import Install, around, rule

_REFUSES = "core/test_guards.py::test_what_is_not_as_it_was_believed_is_refused"


# Each of these makes a rule blind: (rule, view, command, context) -> decision.


def _revision(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    row = _row_of(view, kind, command)
    if row is not None:
        command.row_revision = row.provenance.revision
    return rule(view, command, context)


def _desired_revision(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    desired = view.desired_lrp(command.process_guid)
    if desired is not None:
        command.desired_revision = desired.provenance.revision
    return rule(view, command, context)


def _expected_revision(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    command.expected_revision = 0
    return rule(view, command, context)


def _attempt(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    task = view.task(command.task_guid)
    if task is not None:
        command.attempt = task.attempt
    return rule(view, command, context)


def _cell(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    """Whoever speaks counts as the cell that the row is on."""
    row: Any = _row_of(view, kind, command)
    holder = (row.cell_id or row.placed_cell_id) if row is not None else ""
    return rule(view, command, context._replace(by=f"cell/{holder}") if holder else context)


def _own_cell(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    return rule(view, command, context._replace(by=f"cell/{command.cell.cell_id}"))


def _cell_incarnation(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    cell = view.cell(command.cell_id)
    if cell is not None:
        command.cell_incarnation = cell.incarnation
    return rule(view, command, context)


def _incarnation(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    cell = view.cell(command.cell_id)
    if cell is not None:
        command.incarnation = cell.incarnation
    return rule(view, command, context)


def _token(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    lock = view.lock(command.name)
    if lock is not None:
        command.token = lock.token
    return rule(view, command, context)


def _owner(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    lock = view.lock(command.name)
    return rule(view, command, context._replace(by=lock.owner) if lock is not None else context)


def _seeing(**instead: Callable[[Any], Any]) -> Any:
    return lambda rule, view, command, context, kind: rule(Seen(view, **instead), command, context)


def _definition(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    return rule(Seen(view, task_definition=lambda _: command.definition), command, context)


def _domain(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    same = having(domain=command.desired_lrp.domain)
    return rule(Seen(view, desired_lrp=same), command, context)


def _unwanted_while(presence: Any) -> Any:
    """An instance of this presence counts as one that nobody wants."""

    def blind(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
        row = view.actual_lrp(command.instance_guid)
        is_it = row is not None and row.presence == presence
        seen = Seen(view, desired_lrp=lambda _: None) if is_it else view
        return rule(seen, command, context)

    return blind


def _for_no_cell(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    def free(row: Any) -> Any:
        if row is not None:
            row.needs.cell_id = ""
        return row

    return rule(Seen(view, actual_lrp=free), command, context)


def _of_the_other_mode(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    mode = LrpDefinition.GLOBAL if command.cell_id else LrpDefinition.REPLICATED
    return rule(Seen(view, desired_lrp=having(mode=mode)), command, context)


_present = _seeing(cell=having(state=Cell.PRESENT))
_missing = _seeing(cell=having(state=Cell.MISSING))
_placed = _seeing(task=having(placed_cell_id=""), actual_lrp=having(placed_cell_id=""))
_ordinary = _seeing(instances_at=lambda rows: [])
_uncordoned = _seeing(cell=having(cordoned=False))
_kept = _seeing(desired_lrp=having(removing=False))
_empty = _seeing(has_instances=lambda _: False)
_not_stopping = _seeing(actual_lrp=having(stopping=False))
_evacuating = _seeing(actual_lrp=having(presence=ActualLrp.EVACUATING))
_unowned = _seeing(lock=having(owner=""))

_REPAIRS_OF_TASKS = ("place_task", "refuse_task", "withdraw_task", "fail_task", "expire_task")
_REPAIRS_OF_INSTANCES = tuple(
    f"{verb}_instance"
    for verb in (
        *("place", "refuse", "withdraw", "unclaim", "suspect", "unsuspect", "retire"),
        *("evacuate", "reinstate"),
    )
)
_OF_ROLLOUTS = ("finish_rollout", "await_promotion", "fail_rollout")
_RESULTS_OF_INSTANCES = tuple(f"{verb}_instance" for verb in ("start", "crash", "remove", "reject"))

#: What is compared -> by which commands, how each is made blind for it, and what that breaks.
_BLIND: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "row_revision": (
        (*_REPAIRS_OF_TASKS, *_REPAIRS_OF_INSTANCES, *_OF_ROLLOUTS, "forget_lrp"),
        _revision,
        "a repair is carried out on a row that has changed since it was decided",
    ),
    "desired_revision": (
        ("create_instance",),
        _desired_revision,
        "an instance is created for an LRP that was changed meanwhile",
    ),
    "expected_revision": (
        ("desire_lrp", "scale_lrp", "control_lrp"),
        _expected_revision,
        "what somebody else changed meanwhile is overwritten",
    ),
    "attempt": (
        ("start_task", "reject_task", "complete_task"),
        _attempt,
        "what a cell says of an earlier placement counts for the present one",
    ),
    "cell": (
        ("start_task", "reject_task", "complete_task", "claim_instance", *_RESULTS_OF_INSTANCES),
        _cell,
        "a cell speaks of what is on another one",
    ),
    "own_cell": (("register_cell",), _own_cell, "a cell registers another one"),
    "cell_incarnation": (
        ("place_task", "place_instance"),
        _cell_incarnation,
        "a placement goes to a cell that has registered again since",
    ),
    "cell_present": (
        (
            *("place_task", "place_instance", "unsuspect_instance"),
            *("evacuate_instance", "reinstate_instance", "retire_index"),
        ),
        _present,
        "a cell that is missing counts as present",
    ),
    "cell_missing": (
        ("suspect_instance",),
        _missing,
        "the instance of a present cell becomes a suspect",
    ),
    "cell_lost": (("control_cell",), _missing, "the loss of a present cell is accepted"),
    "cordoned": (("place_task", "place_instance"), _uncordoned, "a cordoned cell gets new work"),
    "for_cell": (
        ("place_instance",),
        _for_no_cell,
        "an instance that is for one cell is placed on another",
    ),
    "mode": (
        ("create_instance",),
        _of_the_other_mode,
        "an LRP that has instances anywhere gets one for a certain cell",
    ),
    "removing": (
        (
            *("scale_lrp", "control_lrp", "retire_index", "create_instance"),
            *("finish_rollout", "await_promotion", "fail_rollout"),
        ),
        _kept,
        "an LRP that is being removed goes on living",
    ),
    "instances": (("forget_lrp",), _empty, "an LRP is forgotten while it has instances"),
    "stopping": (
        ("evacuate_instance",),
        _not_stopping,
        "an instance that its cell was asked to stop counts on serving",
    ),
    "presence": (
        ("reinstate_instance",),
        _evacuating,
        "an instance that does not evacuate is reinstated",
    ),
    "evacuating": (
        ("retire_instance",),
        _unwanted_while(ActualLrp.EVACUATING),
        "an evacuating instance is stopped before its replacement runs",
    ),
    "suspect": (
        ("retire_instance",),
        _unwanted_while(ActualLrp.SUSPECT),
        "a suspect is removed before its replacement runs",
    ),
    "one_suspect": (
        ("suspect_instance",),
        _seeing(instances_at=lambda rows: []),
        "an index gets a second suspect",
    ),
    "replaced": (
        ("start_instance",),
        _seeing(instances_at=lambda rows: []),
        "a suspect comes back beside the replacement that runs",
    ),
    "placed": (("place_task", "place_instance"), _placed, "what is placed is placed once more"),
    "ordinary": (
        ("create_instance", "unsuspect_instance", "reinstate_instance"),
        _ordinary,
        "an index gets a second ordinary instance",
    ),
    "incarnation": (
        ("expire_cell",),
        _incarnation,
        "a cell that has registered again is missed because of its former life",
    ),
    "token": (
        ("expire_lock", "release_lock"),
        _token,
        "a lock is taken from whoever acquired it later",
    ),
    "owner": (("release_lock",), _owner, "somebody releases the lock of another"),
    "unowned": (("acquire_lock",), _unowned, "a lock that is held is acquired by a second owner"),
    "definition": (("desire_task",), _definition, "another definition passes for the same task"),
    "domain": (("desire_lrp",), _domain, "an LRP changes its domain unawares"),
}
_unslotted = _seeing(task_schedule=cleared("last_slot", "created_at"))
_running_on = _seeing(task_schedule=having(paused=False))
_of_any_cell = _seeing(task=cleared("needs"))


def _open(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    """Somebody counts as not told yet; or, for the record that waits for it, as told."""

    def seen(task: Any) -> Any:
        if task is not None:
            task.callback.delivered = kind == "expire_task"
        return task

    return rule(Seen(view, task=seen), command, context)


def _schedule_domain(rule: Any, view: Any, command: Any, context: Any, kind: str) -> Any:
    same = having(domain=command.schedule.domain)
    return rule(Seen(view, task_schedule=same), command, context)


_OF_SCHEDULES = ("fire_schedule", "skip_slots")
_OF_CALLBACKS = ("claim_callback", "finish_callback", "reopen_task")
#: The same of callbacks, kept guids and schedules.
_BLIND_OF_WHOLE_LIVES: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "row_revision": (
        (*_OF_CALLBACKS, *_OF_SCHEDULES),
        _revision,
        "what a brain saw before another one acted is done once more",
    ),
    "expected_revision": (
        ("desire_schedule",),
        _expected_revision,
        "a schedule that somebody else changed meanwhile is overwritten",
    ),
    "untold": (
        ("claim_callback", "expire_task"),
        _open,
        "who was told is told again, or a record goes before anybody was told",
    ),
    "kept_guid": (
        ("desire_task",),
        _seeing(tombstone=lambda _: None),
        "the guid of a task that was just deleted names another one",
    ),
    "only_cell": (("place_task",), _of_any_cell, "a task that is for one cell goes to another"),
    "slot": (_OF_SCHEDULES, _unslotted, "a slot is done twice"),
    "not_paused": (_OF_SCHEDULES, _running_on, "a paused schedule fires"),
    "schedule_domain": (
        ("desire_schedule",),
        _schedule_domain,
        "a schedule changes its domain unawares",
    ),
}
#: Where a case of the test has another name than the guard.
_CASE = {"own_cell": "cell", "unowned": "owner"}

#: What is retired may be in any state; what is reinstated evacuates, so it runs.
_IN_MANY_STATES = ("retire_instance", "reinstate_instance")
_STATES = {
    "task": (
        *(*_REPAIRS_OF_TASKS, "start_task", "reject_task", "complete_task", "delete_task"),
        *(*_OF_CALLBACKS, "resolve_task"),
    ),
    "actual_lrp": (
        *(each for each in _REPAIRS_OF_INSTANCES if each not in _IN_MANY_STATES),
        "claim_instance",
        *_RESULTS_OF_INSTANCES,
    ),
    "rollout": _OF_ROLLOUTS,
}
#: Guards whose loss the ring may come upon, too.
_IN_THE_RING = {"start_task/attempt", "start_task/state", "place_task/row_revision"}


def _blind() -> Iterator[Mutant]:
    for guard, (commands, blind, breaks) in (*_BLIND.items(), *_BLIND_OF_WHOLE_LIVES.items()):
        for command in commands:
            yield _of(command, guard, breaks, _of_rule(command, blind))


def _of_rule(command: str, blind: Any) -> Install:
    return rule(command, lambda *arguments: blind(*arguments, command))


def _any_state() -> Iterator[Mutant]:
    for kind, commands in _STATES.items():
        for command in commands:
            yield _of(
                command,
                "state",
                "it is carried out in a state that the table does not allow it in",
                around(f"models.{kind}_lifecycle:allows", _allowing(command)),
            )


def _allowing(command: str) -> Callable[..., bool]:
    return lambda allows, state, asked: asked == command or allows(state, asked)


def _of(command: str, guard: str, breaks: str, install: Install) -> Mutant:
    case = f"{command}/{_CASE.get(guard, guard)}"
    name = f"{command}/{guard}"
    chance = RING if name in _IN_THE_RING else None
    return Mutant(name, "core", breaks, install, (f"{_REFUSES}[{case}]",), chance, command)


GUARDS: tuple[Mutant, ...] = (*_blind(), *_any_state())
