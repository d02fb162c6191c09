"""The BBS leader is killed while a task is submitted; the killed member comes back."""

import asyncio
import time

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.errors import DomainError
from diegod.v1.cluster_pb2 import GetBbsStatusReply
from diegod.v1.record_pb2 import Task
from tests.demo.evidence import require_one_start
from tests.demo.report import NotSeen
from tests.demo.stage import Stage

_GUID = "meanwhile"
_LINE = "ran meanwhile"
_ELECTED_S = 15.0
_CAUGHT_UP_S = 15.0
_PAUSE_S = 0.02


async def run(stage: Stage) -> None:
    status = await stage.client.bbs_status()
    leader, members = status.leader_id, [member.member_id for member in status.members]
    survivors = stage.cluster.client(*(name for name in members if name != leader))
    try:
        began = time.monotonic()
        await stage.cluster.kill(leader)
        submitting = asyncio.create_task(_submit(stage.client))
        try:
            new = await _new_leader(survivors, leader)
            stage.report.seen(
                f"kill -9 {leader} (leader, term {status.term}) → "
                f"{new.leader_id} leads term {new.term}",
                time.monotonic() - began,
                revision=new.revision,
            )
            await _meanwhile(stage, await submitting, time.monotonic() - began)
        finally:
            submitting.cancel()
        await _comes_back(stage, survivors, leader)
    finally:
        await survivors.close()


async def _submit(client: Client) -> Task:
    """Begun right after the kill, when there is no leader."""
    argv = ["sh", "-c", f"echo {_LINE}"]
    await client.tasks.desire(task_definition(_GUID, rootfs="preloaded:busybox", argv=argv))
    return await client.tasks.wait(_GUID)


async def _new_leader(survivors: Client, old: str) -> GetBbsStatusReply:
    try:
        async with asyncio.timeout(_ELECTED_S):
            while (status := await _status(survivors)).leader_id in ("", old):
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise NotSeen(f"no new leader within {_ELECTED_S:g} s") from None
    return status


async def _status(client: Client) -> GetBbsStatusReply:
    """Empty where nobody answers."""
    try:
        return await client.bbs_status()
    except DomainError:
        return GetBbsStatusReply()


async def _meanwhile(stage: Stage, task: Task, seconds: float) -> None:
    if not task.exit_status_known or task.exit_status != 0:
        raise NotSeen(f"the task did not exit with 0: {task.failure_reason}")
    stage.task_lines[_GUID] = _LINE
    await stage.sabotage("leader")
    require_one_start(stage.cluster, _GUID, _LINE)
    stage.report.seen(
        "task submitted meanwhile: ran once, exit 0", seconds, cell=task.cell_id, line=_LINE
    )


async def _comes_back(stage: Stage, survivors: Client, name: str) -> None:
    """The killed member, by its own word, has all that the others had when it was started."""
    goal = (await survivors.bbs_status()).commit_index
    began = time.monotonic()
    await stage.cluster.start_part(name)
    member = stage.cluster.client(name)
    try:
        async with asyncio.timeout(_CAUGHT_UP_S):
            while (status := await _status(member)).applied_index < goal or not status.leader_id:
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise NotSeen(f"{name} was started again and has not caught up: {status}") from None
    finally:
        await member.close()
    stage.report.seen(
        f"{name} started again, has caught up with entry {goal}",
        time.monotonic() - began,
        follows=status.leader_id,
        applied_index=status.applied_index,
    )
