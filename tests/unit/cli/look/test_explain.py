"""`diegod explain`: what is found out, and how it is told."""

import json
from typing import Any

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import GetCellReply, ListCellsReply
from diegod.v1.cluster_pb2 import GetStatusReply
from diegod.v1.definition_pb2 import Dependency
from diegod.v1.event_pb2 import StoryReply, WatchReply
from diegod.v1.lrp_pb2 import GetLrpReply, ListInstancesReply
from diegod.v1.record_pb2 import (
    ActualLrp,
    BrainSettings,
    Cell,
    Change,
    DesiredLrp,
    Drain,
    Lock,
    Rollout,
    Task,
    Transition,
)
from diegod.v1.task_pb2 import GetScheduleReply, GetTaskReply, ListTasksReply
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster

NONE = DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")
CHOICE = "web/0: cell-1 is spread's choice of 2 possible cells"


def waiting(**more: Any) -> Task:
    """A task that is nowhere."""
    task = records.a_task("big", state=Task.PENDING)
    for name in ("cell_id", "placed_cell_id", "attempt", "exit_status_known", "completed_at"):
        task.ClearField(name)
    for name in ("started_at", "depends_on", "callback"):
        task.ClearField(name)
    task.needs.cell_id = ""
    task.needs.placement_tags[:] = []
    task.needs.rootfs_provider = "preloaded:busybox"
    task.needs.resources.memory_mb = 64_000
    task.needs.strategy, task.start_deadline_ms = "", 600_000
    task.placement_error = "3 cells: 2 short of memory"
    task.MergeFrom(Task(**more))
    return task


