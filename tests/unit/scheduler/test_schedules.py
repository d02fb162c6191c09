"""Schedules through brains: each slot once, whoever is lost at the tick.

The board's replicated time begins at 1970-01-12T13:46:40Z: the first whole minute is 20 s away.
"""

import asyncio

from diegod.models.errors import Reason
from diegod.v1.record_pb2 import Task, TaskSchedule
from diegod.v1.task_pb2 import ControlScheduleRequest
from tests.unit.scheduler.test_brain import Cluster, play

FIRST_TICK_S = 20.0


def made(cluster: Cluster) -> list[str]:
    """The tasks of slots, by the time of day; in the order in which they were made."""
    tasks = [change.task for change in cluster.board.history if change.WhichOneof("row") == "task"]
    guids = dict.fromkeys(task.task_guid for task in tasks if task.schedule_name == "report")
    return [guid.removeprefix("report-19700112T") for guid in guids]


def row(cluster: Cluster) -> TaskSchedule:
    found = cluster.board.task_schedule("report")
    assert found is not None
    return found


async def tasks_end(cluster: Cluster) -> None:
    """As soon as one runs, it ends."""
    while True:
        await asyncio.sleep(0.1)
        for task in cluster.board.all(Task):
            if task.state == Task.RUNNING:
                cluster.people.complete_task(task.task_guid)


def a_cell_that_works(cluster: Cluster) -> asyncio.Task[None]:
    cluster.people.cell("cell-1")
    return asyncio.create_task(tasks_end(cluster))


def test_each_slot_makes_its_task_at_its_time() -> None:
    async def scenario(cluster: Cluster) -> None:
        works = a_cell_that_works(cluster)
        cluster.start()
        cluster.people.schedule("report", "* * * * *")
        await asyncio.sleep(FIRST_TICK_S - 0.1)
        assert made(cluster) == []
        await asyncio.sleep(0.3)
        assert made(cluster) == ["134700Z"]
        await asyncio.sleep(180)
        works.cancel()

    cluster = play(scenario)
    assert made(cluster) == ["134700Z", "134800Z", "134900Z", "135000Z"]
    assert (row(cluster).fired, row(cluster).skipped, row(cluster).missed) == (4, 0, 0)
    assert row(cluster).last_task_guid == "report-19700112T135000Z"


def test_a_brain_that_is_lost_at_the_tick_is_followed_by_one_that_fires_once() -> None:
    """Killed a little before, at, and a little after the tick, with or without an answer."""
    for early_s in (0.05, 0.012, 0.005, -0.005, -0.015, -0.05):

        async def scenario(cluster: Cluster, early_s: float = early_s) -> None:
            works = a_cell_that_works(cluster)
            cluster.start("brain-1")
            cluster.people.schedule("report", "* * * * *")
            await asyncio.sleep(FIRST_TICK_S - early_s)
            cluster.kill("brain-1")
            cluster.expire_lock()
            cluster.start("brain-2")
            await asyncio.sleep(10)
            works.cancel()

        cluster = play(scenario)
        assert made(cluster) == ["134700Z"], early_s
        assert row(cluster).fired == 1


def test_two_brains_that_both_believe_in_their_lock_fire_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        works = a_cell_that_works(cluster)
        first = cluster.start("brain-1")
        await cluster.until(lambda: first.status().active, 1.0)
        cluster.people.schedule("report", "* * * * *")
        await asyncio.sleep(FIRST_TICK_S - 5)
        cluster.expire_lock()  # the first one renews only every 3 s
        cluster.start("brain-2")
        await asyncio.sleep(70)
        works.cancel()

    assert made(play(scenario)) == ["134700Z", "134800Z"]


def test_an_answer_that_is_lost_fires_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        works = a_cell_that_works(cluster)
        cluster.start()
        cluster.people.schedule("report", "* * * * *")
        await asyncio.sleep(FIRST_TICK_S - 1)
        cluster.bbs["brain-1"].submit_fails = Reason.UNKNOWN_OUTCOME
        await asyncio.sleep(3)
        cluster.bbs["brain-1"].submit_fails = None
        await asyncio.sleep(30)
        works.cancel()

    assert made(play(scenario)) == ["134700Z"]


def test_what_no_brain_was_there_for_is_missed_and_said() -> None:
    async def scenario(cluster: Cluster) -> None:
        works = a_cell_that_works(cluster)
        cluster.people.schedule("report", "* * * * *")
        await asyncio.sleep(5 * 60)
        cluster.start()
        await asyncio.sleep(5)
        works.cancel()

    cluster = play(scenario)
    assert made(cluster) == ["135100Z"]
    assert (row(cluster).fired, row(cluster).missed) == (1, 4)
    assert row(cluster).last_skip_reason == (
        "4 slots were missed, the last at 1970-01-12T13:50:00Z"
    )
    assert cluster.bbs["brain-1"].actions()[:2] == ["skip_slots", "fire_schedule"]


def test_a_task_that_goes_on_keeps_the_next_slot_from_being_fired() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.people.cell("cell-1")
        cluster.start()
        cluster.people.schedule("report", "* * * * *")
        await asyncio.sleep(FIRST_TICK_S + 130)
        cluster.people.complete_task("report-19700112T134700Z")
        await asyncio.sleep(60)

    cluster = play(scenario)
    assert made(cluster) == ["134700Z", "135000Z"]
    assert (row(cluster).fired, row(cluster).skipped, row(cluster).missed) == (2, 2, 0)
    assert row(cluster).last_skip_reason == (
        "task report-19700112T134700Z of an earlier slot has not ended"
    )


def test_paused_it_waits_and_resumed_it_has_missed_nothing() -> None:
    async def scenario(cluster: Cluster) -> None:
        works = a_cell_that_works(cluster)
        cluster.start()
        cluster.people.schedule("report", "* * * * *")
        cluster.people.control_schedule("report", ControlScheduleRequest.PAUSE)
        await asyncio.sleep(FIRST_TICK_S + 130)
        cluster.people.control_schedule("report", ControlScheduleRequest.RESUME)
        await asyncio.sleep(5)
        assert made(cluster) == []
        await asyncio.sleep(60)
        works.cancel()

    cluster = play(scenario)
    assert made(cluster) == ["135000Z"]
    assert row(cluster).missed == 0
