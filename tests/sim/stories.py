"""Stories with a script, for what chance brings about too seldom."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello, VoteRequest
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.store import identity as birth_record
from diegod.raftbbs.store.identity import Birth
from diegod.v1 import task_pb2
from diegod.v1.record_pb2 import Task
from diegod.world.ids import SeededIds
from tests.sim.history import FORMAT
from tests.sim.roles import MAP_SIZE, SimCell, voter
from tests.sim.workload import task_definition

if TYPE_CHECKING:
    from tests.sim.ring import Ring


async def guid_is_kept(ring: "Ring") -> float:
    """A task is cancelled and deleted before its cell has asked for the start; its guid is desired
    again, and refused.

    There is one cell, so what is desired instead is placed where the old one was. What the cell
    asks comes late: for the attempt of the task that is no more.
    """
    cell = ring.cells[0]
    for other in ring.cells[1:]:
        other.may_live = False
    ring.start()
    if not await ring.until(lambda: _is_ready(ring, cell), 20):
        ring.complain("the cell did not register")
    definition = task_definition("again", "runs=0.1")
    await _write(ring, "Desire", task_pb2.DesireTaskRequest(definition=definition))
    await ring.until(lambda: bool(_attempt(ring)), 10)
    for member in ring.members:
        ring.network.stall(cell.name, member.name)  # what it is told still reaches it
    await asyncio.sleep(1.0)
    await _write(ring, "Cancel", task_pb2.CancelTaskRequest(task_guid="again"))
    await _write(ring, "Delete", task_pb2.DeleteTaskRequest(task_guid="again"))
    try:
        await _write(ring, "Desire", task_pb2.DesireTaskRequest(definition=definition))
        ring.complain("the guid of a task that was deleted is taken again")
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_EXISTS:
            ring.complain(f"the guid of a task that was deleted: {error}")
    instead = task_definition("instead", "runs=0.1")
    await _write(ring, "Desire", task_pb2.DesireTaskRequest(definition=instead))
    ring.network.heal()
    if not await ring.until(lambda: "instead" in ring.history.ended_well, 20):
        ring.complain("the new task did not come to its end")
    if ring.starts.tasks["again"]:
        ring.complain("the task that was deleted was started")
    return 0.0


def _is_ready(ring: "Ring", cell: SimCell) -> bool:
    is_registered = cell.agent is not None and cell.agent.status().registered
    return is_registered and ring.history.cluster_format >= FORMAT


def _attempt(ring: "Ring") -> int:
    """The attempt under which the task is placed, by the member that leads; 0: it is not."""
    for member in ring.members:
        if member.leads:
            state = member.state()
            with state.transaction:
                task = state.task("again") or Task()
            return task.attempt if task.placed_cell_id else 0
    return 0


async def _write(ring: "Ring", verb: str, request: object) -> None:
    """Done when it is acknowledged."""
    client, process = ring.workload.client, ring.clients["alice"]
    await process.spawn(client.call(f"diegod.v1.TaskService/{verb}", request, 10.0))


def votes_of_one_term(folder: Path) -> list[str]:
    """For whom a member votes in one term, when it is restarted between two who ask.

    Not of the ring: pre-votes, which the asked member remembers no better, make it so unlikely
    there that some hundred seeds never showed it.
    """
    voters = tuple(voter(name) for name in ("bbs-a", "bbs-b", "bbs-c"))
    birth = Birth("cluster", "sim", "bbs-b", "store-b", voters)
    birth_record.create(folder, birth, durable=False)
    return [who for who in ("bbs-a", "bbs-c") if _votes_for(who, folder, birth)]


def _votes_for(candidate: str, folder: Path, birth: Birth) -> bool:
    """One life of the member: somebody asks for its vote in term 5, and then it is killed."""
    environment, _ = birth_record.load(folder, durable=False, map_size=MAP_SIZE)
    try:
        engine = Engine(environment, birth, lambda *entry: None, SeededIds(candidate), 0.0)
        engine.connected(candidate)
        hello = RaftHello(
            cluster_id=birth.cluster_id,
            member_id=candidate,
            store_id=f"store of {candidate}",
            store_format=birth.store_format,
        )
        asking = VoteRequest(term=5, last_log_term=1, last_log_index=10)
        inbox = [(candidate, RaftFrame(hello=hello)), (candidate, RaftFrame(vote_request=asking))]
        result = engine.step(inbox, [], [], 0.1)
        assert not result.refused, result.refused
        return any(frame.WhichOneof("frame") == "vote_reply" for _, frame in result.outbox)
    finally:
        environment.close()