class Plant:
    """What a cluster answers, to be changed by a test before it asks."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.tasks = {"big": waiting()}
        self.lrps = {"web": records.the_lrp()}
        self.cells = [
            records.a_cell("cell-1"),
            records.a_cell("cell-2"),
            records.a_cell("cell-3", state=Cell.MISSING),
        ]
        for each in self.cells:
            each.cell.optional_placement_tags[:] = []
        self.schedule = records.a_schedule()
        self.status = GetStatusReply(brain_id="brain-1")
        self.story: list[Transition] = []
        lock = Lock(name="brain", owner="brain/brain-1", brain=BrainSettings(full_pass_s=20))
        cluster.watched = [
            WatchReply(rows=[Change(verb=Change.CHANGED, lock=lock)], rows_end=True)
        ]
        cluster.calls = {
            "TaskService/Get": lambda r: (
                GetTaskReply(task=self.tasks[r.task_guid]) if r.task_guid in self.tasks else NONE
            ),
            "LrpService/Get": lambda r: self.lrps.get(r.process_guid, NONE),
            "CellService/Get": lambda r: next(
                (GetCellReply(cell=c) for c in self.cells if c.cell.cell_id == r.cell_id), NONE
            ),
            "ClusterService/GetStatus": lambda r: self.status,
            "EventService/Story": lambda r: StoryReply(transitions=self.story),
            "DomainService/List": lambda r: records.domains(),
            "TaskScheduleService/Get": lambda r: (
                GetScheduleReply(schedule=self.schedule) if r.name == self.schedule.name else NONE
            ),
        }
        cluster.streams = {
            "CellService/List": lambda r: [ListCellsReply(cells=self.cells)],
            "TaskService/List": lambda r: [ListTasksReply(tasks=self.tasks.values())],
            "LrpService/ListInstances": lambda r: [
                ListInstancesReply(actual_lrps=self.lrps["web"].instances)
            ],
        }


@pytest.fixture
def plant(cluster: FakeCluster) -> Plant:
    return Plant(cluster)


def placed(cause: str, guid: str) -> Transition:
    return Transition(
        revision=17, state="UNCLAIMED", cell_id="cell-1", by="brain/brain-1", cause=cause,
        instance_guid=guid,
    )  # fmt: skip


def test_a_task_that_is_nowhere(plant: Plant, run: Run) -> None:
    result = run("explain", "big")
    assert (result.status, result.err) == (0, "")
    result.same_as("explain-nowhere.table")


def test_every_cell_with_every_reason(plant: Plant, run: Run) -> None:
    run("explain", "big", "-o", "wide").same_as("explain-nowhere.wide")


def test_for_programs_the_counts_sum_up_to_the_cells(plant: Plant, run: Run) -> None:
    result = run("explain", "big", "-o", "json")
    result.same_as("explain-nowhere.json")
    placement = json.loads(result.text)["placement"]
    excluded = sum(each["first"] for each in placement["filters"])
    assert excluded + placement["possible"] == len(placement["cells"]) == 3


def test_what_has_room_says_where_it_would_go(plant: Plant, run: Run) -> None:
    plant.tasks["big"].needs.resources.memory_mb = 64
    text = run("explain", "big").text
    assert "would be placed   cell-1, by strategy spread, of 2 possible cells" in text


def test_a_strategy_that_is_not_installed_is_said(plant: Plant, run: Run) -> None:
    plant.tasks["big"].needs.resources.memory_mb = 64
    plant.tasks["big"].needs.strategy = "nosuch"
    assert 'refused   the brain has no placement strategy "nosuch"' in run("explain", "big").text


def test_an_instance_is_where_it_is_because_the_brain_chose_so(plant: Plant, run: Run) -> None:
    plant.story = [placed("web/0: old", "i9"), placed(CHOICE, "i0"), placed("started", "i0")]
    result = run("explain", "web/0")
    assert result.text.splitlines()[0] == "web/0 is on cell-1"
    fields = dict(line.split("   ", 1) for line in result.text.splitlines()[1:])
    assert fields["placed because"].strip() == f"{CHOICE} (revision 17, brain/brain-1)"
    assert fields["at rest"].strip() == "runs on cell-1"


def test_a_crashed_instance_says_when_it_is_tried_again(plant: Plant, run: Run) -> None:
    result = run("explain", "web/1")
    assert "restarts after 4 crashes (exit 1)" in result.text


def test_an_lrp_and_each_of_its_instances(plant: Plant, run: Run) -> None:
    run("explain", "web").same_as("explain-lrp.table")


def test_a_stopped_lrp_is_called_so(plant: Plant, run: Run) -> None:
    plant.lrps["web"].desired_lrp.stopped = True
    assert run("explain", "web").text.splitlines()[0] == "web: STOPPED"


def test_a_schedule_says_when_its_next_slot_is(plant: Plant, run: Run) -> None:
    plant.tasks = {
        "nightly-1": records.a_task("nightly-1", state=Task.RUNNING, schedule_name="nightly"),
        "other": records.a_task("other", state=Task.RUNNING),
    }
    run("explain", "nightly").same_as("explain-schedule.table")
    assert run("explain", "schedule:nightly", "-o", "name").text == "nightly\nnightly-1\n"


def test_a_schedule_that_only_people_dispatch_has_no_slot(plant: Plant, run: Run) -> None:
    plant.schedule.cron = ""
    text = run("explain", "nightly").text
    assert "has no clock; it waits for: diegod task dispatch nightly" in text


def test_no_brain_is_said(plant: Plant, run: Run) -> None:
    plant.status = GetStatusReply()
    result = run("explain", "big")
    assert "no brain is active" in result.text
    assert result.err == (
        "no brain is active: nothing is placed, moved or repaired. diegod status\n"
    )


def test_dependencies_are_told_as_they_are_now(plant: Plant, run: Run) -> None:
    plant.tasks["big"].depends_on.extend(
        [Dependency(lrp="web"), Dependency(task="before"), Dependency(lrp="none")]
    )
    plant.tasks["before"] = records.a_task("before", failed=True)
    lines = [line for line in run("explain", "big").text.splitlines() if "depends on" in line]
    assert [line.split("   ", 1)[1].strip() for line in lines] == [
        "lrp web: 2 of 3 running and routable",
        "task before: COMPLETED (failed)",
        "lrp none: there is none",
    ]


def test_a_paused_rollout_waits_for_a_person(plant: Plant, run: Run) -> None:
    paused = Rollout(state=Rollout.PAUSED, reason="no progress for 10 min")
    plant.lrps["web"].desired_lrp.rollout.CopyFrom(paused)
    text = run("explain", "web").text
    assert text.splitlines()[0] == "web: 2 of 3 running and routable, rollout PAUSED"
    assert "diegod lrp resume web" in text


def test_an_instance_and_the_one_that_takes_its_place_are_not_two(plant: Plant, run: Run) -> None:
    web = plant.lrps["web"]
    leaving = records.an_instance(0, instance_guid="old", presence=ActualLrp.EVACUATING)
    web.instances.append(leaving)
    assert run("explain", "web").text.startswith("web: 2 of 3 running and routable")


def test_a_drained_cell_says_what_it_waits_for(plant: Plant, run: Run) -> None:
    cell = plant.cells[0].cell
    cell.drain.CopyFrom(Drain(began_at=records.ago(10), deadline_at=records.ago(-50)))
    task = records.a_task("long", state=Task.RUNNING)
    task.ClearField("completed_at")
    task.execution_timeout_ms = 0
    plant.tasks = {"long": task}
    text = run("explain", "cell-1").text
    assert "is being drained: 4 left on it" in text
    assert "web/0" in text
    [line] = [line for line in text.splitlines() if line.startswith("long")]
    assert "cell-1 is being drained" in line
    assert "in 50s" in line


def test_an_instance_that_nobody_desires(plant: Plant, run: Run) -> None:
    plant.lrps = {
        "web": GetLrpReply(
            desired_lrp=DesiredLrp(process_guid="web"),
            instances=[records.an_instance(0, process_guid="ghost", domain="shop")],
        )
    }
    text = run("explain", "cell-1").text
    assert 'nobody desires it; kept until domain "shop" is fresh' in text


def test_an_index_that_is_not_there(plant: Plant, run: Run) -> None:
    result = run("explain", "web/7")
    assert (result.status, result.err) == (
        3,
        "diegod: no instance web/7. diegod explain web\n",
    )


def test_an_unplaced_instance_of_every_presence(plant: Plant, run: Run) -> None:
    rows = [
        records.an_instance(0, state=ActualLrp.UNCLAIMED, cell_id="", placement_error="no room"),
        records.an_instance(0, presence=ActualLrp.SUSPECT, cell_id="cell-3", instance_guid="s"),
    ]
    del plant.lrps["web"].instances[:]
    plant.lrps["web"].instances.extend(rows)
    text = run("explain", "web/0").text
    assert "web/0 is nowhere: 3 cells, 2 of them possible" in text
    assert "RUNNING, SUSPECT" in text
    assert "cell-3 is missing: it counts until its replacement runs" in text


def test_what_has_ended_was_somewhere(plant: Plant, run: Run) -> None:
    plant.tasks = {"done": records.a_task("done")}
    plant.tasks["done"].ClearField("callback")
    text = run("explain", "done").text
    assert text.splitlines()[0] == "done ran on cell-1"
    assert "ended; kept until it is fetched and deleted" in text
