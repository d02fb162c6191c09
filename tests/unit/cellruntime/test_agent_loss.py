"""The agent is killed at every await of a whole life, and another one takes over: whatever was
under way, nothing starts twice, everything gets its end, and nothing is left behind.
"""

import asyncio

from diegod.testing.fake_backend import Script
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition
from diegod.v1.record_pb2 import ActualLrp, Task
from tests.unit.cellruntime.test_agent import RUN, desire_web, instance
from tests.unit.cellruntime.worlds import OWNER, World, play

#: Starting takes a while, so that a start can be under way when its agent dies.
JOB_SCRIPT = Script(runs_s=1.0, start_s=0.2)
WEB_SCRIPT = Script(start_s=0.2)


def desire_job(world: World) -> None:
    world.board.desire_task(
        TaskDefinition(task_guid="job", rootfs="preloaded:busybox", action=RUN, memory_mb=8)
    )


async def is_over(world: World) -> None:
    await world.until(lambda: world.task().state == Task.COMPLETED)
    await world.until(lambda: not world.disk and not world.host.handles(OWNER))
    await world.until(lambda: not world.agent.machine.containers)


def points_of_a_task() -> int:
    counted: list[int] = []

    async def scenario(world: World) -> None:
        desire_job(world)
        world.live()
        await is_over(world)
        counted.append(world.points.count)

    play(scenario, JOB_SCRIPT)
    return counted[0]


def test_a_task_survives_the_loss_of_its_agent_at_every_await() -> None:
    outcomes: dict[str, int] = {}
    points = points_of_a_task()
    assert points > 30

    for die_at in range(1, points + 1):

        async def scenario(world: World, die_at: int = die_at) -> None:
            desire_job(world)
            world.live(die_at)
            await world.run_to_death()
            world.live()
            await is_over(world)
            task = world.task()
            assert world.task_starts() <= 1, f"await {die_at}: {world.host.starts}"
            assert task.exit_status_known == (world.task_starts() == 1 and not task.outcome_unknown)
            assert task.exit_status_known or task.outcome_unknown
            kind = "unknown" if task.outcome_unknown else "known"
            outcomes[kind] = outcomes.get(kind, 0) + 1

        play(scenario, JOB_SCRIPT)

    assert sum(outcomes.values()) == points
    assert outcomes["known"] > outcomes.get("unknown", 0)


def test_a_task_survives_the_loss_of_two_agents() -> None:
    """The second dies while it takes up what the first has left."""
    points = points_of_a_task()
    for die_at in range(points // 3, points, 5):
        for second in range(10, 40, 4):

            async def scenario(world: World, first: int = die_at, second: int = second) -> None:
                desire_job(world)
                world.live(first)
                await world.run_to_death()
                world.live(second)
                death = asyncio.create_task(world.run_to_death())
                await asyncio.wait([death], timeout=30)
                death.cancel()
                await world.die()
                world.live()
                await is_over(world)
                assert world.task_starts() <= 1, (first, second)

            play(scenario, JOB_SCRIPT)


def test_an_instance_survives_the_loss_of_its_agent_at_every_await() -> None:
    """One that was RUNNING is the same process afterwards; another may have been made anew."""
    for die_at in range(1, 60):

        async def scenario(world: World, die_at: int = die_at) -> None:
            guid = desire_web(world)
            world.live(die_at)
            death = asyncio.create_task(world.run_to_death())
            await asyncio.wait([death], timeout=30)
            death.cancel()
            await world.die()
            was_running = instance(world, guid).state == ActualLrp.RUNNING
            world.live()
            await world.until(
                lambda: instance(world, guid).state in (ActualLrp.RUNNING, ActualLrp.CRASHED)
            )
            await asyncio.sleep(60)
            assert max(world.host.starts.values()) == 1
            is_running = instance(world, guid).state == ActualLrp.RUNNING
            assert len(world.host.running()) == int(is_running)
            assert is_running or not was_running, f"await {die_at}"

        play(scenario, WEB_SCRIPT)


def test_rows_of_two_kinds_do_not_mix() -> None:
    """A task and a process may bear the same name."""

    async def scenario(world: World) -> None:
        desire_job(world)
        world.board.desire_lrp(
            LrpDefinition(process_guid="job", rootfs="preloaded:busybox", action=RUN, memory_mb=8)
        )
        guid = world.board.create_instance("job", 0)
        world.live()
        await world.until(lambda: len(world.host.running()) == 2)
        assert sorted(world.host.starts)[0] == f"l-{guid}"

    play(scenario, Script())
