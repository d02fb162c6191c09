"""What `explain` says of tasks and instances in each state."""

import pytest

from diegod.scheduler.core.auction import Rules
from diegod.scheduler.core.explanation import (
    Explanation,
    Row,
    explain_instance,
    explain_task,
    snapshot_of,
)
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import (
    ActualLrp,
    Callback,
    Cell,
    Drain,
    PlacementNeeds,
    Resources,
    Task,
)
from tests.unit.scheduler.core.lots import RULES
from tests.unit.scheduler.core.rows import (
    NOW,
    a_cell,
    a_task,
    an_instance,
    an_lrp,
    at,
    on_lrp,
)


def task(row: Task, *rows: Row, rules: Rules = RULES) -> Explanation:
    return explain_task(snapshot_of([row, *rows]), row.task_guid, rules, NOW)


def instance(*rows: Row, index: int = 0) -> Explanation:
    return explain_instance(snapshot_of(rows), "web", index, RULES, NOW)


BIG = PlacementNeeds(
    resources=Resources(memory_mb=5000, disk_mb=1, containers=1),
    rootfs_provider="preloaded:busybox",
)
DRAINING = a_cell(cordoned=True, drain=Drain(began_at=at(NOW), deadline_at=at(NOW + 600)))


class TestTasks:
    def test_one_that_no_cell_can_take(self) -> None:
        said = task(a_task(needs=BIG), a_cell())
        text = "1 cell: 1 short of memory (nearest: cell-1 lacks 904 MB)"
        assert (said.state, said.reason) == ("PENDING", f"no cell can take it: {text}")
        assert said.deadline == NOW - 100 + 1800
        assert said.placement.nearest_miss.reasons == ("lacks 904 MB of memory",)

    def test_one_that_is_about_to_be_placed(self) -> None:
        said = task(a_task(), a_cell())
        assert said.reason == "it is about to be placed"
        assert said.placement.choice == "cell-1"

    def test_one_that_waits_for_something(self) -> None:
        said = task(a_task(depends_on=[on_lrp("db")]), a_cell(), an_lrp("db"))
        assert said.reason == "it waits for lrp db: 0 of 1 healthy"

    def test_one_that_is_placed(self) -> None:
        row = a_task(placed_cell_id="cell-1", placed_at=at(NOW - 1))
        said = task(row, a_cell(since=at(NOW - 5)))
        assert said.reason == "it is placed on cell-1, which has not taken it up yet"
        assert (said.cell_id, said.deadline) == ("cell-1", NOW + 9)

    def test_one_that_runs_does_not_stand_in_its_own_way(self) -> None:
        needs = PlacementNeeds(
            resources=Resources(memory_mb=4096, disk_mb=1, containers=1),
            rootfs_provider="preloaded:busybox",
        )
        row = a_task(
            "t",
            Task.RUNNING,
            needs=needs,
            cell_id="cell-1",
            started_at=at(NOW - 1),
            execution_timeout_ms=5000,
        )
        said = task(row, a_cell())
        assert (said.reason, said.deadline) == ("it runs on cell-1", NOW + 4)
        assert [each.cell_id for each in said.placement.possible] == ["cell-1"]
        assert said.placement.possible[0].score < 1

    def test_one_on_a_cell_that_is_being_drained(self) -> None:
        said = task(a_task("t", Task.RUNNING, cell_id="cell-1"), DRAINING)
        assert said.reason == "it runs on cell-1, which is being drained"
        assert said.deadline == NOW + 600

    def test_one_on_a_cell_that_is_missing(self) -> None:
        row = a_task("t", Task.RUNNING, cell_id="cell-1")
        said = task(row, a_cell(state=Cell.MISSING, since=at(NOW)))
        assert said.reason == "it was started on cell-1, which is missing"
        assert said.due == ("cell cell-1 disappeared before completion",)

    @pytest.mark.parametrize(
        ("fields", "callback", "reason"),
        [
            ({}, None, "it succeeded"),
            ({"failed": True, "failure_reason": "x"}, None, "it failed: x"),
            (
                {},
                Callback(delivered=True, http_status=204),
                "it succeeded; its callback answered with status 204",
            ),
            (
                {},
                Callback(tries=2, last_error="status 503", next_try_at=at(NOW + 5)),
                "it succeeded; its callback was not heard in 2 tries: status 503",
            ),
            (
                {},
                Callback(tries=9, last_error="status 503", given_up=True),
                "it succeeded; its callback was given up after 9 tries: status 503",
            ),
            ({}, Callback(), "it succeeded; its callback is about to be posted"),
        ],
    )
    def test_one_that_has_ended(
        self, fields: dict[str, object], callback: Callback | None, reason: str
    ) -> None:
        row = a_task("t", Task.COMPLETED, completed_at=at(NOW), retention_ms=60_000, **fields)
        if callback is not None:
            row.callback.CopyFrom(callback)
        said = task(row, a_cell())
        assert (said.reason, said.placement) == (reason, None)
        assert said.deadline is not None or said.due

    def test_one_that_is_being_resolved(self) -> None:
        said = task(a_task("t", Task.RESOLVING, since=at(NOW)))
        assert said.deadline == NOW + 30

    def test_one_that_is_not_there(self) -> None:
        said = explain_task(snapshot_of([]), "t", RULES, NOW)
        assert (said.state, said.reason) == ("", "there is no task t")

    def test_cells_may_come_with_how_full_they_are(self) -> None:
        """As `CellService.List` says it: then not every task and instance need be fetched."""
        row = a_task()
        used = Resources(memory_mb=4000, disk_mb=1, containers=1)
        said = explain_task(
            snapshot_of([row, a_cell()]),
            "t",
            RULES,
            NOW,
            cells=[CellStatus(cell=a_cell(), used=used)],
        )
        assert said.placement.nearest_miss.reasons == ("lacks 32 MB of memory",)


