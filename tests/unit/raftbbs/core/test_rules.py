"""What holds for every command: roles, legal keys, the table of rules, determinism, history."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs import core
from diegod.v1.record_pb2 import Cell, DesiredLrp, Task
from tests.unit.raftbbs.core.board import Board, a_task


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.open(tmp_path)


def test_every_command_has_a_rule() -> None:
    oneof = c.Command.DESCRIPTOR.oneofs_by_name["command"]
    assert sorted(core.RULES) == sorted(field.name for field in oneof.fields)


@pytest.mark.parametrize("kind", sorted(core.RULES))
@pytest.mark.parametrize("role", ["user", "brain", "cell", "bbs", ""])
def test_only_its_own_role_gives_a_command(board: Board, kind: str, role: str) -> None:
    if role == core.RULES[kind][0]:
        return
    body = c.Command.DESCRIPTOR.fields_by_name[kind].message_type.name
    outcome = board.say(f"{role}/x", **{kind: getattr(c, body)()})
    assert outcome.reason == "PermissionDenied"


def test_a_cell_registers_only_itself(board: Board) -> None:
    command = c.RegisterCell(cell=Cell(cell_id="c2"))
    assert board.say("cell/c1", register_cell=command).reason == "PermissionDenied"


@pytest.mark.parametrize("guid", ["", "x" * 129, "x" * 600, "a\0b", "é" * 65])
def test_a_name_that_can_not_be_a_key_is_a_refusal(board: Board, guid: str) -> None:
    task = Task(task_guid=guid, domain="default")
    outcome = board.say("user/ann", desire_task=c.DesireTask(task=task))
    assert outcome.reason == "InvalidRequest"
    lrp = DesiredLrp(process_guid="web", domain=guid)
    outcome = board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=lrp))
    assert outcome.reason == "InvalidRequest"


def test_the_longest_legal_name_is_stored(board: Board) -> None:
    task = Task(task_guid="x" * 128, domain="d" * 128)
    assert not board.say("user/ann", desire_task=c.DesireTask(task=task)).reason
    lrp = DesiredLrp(process_guid="y" * 128, domain="d" * 128, instances=1)
    assert not board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=lrp)).reason
    board.with_brain()
    desired = board.state().desired_lrp("y" * 128)
    assert desired is not None
    create = c.CreateInstance(
        process_guid="y" * 128, index=2**31, desired_revision=desired.provenance.revision
    )
    assert not board.say("brain/b1", create_instance=create).reason


def test_an_entry_that_is_no_batch_is_nothing(board: Board) -> None:
    with board.environment.begin_write() as transaction:
        applied = board.replica.apply_entry(transaction, 1, b"\xff\xff\xff")
    assert list(applied.outcomes) == []
    assert applied.revision == 0


def test_each_change_has_a_revision_of_its_own(board: Board) -> None:
    commands = [
        c.Command(by="user/ann", desire_task=c.DesireTask(task=a_task(f"t{n}"))) for n in range(3)
    ]
    applied = board.entry(*commands)
    assert [outcome.revision for outcome in applied.outcomes] == [1, 2, 3]
    assert [change.revision for change in applied.changes] == [1, 2, 3]


def test_time_never_goes_back(board: Board) -> None:
    board.say("user/ann", desire_task=c.DesireTask(task=a_task("t1")))
    first = board.state().counters().at_ns
    board.at_ns -= 10**12
    board.say("user/ann", desire_task=c.DesireTask(task=a_task("t2")))
    assert board.state().counters().at_ns == first
    assert board.task("t2").created_at == board.task("t1").created_at


def test_old_history_goes_and_says_so(tmp_path: Path) -> None:
    board = Board.open(tmp_path, history_changes=5)
    for n in range(12):
        board.say("user/ann", desire_task=c.DesireTask(task=a_task(f"t{n}")))
    counters = board.state().counters()
    assert counters.compacted == 7
    assert [change.revision for change in board.changes_after(0)] == [8, 9, 10, 11, 12]


def test_a_lock_has_one_owner_and_each_term_another_token(board: Board) -> None:
    first = board.say("brain/b1", acquire_lock=c.AcquireLock(name="brain")).lock
    second = board.say("brain/b2", acquire_lock=c.AcquireLock(name="brain"))
    assert second.reason == "LockCollision"
    stale = c.ExpireLock(name="brain", token=first.token + 1)
    assert board.say("bbs/m1", expire_lock=stale).reason == "LockCollision"
    board.say("bbs/m1", expire_lock=c.ExpireLock(name="brain", token=first.token))
    third = board.say("brain/b2", acquire_lock=c.AcquireLock(name="brain")).lock
    assert third.token > first.token


def test_an_expiry_that_saw_an_older_registration_is_refused(board: Board) -> None:
    board.with_cell("c1").with_cell("c1")
    late = c.ExpireCell(cell_id="c1", incarnation=1)
    assert board.say("bbs/m1", expire_cell=late).reason == "StaleIncarnation"
    cell = board.state().cell("c1")
    assert cell is not None
    assert cell.state == Cell.PRESENT


_GUIDS = st.sampled_from(["a", "b", "web"])
_SPEAKERS = st.sampled_from(["user/u", "brain/b1", "cell/c1", "cell/c2", "bbs/m1"])


@st.composite
def _commands(draw: st.DrawFn) -> c.Command:
    """Any command with small values in all of its fields, by anybody."""
    kind = draw(st.sampled_from(sorted(core.RULES)))
    command = c.Command(by=draw(_SPEAKERS), cell_incarnation=draw(st.integers(0, 2)))
    command.request_id = draw(st.sampled_from(["", "r1"]))
    body = getattr(command, kind)
    body.SetInParent()
    for field in body.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING:
            setattr(body, field.name, draw(_GUIDS))
        elif field.type in (field.TYPE_UINT64, field.TYPE_UINT32):
            setattr(body, field.name, draw(st.integers(0, 8)))
    for row in ("task", "schedule", "desired_lrp", "cell"):
        if row in body.DESCRIPTOR.fields_by_name:
            inner = getattr(body, row)
            inner.SetInParent()
            for name in ("task_guid", "process_guid", "cell_id", "name", "domain"):
                if name in inner.DESCRIPTOR.fields_by_name:
                    setattr(inner, name, draw(_GUIDS))
    return command


@settings(max_examples=60, deadline=None)
@given(st.lists(_commands(), max_size=30))
def test_two_members_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, commands: list[c.Command]
) -> None:
    """Whatever is said, nothing raises, and the same entries lead to the same bytes."""
    boards = [Board.open(tmp_path_factory.mktemp("board")) for _ in range(2)]
    for board in boards:
        for command in commands:
            board.entry(command)
    dumps = []
    for board in boards:
        with board.environment.begin_read() as transaction:
            names = board.environment.table_names()
            tables = [board.environment.table(name) for name in names]
            dumps.append([list(transaction.scan(table)) for table in tables])
        board.environment.close()
    assert dumps[0] == dumps[1]
