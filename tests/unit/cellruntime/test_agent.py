"""The agent in its world: what it does when all is well, and when the BBS is not there."""

import asyncio

import pytest

from diegod.contracts.backend import BackendError
from diegod.testing.fake_backend import Script
from diegod.v1.definition_pb2 import (
    Action,
    Check,
    CheckDefinition,
    LrpDefinition,
    PortMapping,
    RunAction,
    TaskDefinition,
    TcpCheck,
)
from diegod.v1.record_pb2 import ActualLrp, Cell, Task
from tests.unit.cellruntime.worlds import ME, OWNER, World, play

RUN = Action(run=RunAction(path="/bin/job"))
JOB = TaskDefinition(task_guid="job", rootfs="preloaded:busybox", action=RUN, memory_mb=8)
WEB = LrpDefinition(
    process_guid="web",
    rootfs="preloaded:busybox",
    action=RUN,
    memory_mb=8,
    ports=[PortMapping(name="http", container_port=8080)],
    check_definition=CheckDefinition(checks=[Check(tcp_check=TcpCheck(port=8080))]),
    start_timeout_ms=10_000,
)
ENDS = Script(runs_s=1.0, status=3)


def desire_web(world: World) -> str:
    world.board.desire_lrp(WEB)
    return world.board.create_instance("web", 0)


def instance(world: World, guid: str) -> ActualLrp:
    row = world.board.rows["actual_lrp", guid]
    assert isinstance(row, ActualLrp)
    return row


async def running_web(world: World) -> str:
    guid = desire_web(world)
    world.live()
    await world.until(lambda: instance(world, guid).state == ActualLrp.RUNNING)
    return guid


def test_a_task_runs_once_and_its_end_is_told() -> None:
    async def scenario(world: World) -> None:
        world.board.desire_task(JOB)
        world.live()
        await world.until(lambda: world.task().state == Task.COMPLETED)
        assert (world.task().exit_status, world.task().failed) == (3, True)
        assert world.task_starts() == 1
        await world.until(lambda: not world.agent.machine.containers)
        assert not world.disk
        assert not world.host.handles(OWNER)

    play(scenario, ENDS)


def test_the_cell_says_what_it_has_when_it_registers() -> None:
    async def scenario(world: World) -> None:
        world.live()
        await world.agent.registered()
        cell = world.board.rows["cell", ME]
        assert list(cell.rootfs_providers) == ["preloaded:busybox", "dir"]
        assert cell.isolation == "fake: nothing runs"
        await world.until(lambda: world.agent.status().lease_held)

    play(scenario)


def test_an_instance_is_running_with_its_port_when_it_is_healthy() -> None:
    async def scenario(world: World) -> None:
        guid = await running_web(world)
        row = instance(world, guid)
        assert row.routable
        assert (row.net_info.address, row.net_info.instance_address) == ("10.0.0.1", "10.0.0.1")
        (port,) = row.net_info.ports
        assert (port.name, port.container_port, port.host_port) == ("http", 8080, 61000)

    play(scenario)


def test_an_unhealthy_instance_crashes_with_the_reason_of_its_check() -> None:
    async def scenario(world: World) -> None:
        guid = await running_web(world)
        world.check.problem = "connection refused on port 8080"
        await world.until(lambda: instance(world, guid).state == ActualLrp.CRASHED)
        reason = "became unhealthy: connection refused on port 8080"
        assert instance(world, guid).crash_reason == reason
        assert not world.host.running()

    play(scenario)


def test_a_check_that_this_cell_has_not_is_never_healthy() -> None:
    async def scenario(world: World) -> None:
        guid = desire_web(world)
        world.live(checks={})
        await world.until(lambda: instance(world, guid).state == ActualLrp.CRASHED)
        reason = 'never healthy after 10 s: this cell has no health check "tcp"'
        assert instance(world, guid).crash_reason == reason

    play(scenario)


def test_a_retired_instance_is_stopped_and_removed() -> None:
    async def scenario(world: World) -> None:
        guid = await running_web(world)
        world.board.retire_instance(guid)
        await world.until(lambda: ("actual_lrp", guid) not in world.board.rows)
        assert not world.host.running()

    play(scenario, Script(term_status=None))  # it has to be killed


def test_a_cancelled_task_is_stopped() -> None:
    async def scenario(world: World) -> None:
        world.board.desire_task(JOB)
        world.live()
        await world.until(lambda: bool(world.host.running()))
        world.board.do("user/a", cancel_task={"task_guid": "job"})
        await world.until(lambda: not world.agent.machine.containers)
        assert world.task().failure_reason == "task was cancelled"
        assert not world.host.running()

    play(scenario)