class TestInstances:
    @pytest.mark.parametrize(
        ("row", "state", "reason"),
        [
            (an_instance("web"), "RUNNING", "it runs on cell-1"),
            (
                an_instance("web", routable=False),
                "RUNNING",
                "it runs on cell-1 and is not routable",
            ),
            (an_instance("web", state=ActualLrp.CLAIMED), "CLAIMED", "cell-1 is starting it"),
            (an_instance("web", stopping=True), "RUNNING", "cell-1 has been asked to stop it"),
            (
                an_instance("web", presence=ActualLrp.EVACUATING),
                "RUNNING EVACUATING",
                "it serves on cell-1 until its replacement does",
            ),
            (
                an_instance("web", presence=ActualLrp.SUSPECT),
                "RUNNING SUSPECT",
                "cell-1, on which it ran, is missing",
            ),
            (
                an_instance("web", state=ActualLrp.UNCLAIMED, needs=BIG),
                "UNCLAIMED",
                "no cell can take it: 1 cell: 1 short of memory (nearest: cell-1 lacks 904 MB)",
            ),
            (
                an_instance("web", state=ActualLrp.UNCLAIMED),
                "UNCLAIMED",
                "it is about to be placed",
            ),
        ],
    )
    def test_each_state_in_words(self, row: ActualLrp, state: str, reason: str) -> None:
        said = instance(an_lrp("web"), row, a_cell())
        assert (said.title, said.state, said.reason) == ("web/0", state, reason)

    def test_one_that_waits_for_something(self) -> None:
        rows = an_lrp("web", depends_on=[on_lrp("db")]), an_instance("web", 0, ActualLrp.UNCLAIMED)
        assert instance(*rows, a_cell()).reason == "it waits for lrp db: there is none"

    def test_one_that_crashed(self) -> None:
        row = an_instance(
            "web",
            state=ActualLrp.CRASHED,
            crash_count=3,
            crash_reason="exit status 1",
            since=at(NOW - 10),
        )
        said = instance(an_lrp("web"), row)
        assert said.reason == "it crashed 3 times: exit status 1"
        assert (said.deadline, said.placement, said.cell_id) == (NOW + 20, None, "")

    def test_a_suspect_one_is_named_beside_its_replacement(self) -> None:
        suspect = an_instance(
            "web", presence=ActualLrp.SUSPECT, cell_id="cell-2", instance_guid="old"
        )
        rows = an_instance("web", state=ActualLrp.CLAIMED), suspect
        said = instance(an_lrp("web"), *rows, a_cell(), a_cell("cell-2", Cell.MISSING))
        assert said.reason == (
            "cell-1 is starting it; beside it one is RUNNING SUSPECT on cell-2"
        )

    @pytest.mark.parametrize(
        ("rows", "index", "reason"),
        [
            ([], 0, "there is no LRP web"),
            ([an_lrp("web", stopped=True)], 0, "web is stopped"),
            ([an_lrp("web", 2)], 2, "only 2 instances of web are desired"),
            ([an_lrp("web", 2)], 1, "it is about to be created"),
            ([an_lrp("web", 0, mode=LrpDefinition.GLOBAL)], 1, "it is about to be created"),
        ],
    )
    def test_why_there_is_none(self, rows: list[Row], index: int, reason: str) -> None:
        said = instance(*rows, index=index)
        assert (said.state, said.reason) == ("", reason)

    def test_its_own_instance_does_not_count_against_its_cell(self) -> None:
        cells = [a_cell(), a_cell("cell-2")]
        said = instance(an_lrp("web"), an_instance("web"), *cells)
        scores = {each.cell_id: each.score for each in said.placement.cells}
        assert scores["cell-1"] == scores["cell-2"]
