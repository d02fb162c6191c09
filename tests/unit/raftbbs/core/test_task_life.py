"""Whatever is said of a task, by whom and in whatever order: what always holds of its life.

Commands come twice, late and out of order: what a speaker names may be what it saw at any time
before. Held against them is a reference that knows nothing of the rules, only the versions of the
row as they follow one another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.internal.v1 import command_pb2 as c
from diegod.models import task_lifecycle
from diegod.v1.record_pb2 import Change, Task
from tests.unit.raftbbs.core.board import SECOND, Board, a_task

DAY_NS = 24 * 3600 * SECOND
GUID = "t1"
CELLS = ("c1", "c2")
STEPS = 150


@dataclass
class Life:
    """The versions of the row so far, as watchers heard of them."""

    now: Task | None = None
    granted: dict[int, tuple[str, int]] = field(default_factory=dict)  # attempt -> cell, token
    result: tuple[object, ...] = ()
    gone_at_ns: int = -1

    def hear(self, change: Change, command: str, at_ns: int) -> None:
        before = self.now
        task = None if change.verb == Change.REMOVED else change.task
        step = (before.state if before is not None else None, command)
        assert step in task_lifecycle.TRANSITIONS, step
        to = task.state if task is not None else None
        assert to in task_lifecycle.TRANSITIONS[step], (step, to)
        if before is None:
            self._begins(at_ns)
        if task is not None:
            self._goes_on(before, task, command)
        else:
            self.gone_at_ns = at_ns
        self.now = task

    def _begins(self, at_ns: int) -> None:
        assert self.gone_at_ns < 0 or at_ns >= self.gone_at_ns + DAY_NS
        self.result = ()

    def _goes_on(self, before: Task | None, task: Task, command: str) -> None:
        was = before.state if before is not None else Task.INVALID
        if task.state == Task.RUNNING and was != Task.RUNNING:
            assert task.attempt not in self.granted
            self.granted[task.attempt] = (task.cell_id, task.fencing_token)
        if was == Task.RUNNING and task.state == Task.PENDING:
            assert command == "reject_task"
            assert task.attempt == 0
        if task.state in (Task.COMPLETED, Task.RESOLVING):
            result = (task.failed, task.failure, task.failure_reason, task.exit_status, task.result)
            assert self.result in ((), result)
            self.result = result


SAYINGS = (
    *("desire", "place", "start", "complete", "reject", "withdraw", "refuse", "fail", "cancel"),
    *("resolve", "claim", "finish", "reopen", "expire", "delete"),
)
#: What leads on from each state, most of all towards the end.
NEXT: dict[int, tuple[str, ...]] = {
    Task.INVALID: ("desire",),
    Task.PENDING: ("place", "place", "start", "start", "start", "refuse", "withdraw", "reject"),
    Task.RUNNING: ("complete", "complete", "complete", "reject", "fail", "cancel"),
    Task.COMPLETED: ("claim", "claim", "resolve", "expire", "delete"),
    Task.RESOLVING: ("finish", "reopen", "delete"),
}


def steps(chance: Random, life: "Life") -> Iterator[tuple[str, str, int | None]]:
    """Each what somebody says, on which cell, and the version that it goes by; None: the latest."""
    for _ in range(STEPS):
        state = life.now.state if life.now is not None else Task.INVALID
        cell_id = chance.choice(CELLS)
        if state == Task.INVALID and chance.random() < 0.5:
            yield "later", cell_id, None
        elif chance.random() < 0.6:
            on = life.now.placed_cell_id if life.now is not None else ""
            yield chance.choice(NEXT[state]), on or cell_id, None
        else:
            at = chance.randrange(60) if chance.random() < 0.7 else None
            yield chance.choice(SAYINGS), cell_id, at


class Speakers:
    def __init__(self, board: Board) -> None:
        self.board = board
        self.seen: list[Task] = [a_task(GUID)]

    def say(self, what: str, cell_id: str, at: int | None) -> tuple[str, c.Outcome] | None:
        """The latest version of the row, or an earlier one, is what the speaker goes by."""
        believed = self.seen[-1] if at is None else self.seen[at % len(self.seen)]
        if what == "later":
            self.board.later(5 * 3600)
            return None
        by, kind, fields = _said(what, cell_id, believed)
        message = getattr(c, c.Command.DESCRIPTOR.fields_by_name[kind].message_type.name)
        return kind, self.board.say(by, **{kind: message(**fields)})


def _said(what: str, cell_id: str, believed: Task) -> tuple[str, str, dict[str, object]]:
    by_name: dict[str, object] = {"task_guid": GUID}
    by_version = by_name | {"row_revision": believed.provenance.revision}
    by_attempt = by_name | {"attempt": believed.attempt}
    placed = by_version | {"cell_id": cell_id, "cell_incarnation": 1}
    told = a_task(GUID)
    told.callback.url = "http://ci.example.com/"
    failed = by_attempt | {"failed": cell_id == "c2", "result": cell_id, "exit_status": 3}
    says: dict[str, tuple[str, str, dict[str, object]]] = {
        "desire": ("user/ann", "desire_task", {"task": told, "definition": b"d"}),
        "place": ("brain/b1", "place_task", placed),
        "start": (f"cell/{cell_id}", "start_task", by_attempt),
        "complete": (f"cell/{cell_id}", "complete_task", failed),
        "reject": (f"cell/{cell_id}", "reject_task", by_attempt),
        "withdraw": ("brain/b1", "withdraw_task", by_version),
        "refuse": ("brain/b1", "refuse_task", by_version | {"placement_error": "no room"}),
        "fail": ("brain/b1", "fail_task", by_version | {"failure": Task.CELL_LOST}),
        "cancel": ("user/ann", "cancel_task", by_name),
        "resolve": ("user/ann", "resolve_task", by_name),
        "claim": ("brain/b1", "claim_callback", by_version),
        "finish": ("brain/b1", "finish_callback", by_version | {"delivered": cell_id == "c1"}),
        "reopen": ("brain/b1", "reopen_task", by_version),
        "expire": ("brain/b1", "expire_task", by_version),
        "delete": ("user/ann", "delete_task", by_name),
    }
    return says[what]


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_late_doubled_and_reordered_commands_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, chance: Random
) -> None:
    live_once(tmp_path_factory.mktemp("board"), chance)


def test_such_lives_come_to_everything_that_can_happen(tmp_path: Path) -> None:
    """Or the property above would say little."""
    happened: set[str] = set()
    for seed in range(12):
        happened |= live_once(tmp_path / str(seed), Random(seed))
    assert happened == {kind for _, kind in task_lifecycle.TRANSITIONS} - {"fire_schedule"}


def live_once(folder: Path, chance: Random) -> set[str]:
    """One life and what became of it; which commands were carried out."""
    board = _board(folder)
    speakers, life, happened = Speakers(board), Life(), set()
    heard = board.state().counters().revision
    for what, cell_id, at in steps(chance, life):
        said = speakers.say(what, cell_id, at)
        changes = board.changes_after(heard)
        if said is None:
            assert not changes
            continue
        kind, outcome = said
        assert bool(changes) == (not outcome.reason and not outcome.unchanged)
        for change in changes:
            happened.add(kind)
            life.hear(change, kind, board.at_ns)
            speakers.seen.append(change.task)
            heard = change.revision
        if kind == "start_task" and not outcome.reason:
            cell, token = life.granted[outcome.task.attempt]
            assert (cell, token) == (cell_id, outcome.task.fencing_token)
    board.environment.close()
    return happened


def _board(folder: Path) -> Board:
    board = Board.open(folder).with_brain()
    for cell_id in CELLS:
        board.with_cell(cell_id)
    return board


def test_the_guid_of_a_deleted_task_is_kept_for_a_day(tmp_path: Path) -> None:
    board = _board(tmp_path)
    desire = c.DesireTask(task=a_task(GUID), definition=b"d")
    board.say("user/ann", desire_task=desire)
    board.say("user/ann", cancel_task=c.CancelTask(task_guid=GUID))
    board.say("user/ann", delete_task=c.DeleteTask(task_guid=GUID))
    board.later(5)
    assert "deleted 5 s ago" in board.say("user/ann", desire_task=desire).message
    board.later(3 * 3600 - 5)
    refused = board.say("user/ann", desire_task=desire)
    assert refused.reason == "ResourceExists"
    assert refused.message == (
        "task t1 was deleted 3 h ago: its guid can be used again in 21 h; give the new task "
        "another one"
    )
    board.later(21 * 3600 - 1)
    assert board.say("user/ann", desire_task=desire).reason == "ResourceExists"
    board.later(1)
    assert not board.say("user/ann", desire_task=desire).reason
    board.environment.close()


def test_so_is_the_guid_of_one_that_expired(tmp_path: Path) -> None:
    board = _board(tmp_path)
    desire = c.DesireTask(task=a_task(GUID), definition=b"d")
    board.say("user/ann", desire_task=desire)
    board.say("user/ann", cancel_task=c.CancelTask(task_guid=GUID))
    revision = board.task(GUID).provenance.revision
    expire = c.ExpireTask(task_guid=GUID, row_revision=revision)
    assert not board.say("brain/b1", expire_task=expire).reason
    assert board.say("user/ann", desire_task=desire).reason == "ResourceExists"
    assert not board.say(
        "user/ann", desire_task=c.DesireTask(task=a_task("t2"), definition=b"d")
    ).reason
    board.environment.close()


def test_what_members_of_an_earlier_format_would_not_act_on_is_not_taken(tmp_path: Path) -> None:
    board = Board.open(tmp_path, cluster_format=1)
    task = a_task(GUID)
    task.callback.url = "http://ci.example.com/"
    refused = board.say("user/ann", desire_task=c.DesireTask(task=task, definition=b"d"))
    assert refused.message.startswith("callback: not every member")
    plain = c.DesireTask(task=a_task(GUID), definition=b"d")
    task = board.say("user/ann", desire_task=plain).task
    assert not task.HasField("since")
    ended = board.say("user/ann", cancel_task=c.CancelTask(task_guid=GUID)).task
    assert (ended.failed, ended.failure, ended.HasField("since")) == (True, Task.NONE, False)
    board.say("user/ann", delete_task=c.DeleteTask(task_guid=GUID))
    assert not board.say("user/ann", desire_task=plain).reason
    board.environment.close()


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ({"failed": True}, Task.PROGRAM),
        ({"outcome_unknown": True}, Task.AGENT_LOST_IT),
        ({"failed": True, "failure": Task.TIMED_OUT}, Task.TIMED_OUT),
        ({}, Task.NONE),
    ],
)
def test_an_end_says_why_and_brings_its_result(
    tmp_path: Path, said: dict[str, object], failure: int
) -> None:
    board = _board(tmp_path)
    board.say("user/ann", desire_task=c.DesireTask(task=a_task(GUID), definition=b"d"))
    place = c.PlaceTask(
        task_guid=GUID,
        row_revision=board.task(GUID).provenance.revision,
        cell_id="c1",
        cell_incarnation=1,
    )
    attempt = board.say("brain/b1", place_task=place).task.attempt
    board.later(2)
    running = board.say("cell/c1", start_task=c.StartTask(task_guid=GUID, attempt=attempt)).task
    assert running.since == running.started_at
    long = "ü" * 6000
    complete = c.CompleteTask(task_guid=GUID, attempt=attempt, result=long, **said)  # type: ignore[arg-type]
    task = board.say("cell/c1", complete_task=complete).task
    assert task.failure == failure
    assert task.result == "ü" * 5120
    assert task.since == task.completed_at
    board.environment.close()
