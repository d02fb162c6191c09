"""Which instance of an index counts: evacuation, suspects, and the tables that Diego has for them.

Each row of Diego's tables is a test row here, as far as the BBS decides it: the state of an index
before, what is said, and what comes of it. What is in no table is refused, by its error's name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.models import actual_lrp_lifecycle
from diegod.v1.cell_pb2 import ControlCellRequest
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, BrainSettings
from tests.unit.raftbbs.core.board import Board
from tests.unit.raftbbs.core.lrps import Verb, Web

CONFLICT, ILLEGAL, MISSING = "ResourceConflict", "InvalidStateTransition", "CellMissing"
NOT_FOUND, ELSEWHERE = "ResourceNotFound", "RunningOnDifferentCell"
CELLS = ("c1", "c2", "c3")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    board = Board.open(tmp_path).with_brain()
    for cell_id in CELLS:
        board.with_cell(cell_id)
    web = Web(board)
    assert not web.desire(b"v1")
    yield web
    board.environment.close()


@dataclass
class Index:
    """Index 0 of web, with the instances that a table calls i1 and i2, or alpha and omega."""

    web: Web
    first: ActualLrp | None = None
    second: ActualLrp | None = None

    def one(self) -> ActualLrp:
        assert self.first is not None
        found = self.web.board.state().actual_lrp(self.first.instance_guid)
        return found if found is not None else self.first

    def two(self) -> ActualLrp:
        assert self.second is not None
        found = self.web.board.state().actual_lrp(self.second.instance_guid)
        return found if found is not None else self.second

    def seen(self) -> dict[str, str]:
        return self.web.seen()


# Diego's transitions (models.AllowsTransitionTo): of an instance in a state, what may be said.

STATES = {
    "UNCLAIMED": lambda web: _placed(web),
    "CLAIMED": lambda web: web.claimed("c1"),
    "RUNNING": lambda web: web.running("c1"),
    "CRASHED": lambda web: _crashed(web),
}
#: (from, command) -> the state after it, None for no row, or the reason of the refusal.
CLAIM, START, CRASH = "claim_instance", "start_instance", "crash_instance"
REMOVE, UNCLAIM, REFUSE = "remove_instance", "unclaim_instance", "refuse_instance"
OF_CELLS = {
    ("UNCLAIMED", CLAIM): "CLAIMED",
    ("UNCLAIMED", START): "ActualLRPCannotBeStarted",  # it is claimed first: the start is granted
    ("UNCLAIMED", CRASH): "ActualLRPCannotBeCrashed",
    ("UNCLAIMED", REMOVE): "ActualLRPCannotBeRemoved",
    ("UNCLAIMED", "reject_instance"): "CRASHED",
    ("CLAIMED", CLAIM): "CLAIMED",
    ("CLAIMED", START): "RUNNING",
    ("CLAIMED", CRASH): "CRASHED",
    ("CLAIMED", REMOVE): None,
    ("CLAIMED", "reject_instance"): "CRASHED",
    ("RUNNING", CLAIM): "ActualLRPCannotBeClaimed",
    ("RUNNING", START): "RUNNING",
    ("RUNNING", CRASH): "CRASHED",
    ("RUNNING", REMOVE): None,
    ("RUNNING", "reject_instance"): ILLEGAL,
    # A crash takes the instance off its cell, which is not heard on it any more.
    ("CRASHED", CLAIM): "ActualLRPCannotBeClaimed",
    ("CRASHED", START): ELSEWHERE,
    ("CRASHED", CRASH): ELSEWHERE,
    ("CRASHED", REMOVE): ELSEWHERE,
    ("CRASHED", "reject_instance"): ELSEWHERE,
}
OF_BRAINS = {
    ("UNCLAIMED", UNCLAIM): "ActualLRPCannotBeUnclaimed",
    ("UNCLAIMED", REFUSE): "UNCLAIMED",  # Diego's FailActualLRP: only from here
    ("UNCLAIMED", "withdraw_instance"): "UNCLAIMED",
    ("UNCLAIMED", "suspect_instance"): ILLEGAL,
    ("UNCLAIMED", "evacuate_instance"): ILLEGAL,
    ("UNCLAIMED", "retire_instance"): None,
    ("CLAIMED", UNCLAIM): "ActualLRPCannotBeUnclaimed",
    ("CLAIMED", REFUSE): ILLEGAL,
    ("CLAIMED", "withdraw_instance"): ILLEGAL,
    ("CLAIMED", "suspect_instance"): CONFLICT,  # its cell is there
    ("CLAIMED", "evacuate_instance"): ILLEGAL,
    ("CLAIMED", "retire_instance"): "CLAIMED",  # asked to stop
    ("RUNNING", UNCLAIM): "ActualLRPCannotBeUnclaimed",
    ("RUNNING", REFUSE): ILLEGAL,
    ("RUNNING", "withdraw_instance"): ILLEGAL,
    ("RUNNING", "suspect_instance"): CONFLICT,
    ("RUNNING", "evacuate_instance"): "RUNNING",
    ("RUNNING", "retire_instance"): "RUNNING",
    ("CRASHED", UNCLAIM): "UNCLAIMED",
    ("CRASHED", REFUSE): ILLEGAL,
    ("CRASHED", "withdraw_instance"): ILLEGAL,
    ("CRASHED", "suspect_instance"): ILLEGAL,
    ("CRASHED", "evacuate_instance"): ILLEGAL,
    ("CRASHED", "retire_instance"): None,
}


def _placed(web: Web) -> ActualLrp:
    row = web.create()
    assert not web.place(row, "c1")
    return web.again(row)


def _crashed(web: Web) -> ActualLrp:
    row = web.running("c1")
    assert not web.cell("crash_instance", row)
    return web.again(row)


def _result(web: Web, reason: str) -> str | None:
    if reason:
        return reason
    rows = web.board.state().instances("web")
    return ActualLrp.State.Name(rows[0].state) if rows else None


@pytest.mark.parametrize(("state", "command"), OF_CELLS)
def test_what_a_cell_says_of_an_instance_in_each_state(web: Web, state: str, command: str) -> None:
    row = STATES[state](web)
    said = web.start(row) if command == START and row.cell_id else None
    reason = said if said is not None else web.cell(command, row, "c1")
    assert _result(web, reason) == OF_CELLS[state, command]


@pytest.mark.parametrize(("state", "command"), OF_BRAINS)
def test_what_a_brain_says_of_an_instance_in_each_state(
    web: Web, state: str, command: str
) -> None:
    row = STATES[state](web)
    assert _result(web, web.repair(command, row)) == OF_BRAINS[state, command]


def test_the_tables_say_what_the_lifecycle_says() -> None:
    """A command that is allowed there is refused here only because of something else."""
    reasons = {CONFLICT}
    for (state, command), result in (OF_CELLS | OF_BRAINS).items():
        allowed = actual_lrp_lifecycle.allows(ActualLrp.State.Value(state), command)
        done = result is None or result in STATES or result in reasons
        repeated = (state, command) == ("CLAIMED", CLAIM)  # it is so already
        assert allowed == done or repeated, (state, command)


@pytest.mark.parametrize("command", [START, CRASH, REMOVE, "reject_instance"])
@pytest.mark.parametrize("state", ["CLAIMED", "RUNNING"])
def test_another_cell_than_the_one_it_is_on_changes_nothing(
    web: Web, state: str, command: str
) -> None:
    """Diego lets omega steal a CLAIMED instance by starting it. Here each placement has a guid."""
    row = STATES[state](web)
    assert web.cell(command, row, "c2") == ELSEWHERE
    assert web.again(row) == row


@pytest.mark.parametrize("command", [CLAIM, START, CRASH, REMOVE, "reject_instance"])
def test_of_a_row_that_is_missing_nothing_is_heard(web: Web, command: str) -> None:
    assert web.cell(command, ActualLrp(instance_guid="i7"), "c1") == NOT_FOUND


# Evacuation (Diego: the table of the ordinary and the evacuating row).


def _evacuating(index: Index) -> None:
    index.first = index.web.running("c1")
    assert not index.web.repair("evacuate_instance", index.one())


def _replacement(bring: Callable[[Web], ActualLrp]) -> Callable[[Index], None]:
    def prepare(index: Index) -> None:
        _evacuating(index)
        index.second = bring(index.web)

    return prepare


def _crashed_on_c2(web: Web) -> ActualLrp:
    row = web.running("c2")
    assert not web.cell("crash_instance", row)
    return web.again(row)


#: The replacement -> what retiring the evacuating instance comes to.
@pytest.mark.parametrize(
    ("bring", "reason"),
    [
        (lambda web: None, CONFLICT),  # not made yet
        (lambda web: web.create(), CONFLICT),  # UNCLAIMED, placed or not: wait
        (lambda web: web.claimed("c2"), CONFLICT),  # CLAIMED omega: wait
        (lambda web: web.running("c2"), ""),  # RUNNING omega: it goes
        (_crashed_on_c2, CONFLICT),  # Diego ends it; here it serves on: the update may fail yet
    ],
    ids=["missing", "unclaimed", "claimed", "running", "crashed"],
)
def test_an_evacuating_instance_ends_when_its_replacement_runs(
    web: Web, bring: Callable[[Web], ActualLrp], reason: str
) -> None:
    index = Index(web)
    _replacement(bring)(index)
    assert web.repair("retire_instance", index.one()) == reason
    assert index.one().stopping == (not reason)
    assert index.one().routable, "it serves as long as it runs"


def test_the_ordinary_place_is_free_while_it_evacuates(web: Web) -> None:
    row = web.running("c1")
    before = web.board.state().counters().revision
    assert not web.repair("evacuate_instance", row)
    (change,) = web.board.changes_after(before)
    assert change.actual_lrp.presence == ActualLrp.EVACUATING
    assert change.actual_lrp.routable
    web.create()
    assert web.seen() == {"EVACUATING": "RUNNING", "ORDINARY": "UNCLAIMED"}


def test_evacuated_twice_is_once(web: Web) -> None:
    index = Index(web)
    _evacuating(index)
    command = c.EvacuateInstance(
        instance_guid=index.one().instance_guid, row_revision=index.one().provenance.revision
    )
    assert web.board.say("brain/b1", evacuate_instance=command).unchanged


def test_a_second_evacuation_of_an_index_takes_the_place_of_the_first(web: Web) -> None:
    """RUNNING alpha, evacuating beta: alpha evacuates, and beta is ended."""
    index = Index(web)
    _replacement(lambda web: web.running("c2"))(index)
    assert not web.repair("evacuate_instance", index.two())
    assert index.one().stopping
    assert index.two().presence == ActualLrp.EVACUATING
    assert not index.two().stopping


def test_what_evacuated_on_a_lost_cell_is_dropped_by_a_second_evacuation(web: Web) -> None:
    index = Index(web)
    _replacement(lambda web: web.running("c2"))(index)
    web.lose("c1")
    assert not web.repair("evacuate_instance", index.two())
    assert not web.is_there(index.one())


@pytest.mark.parametrize("command", [CRASH, REMOVE])
def test_an_evacuating_instance_that_ends_by_itself_is_gone(web: Web, command: str) -> None:
    index = Index(web)
    _replacement(lambda web: web.create())(index)
    assert not web.cell(command, index.one())
    assert web.seen() == {"ORDINARY": "UNCLAIMED"}
    assert index.two().crash_count == 0


def test_on_a_missing_cell_it_is_dropped(web: Web) -> None:
    index = Index(web)
    _evacuating(index)
    web.lose("c1")
    assert web.repair("suspect_instance", index.one()) == ILLEGAL
    assert not web.repair("retire_instance", index.one())
    assert web.seen() == {}


def test_it_moves_its_routability_and_nothing_else(web: Web) -> None:
    index = Index(web)
    _evacuating(index)
    assert not web.cell("start_instance", index.one(), routable=False)
    assert (index.one().routable, index.one().presence) == (False, ActualLrp.EVACUATING)


def test_it_is_reinstated_where_nothing_took_its_place(web: Web) -> None:
    index = Index(web)
    _replacement(lambda web: web.create())(index)
    assert web.repair("reinstate_instance", index.one()) == CONFLICT
    assert not web.repair("retire_instance", index.two())
    assert not web.repair("reinstate_instance", index.one())
    assert web.seen() == {"ORDINARY": "RUNNING"}


def test_what_was_asked_to_stop_is_not_reinstated(web: Web) -> None:
    index = Index(web)
    _replacement(lambda web: web.running("c2"))(index)
    assert not web.repair("retire_instance", index.one())
    assert not web.cell("remove_instance", index.two())
    assert web.repair("reinstate_instance", index.one()) == CONFLICT


# Each case in which an instance may be ended though nothing runs in its place.


def _drain(web: Web, deadline_ms: int) -> None:
    drain = c.ControlCell(
        cell_id="c1", verb=ControlCellRequest.DRAIN, deadline_ms=deadline_ms
    )
    assert not web.board.say("user/ann", control_cell=drain).reason


def _stop(web: Web) -> None:
    assert not web.control(Verb.STOP).reason


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda web: None, CONFLICT),
        (lambda web: web.remove(), ""),
        (_stop, ""),
        (lambda web: web.scale(0), ""),
        (lambda web: _drain(web, 600_000), CONFLICT),
        (lambda web: (_drain(web, 1000), web.board.later(1)), ""),
        (lambda web: web.desire(b"v2", update=UpdatePolicy(strategy=UpdatePolicy.RECREATE)), ""),
        (lambda web: web.desire(b"v2", update=UpdatePolicy(order=UpdatePolicy.STOP_FIRST)), ""),
    ],
    ids=["nothing", "removed", "stopped", "scaled", "drained", "deadline", "recreate", "stop"],
)
def test_an_evacuating_instance_ends_where_it_has_to(
    web: Web, happens: Callable[[Web], object], reason: str
) -> None:
    index = Index(web)
    _evacuating(index)
    happens(web)
    assert web.repair("retire_instance", index.one()) == reason


# A person retires an index.


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("RUNNING", {"EVACUATING": "RUNNING"}),
        ("CLAIMED", {"ORDINARY": "CLAIMED"}),
        ("UNCLAIMED", {"ORDINARY": "UNCLAIMED"}),
        ("CRASHED", {"ORDINARY": "UNCLAIMED"}),
    ],
)
def test_an_index_is_retired(web: Web, state: str, seen: dict[str, str]) -> None:
    row = STATES[state](web)
    assert not web.retire_index()
    assert web.seen() == seen
    is_same = web.is_there(row)
    assert is_same == (state in ("RUNNING", "CLAIMED"))
    if is_same:
        assert web.again(row).stopping == (state == "CLAIMED")


def test_what_a_person_retires_after_many_crashes_begins_anew(web: Web) -> None:
    _crashed(web)
    assert not web.retire_index()
    assert web.instances()["ORDINARY"].crash_count == 0


@pytest.mark.parametrize(
    "update",
    [UpdatePolicy(strategy=UpdatePolicy.RECREATE), UpdatePolicy(order=UpdatePolicy.STOP_FIRST)],
)
def test_where_two_may_not_run_at_once_the_old_one_is_stopped(
    web: Web, update: UpdatePolicy
) -> None:
    assert not web.desire(b"v2", update=update)
    row = web.running("c1")
    assert not web.retire_index()
    assert web.again(row).stopping
    assert web.again(row).presence == ActualLrp.ORDINARY


def test_there_is_nothing_to_retire(web: Web) -> None:
    assert web.retire_index(1) == NOT_FOUND
    other = c.RetireIndex(process_guid="other")
    assert web.board.say("user/ann", retire_index=other).reason == NOT_FOUND


def test_a_retirement_that_is_asked_for_twice_is_answered_once(web: Web) -> None:
    row = web.running("c1")
    retire = c.RetireIndex(process_guid="web", index=0)
    first = web.board.say("user/ann", request_id="r1", retire_index=retire)
    web.create()
    again = web.board.say("user/ann", request_id="r1", retire_index=retire)
    assert again.unchanged
    assert again.actual_lrp.instance_guid == first.actual_lrp.instance_guid == row.instance_guid


# Suspects (Diego: notes/lrp-task-states-and-transitions.md): i1 was on c1, i2 replaces it.


def _i1_is_suspect(index: Index) -> None:
    index.first = index.web.suspect("c1")


def _i2(bring: Callable[[Web], ActualLrp]) -> Callable[[Index], None]:
    def prepare(index: Index) -> None:
        _i1_is_suspect(index)
        index.second = bring(index.web)

    return prepare


def _c1_is_back(index: Index) -> None:
    index.web.board.with_cell("c1")


_UNCLAIMED_I2 = _i2(lambda web: web.create())
_CLAIMED_I2 = _i2(lambda web: web.claimed("c2"))
_RUNNING_I2 = _i2(lambda web: web.running("c2"))


def _then(*steps: Callable[[Index], object]) -> Callable[[Index], None]:
    def prepare(index: Index) -> None:
        for step in steps:
            step(index)

    return prepare


def _suspected(index: Index) -> str:
    index.first = index.web.running("c1")
    index.web.lose("c1")
    return index.web.repair("suspect_instance", index.one())


def _refused_i2(index: Index) -> str:
    revision = index.two().provenance.revision
    refuse = c.RefuseInstance(
        instance_guid=index.two().instance_guid, row_revision=revision, placement_error="no room"
    )
    return index.web.board.say("brain/b1", refuse_instance=refuse).reason


def _lose_c2(index: Index) -> None:
    index.web.lose("c2")


#: the event -> (before it, what is said, the refusal, what is there afterwards)
SUSPECTS: dict[str, tuple[Callable[[Index], object], Callable[[Index], str], str, object]] = {
    "cell-1 presence lost": (lambda index: None, _suspected, "", {"SUSPECT": "RUNNING"}),
    "i2 is made": (
        _i1_is_suspect,
        lambda index: "" if index.web.create() else "no row",
        "",
        {"SUSPECT": "RUNNING", "ORDINARY": "UNCLAIMED"},
    ),
    "cell-2 claims": (
        _then(_UNCLAIMED_I2, lambda index: index.web.place(index.two(), "c2")),
        lambda index: index.web.cell(CLAIM, index.two(), "c2"),
        "",
        {"SUSPECT": "RUNNING", "ORDINARY": "CLAIMED"},
    ),
    "cell-2 starts": (
        _CLAIMED_I2,
        lambda index: index.web.start(index.two()),
        "",
        {"SUSPECT": "RUNNING", "ORDINARY": "RUNNING"},
    ),
    "i2 runs: i1 is removed": (
        _RUNNING_I2,
        lambda index: index.web.repair("retire_instance", index.one()),
        "",
        {"ORDINARY": "RUNNING"},
    ),
    "i2 does not run yet: i1 stays": (
        _CLAIMED_I2,
        lambda index: index.web.repair("retire_instance", index.one()),
        CONFLICT,
        {"SUSPECT": "RUNNING", "ORDINARY": "CLAIMED"},
    ),
    "cell-1 back before i2 runs: i2 goes": (
        _then(_UNCLAIMED_I2, _c1_is_back),
        lambda index: index.web.repair("retire_instance", index.two()),
        "",
        {"SUSPECT": "RUNNING"},
    ),
    "cell-1 back before i2 runs: i1 is ordinary": (
        _then(_i1_is_suspect, _c1_is_back),
        lambda index: index.web.repair("unsuspect_instance", index.one()),
        "",
        {"ORDINARY": "RUNNING"},
    ),
    "cell-1 back after: i1 is not ordinary": (
        _then(_RUNNING_I2, _c1_is_back),
        lambda index: index.web.repair("unsuspect_instance", index.one()),
        CONFLICT,
        {"SUSPECT": "RUNNING", "ORDINARY": "RUNNING"},
    ),
    "cell-1 back after: i1 is stopped": (
        _then(_RUNNING_I2, _c1_is_back),
        lambda index: index.web.repair("retire_instance", index.one()),
        "",
        {"SUSPECT": "RUNNING", "ORDINARY": "RUNNING"},
    ),
    "auction of i2 fails": (
        _UNCLAIMED_I2,
        _refused_i2,
        "",
        {"SUSPECT": "RUNNING", "ORDINARY": "UNCLAIMED"},
    ),
    "i2 crashes": (
        _RUNNING_I2,
        lambda index: index.web.cell(CRASH, index.two()),
        "",
        {"SUSPECT": "RUNNING", "ORDINARY": "CRASHED"},
    ),
    "i2 crashed: i1 stays": (
        _then(_RUNNING_I2, lambda index: index.web.cell(CRASH, index.two())),
        lambda index: index.web.repair("retire_instance", index.one()),
        CONFLICT,
        {"SUSPECT": "RUNNING", "ORDINARY": "CRASHED"},
    ),
    "i2's cell lost too: no second suspect": (
        _then(_RUNNING_I2, _lose_c2),
        lambda index: index.web.repair("suspect_instance", index.two()),
        CONFLICT,
        {"SUSPECT": "RUNNING", "ORDINARY": "RUNNING"},
    ),
    "i2's cell lost too: i2 is removed": (
        _then(_RUNNING_I2, _lose_c2),
        lambda index: index.web.repair("retire_instance", index.two()),
        "",
        {"SUSPECT": "RUNNING"},
    ),
    "cell-1, still missing, claims": (
        _UNCLAIMED_I2,
        lambda index: index.web.cell(CLAIM, index.one(), "c1"),
        MISSING,
        {"SUSPECT": "RUNNING", "ORDINARY": "UNCLAIMED"},
    ),
    "cell-1, still missing, starts": (
        _UNCLAIMED_I2,
        lambda index: index.web.start(index.one()),
        MISSING,
        {"SUSPECT": "RUNNING", "ORDINARY": "UNCLAIMED"},
    ),
    "cell-1 starts while i2 does not run": (
        _then(_CLAIMED_I2, _c1_is_back),
        lambda index: index.web.start(index.one()),
        "",
        {"SUSPECT": "RUNNING", "ORDINARY": "CLAIMED"},
    ),
    "cell-1 starts while i2 runs": (
        _then(_RUNNING_I2, _c1_is_back),
        lambda index: index.web.start(index.one()),
        "ActualLRPCannotBeStarted",
        {"SUSPECT": "RUNNING", "ORDINARY": "RUNNING"},
    ),
    "cell-1 crash": (
        _then(_CLAIMED_I2, _c1_is_back),
        lambda index: index.web.cell(CRASH, index.one()),
        "",
        {"ORDINARY": "CLAIMED"},
    ),
    "cell-1 evacuated and stopped": (
        _then(_CLAIMED_I2, _c1_is_back),
        lambda index: index.web.cell(REMOVE, index.one()),
        "",
        {"ORDINARY": "CLAIMED"},
    ),
    "cell-1 evacuates i1": (
        _then(_CLAIMED_I2, _c1_is_back),
        lambda index: index.web.repair("evacuate_instance", index.one()),
        "",
        {"EVACUATING": "RUNNING", "ORDINARY": "CLAIMED"},
    ),
}


@pytest.mark.parametrize("event", SUSPECTS)
def test_suspects(web: Web, event: str) -> None:
    prepare, say, reason, seen = SUSPECTS[event]
    index = Index(web)
    prepare(index)
    assert say(index) == reason
    assert index.seen() == seen
    if "SUSPECT" in index.seen():
        assert index.one().routable, "a suspect stays routable until its replacement runs"


def test_the_suspect_of_a_cell_that_was_removed_goes_at_once(web: Web) -> None:
    row = web.suspect("c1")
    remove = c.ControlCell(cell_id="c1", verb=ControlCellRequest.REMOVE)
    assert not web.board.say("user/ann", control_cell=remove).reason
    assert not web.repair("retire_instance", row)
    assert web.seen() == {}


def test_an_index_has_one_ordinary_instance_beside_all_others(web: Web) -> None:
    """One evacuates, one is suspect, one is ordinary; no fourth is made, and none comes back."""
    index = Index(web)
    _i1_is_suspect(index)
    index.second = web.running("c2")
    assert not web.repair("evacuate_instance", index.two())
    web.create()
    assert web.seen() == {
        "SUSPECT": "RUNNING",
        "EVACUATING": "RUNNING",
        "ORDINARY": "UNCLAIMED",
    }
    revision = web.row().provenance.revision
    fourth = c.CreateInstance(process_guid="web", index=0, desired_revision=revision)
    assert web.board.say("brain/b1", create_instance=fourth).reason == "ResourceExists"
    _c1_is_back(index)
    back = {"unsuspect_instance": index.one(), "reinstate_instance": index.two()}
    assert {web.repair(*each) for each in back.items()} == {CONFLICT}


# One on each cell.


def test_an_instance_of_a_global_lrp_is_for_its_cell(web: Web) -> None:
    assert not web.desire(b"v2", mode=LrpDefinition.GLOBAL)
    row = web.create(index=5, cell_id="c2")
    assert row.needs.cell_id == "c2"
    assert web.place(row, "c1") == CONFLICT
    assert not web.place(row, "c2")
    placed = web.again(row)
    assert not web.repair("withdraw_instance", placed)
    (again,) = web.board.state().instances_at("web", 5)
    assert (again.needs.cell_id, again.instance_guid != row.instance_guid) == ("c2", True)


@pytest.mark.parametrize(
    ("mode", "cell_id"),
    [(LrpDefinition.GLOBAL, ""), (LrpDefinition.REPLICATED, "c1")],
)
def test_only_a_global_lrp_has_instances_for_a_cell(
    web: Web, mode: LrpDefinition.Mode.ValueType, cell_id: str
) -> None:
    assert not web.desire(b"v2", mode=mode)
    create = c.CreateInstance(
        process_guid="web", desired_revision=web.row().provenance.revision, cell_id=cell_id
    )
    assert web.board.say("brain/b1", create_instance=create).reason == "InvalidRequest"


def test_an_lrp_that_is_for_one_cell_is_placed_nowhere_else(web: Web) -> None:
    assert not web.desire(b"v2", needs={"cell_id": "c3"})
    row = web.create()
    assert web.place(row, "c1") == CONFLICT
    assert not web.place(row, "c3")


def test_the_brains_settings_stand_beside_its_lock(tmp_path: Path) -> None:
    board = Board.open(tmp_path)
    settings = BrainSettings(strategy="spread", mass_loss_percent=50)
    acquire = c.AcquireLock(name="brain", brain=settings)
    lock = board.say("brain/b1", acquire_lock=acquire).lock
    assert lock.brain == settings
    release = c.ReleaseLock(name="brain", token=lock.token)
    assert board.say("brain/b1", release_lock=release).lock.brain == settings
    second = board.say("brain/b2", acquire_lock=c.AcquireLock(name="brain")).lock
    assert not second.HasField("brain"), "it is another brain's now"
    board.environment.close()