@pytest.mark.parametrize(
    "command", ["start_task", "complete_task", "claim_instance", "start_instance"]
)
def test_a_lost_answer_changes_nothing(command: str) -> None:
    async def scenario(world: World) -> None:
        world.board.desire_task(JOB)
        guid = desire_web(world)
        world.live()
        world.bbs.lost_answers.append(command)
        await world.until(lambda: any("start_instance" in call for call in world.bbs.calls))
        await world.until(lambda: not world.bbs.lost_answers)
        await world.until(lambda: world.task().state == Task.COMPLETED)
        assert max(world.host.starts.values()) == 1
        assert world.task().exit_status_known
        assert instance(world, guid).crash_count <= 1  # it ends by itself, as the task does

    play(scenario, Script(runs_s=5.0))


def test_what_waits_goes_in_one_call() -> None:
    async def scenario(world: World) -> None:
        for n in range(10):
            job = TaskDefinition()
            job.CopyFrom(JOB)
            job.task_guid = f"job-{n}"
            world.board.desire_task(job)
        world.live()
        await world.until(lambda: world.task_starts() == 10)
        assert max(call.count("start_task") for call in world.bbs.calls) >= 5

    play(scenario)


def test_a_cut_off_cell_keeps_everything_running_and_registers_anew() -> None:
    async def scenario(world: World) -> None:
        guid = await running_web(world)
        world.bbs.cut = True
        await asyncio.sleep(3600)
        assert not world.agent.status().lease_held
        assert len(world.host.running()) == 1
        incarnation = world.agent.status().incarnation
        world.board.do("bbs/bbs-1", expire_cell={"cell_id": ME, "incarnation": incarnation})
        world.bbs.cut = False
        await world.until(lambda: world.agent.status().incarnation == 2)
        await world.until(lambda: world.agent.status().lease_held)
        assert instance(world, guid).state == ActualLrp.RUNNING
        assert max(world.host.starts.values()) == 1

    play(scenario)


def test_a_grant_from_before_a_suspend_is_not_used() -> None:
    """The machine sleeps for an hour while the container is being created."""

    async def scenario(world: World) -> None:
        world.board.desire_task(JOB)
        world.create_s = 0.5
        world.live()
        await world.until(lambda: world.task().state == Task.RUNNING)
        world.bbs.cut = True
        world.clock.suspended_s += 3600
        await asyncio.sleep(1)
        assert world.task_starts() == 0
        world.bbs.cut = False
        await world.until(lambda: world.task().state == Task.PENDING)
        assert world.task().rejection_reason == "not started: the grant came too late"
        assert world.task_starts() == 0

    play(scenario)


def test_a_host_that_can_not_run_containers_is_not_registered() -> None:
    async def scenario(world: World) -> None:
        world.host._script_for = lambda spec: Script(refuse_start="operation not permitted")
        world.live()
        assert world._running is not None
        with pytest.raises(BackendError) as error:
            await world._running
        assert str(error.value) == (
            "cell cell-1 can't run containers: operation not permitted "
            "(starting it, a trial container)"
        )
        assert ("cell", ME) not in world.board.rows
        assert not world.host.handles(OWNER)

    play(scenario)


def test_stop_leaves_the_containers_and_the_next_agent_takes_them_up() -> None:
    async def scenario(world: World) -> None:
        guid = await running_web(world)
        revision = instance(world, guid).provenance.revision
        await world.agent.stop()
        assert len(world.host.running()) == 1
        world.live()
        await world.until(lambda: world.agent.status().incarnation == 2)
        await asyncio.sleep(60)
        assert instance(world, guid).provenance.revision == revision
        assert max(world.host.starts.values()) == 1

    play(scenario)


def test_what_ended_while_the_agent_was_away_has_crashed() -> None:
    async def scenario(world: World) -> None:
        guid = await running_web(world)
        await world.die()
        world.host.crash(f"l-{guid}", 7)
        world.live()
        await world.until(lambda: instance(world, guid).state == ActualLrp.CRASHED)
        assert instance(world, guid).crash_reason == "exited with status 7"

    play(scenario)


def test_after_a_reboot_a_task_is_unknown_and_an_instance_has_crashed() -> None:
    async def scenario(world: World) -> None:
        world.board.desire_task(JOB)
        guid = await running_web(world)
        await world.until(lambda: len(world.host.running()) == 2)
        await world.die()
        world.host.reboot()
        world.live()
        await world.until(lambda: world.task().state == Task.COMPLETED)
        await world.until(lambda: instance(world, guid).state == ActualLrp.CRASHED)
        assert world.task().outcome_unknown
        assert max(world.host.starts.values()) == 1

    play(scenario)


def test_remove_all_leaves_nothing() -> None:
    async def scenario(world: World) -> None:
        await running_web(world)
        await world.agent.remove_all()
        assert not world.host.running()
        assert not world.disk
        assert not world.host.handles(OWNER)

    play(scenario)


def test_status_names_every_container() -> None:
    async def scenario(world: World) -> None:
        guid = await running_web(world)
        status = world.agent.status()
        (container,) = status.containers
        assert (container.handle, container.state, container.host_ports) == (
            f"l-{guid}",
            "running",
            (61000,),
        )
        assert (status.used.memory_mb, status.used.containers) == (8, 1)
        assert isinstance(world.board.rows["cell", ME], Cell)

    play(scenario)
