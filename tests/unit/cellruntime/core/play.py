"""A cell machine under test: rows to feed it, short names for what it answers.

Each event is followed by a check of all invariants.
"""

from typing import Any

from diegod.cellruntime.core import CellMachine
from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.container import Container
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.invariants import violations
from diegod.cellruntime.core.keys import InstanceKey, TaskKey
from diegod.cellruntime.core.states import CellFacts
from diegod.internal.v1.command_pb2 import Command, Outcome
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
from diegod.v1.record_pb2 import ActualLrp, Provenance, Resources, Task

ME, OTHER = "cell-1", "cell-2"
T, L = "t-job-7", "l-i9"
TASK_KEY = TaskKey("job", 7)
LRP_KEY = InstanceKey("web", 0, "i9")
RUN = Action(run=RunAction(path="/bin/job"))
TCP = Check(tcp_check=TcpCheck(port=8080), interval_ms=10_000, timeout_ms=500, failure_threshold=2)


def task(state: str = "PENDING", *, revision: int = 7, **fields: Any) -> Task:
    """Task `job`, attempt 7, placed on this cell."""
    defaults: dict[str, Any] = {
        "attempt": 7,
        "placed_cell_id": ME,
        "definition": TaskDefinition(
            task_guid="job", rootfs="preloaded:busybox", action=RUN, memory_mb=64, disk_mb=10
        ),
    }
    if state == "RUNNING":
        defaults |= {"cell_id": ME, "fencing_token": revision, "cell_incarnation": 1}
    return Task(
        task_guid="job",
        state=Task.State.Value(state),
        provenance=Provenance(revision=revision),
        **(defaults | fields),
    )


def instance(
    state: str = "UNCLAIMED",
    *,
    revision: int = 9,
    checks: tuple[Check, ...] = (),
    more: CheckDefinition | None = None,
    **fields: Any,
) -> ActualLrp:
    """Instance i9 of `web`, placed on this cell. `more`: checks of all kinds."""
    definition = LrpDefinition(
        process_guid="web",
        rootfs="preloaded:busybox",
        action=RUN,
        memory_mb=64,
        disk_mb=10,
        ports=[PortMapping(name="http", container_port=8080)],
        check_definition=more or CheckDefinition(checks=checks),
        start_timeout_ms=60_000,
        stop_signal="INT",
        stop_timeout_ms=3000,
    )
    defaults: dict[str, Any] = {"placed_cell_id": ME, "definition": definition}
    if state in ("CLAIMED", "RUNNING"):
        defaults |= {"cell_id": ME}
    if state == "RUNNING":
        defaults |= {"routable": True}
    return ActualLrp(
        process_guid="web",
        index=0,
        instance_guid="i9",
        state=ActualLrp.State.Value(state),
        provenance=Provenance(revision=revision),
        **(defaults | fields),
    )


class Play:
    """Feeds events and names what comes out: `Prepare t-job-7`, `Submit start_task`, …"""

    def __init__(self, **capacity: int) -> None:
        resources = {"memory_mb": 1024, "disk_mb": 1024, "containers": 4} | capacity
        self.machine = CellMachine(
            CellFacts(ME, "10.0.0.1", network_namespace=True),
            Resources(**resources),
            range(61000, 61004),
        )
        self.now = 100.0
        self.commands: list[Command] = []
        self.feed(e.Registered(1))

    def feed(self, event: e.Event) -> list[str]:
        instructions = self.machine.handle(event, self.now)
        assert violations(self.machine) == []
        self.commands += [x.command for x in instructions if isinstance(x, i.Submit)]
        return [_short(instruction) for instruction in instructions]

    def instructions(self, event: e.Event) -> list[i.Instruction]:
        return self.machine.handle(event, self.now)

    def wait(self, seconds: float) -> list[str]:
        self.now += seconds
        return self.feed(e.Due())

    def answer(self, outcome: Outcome) -> list[str]:
        """To the last command."""
        request_id = self.commands[-1].request_id
        return self.feed(e.Answered(request_id.rpartition(".")[0], request_id, outcome))

    def refuse(self, reason: str) -> list[str]:
        return self.answer(Outcome(reason=reason, message="no"))

    def unanswered(self) -> list[str]:
        request_id = self.commands[-1].request_id
        return self.feed(e.Unanswered(request_id.rpartition(".")[0], request_id, "cut"))

    def see(self, row: Task | ActualLrp, *, removed: bool = False) -> list[str]:
        revision = row.provenance.revision
        if isinstance(row, Task):
            return self.feed(e.TaskChanged(row, revision, removed))
        return self.feed(e.InstanceChanged(row, revision, removed))

    def list_rows(self, *rows: Task | ActualLrp, revision: int = 50) -> list[str]:
        tasks = tuple(row for row in rows if isinstance(row, Task))
        instances = tuple(row for row in rows if isinstance(row, ActualLrp))
        return self.feed(e.RowsListed(tasks, instances, revision))

    def container(self, handle: str) -> Container:
        return self.machine.containers[handle]

    def state(self, handle: str) -> str:
        """`none` if nothing of it is known."""
        container = self.machine.containers.get(handle)
        return str(container.state) if container else "none"

    # Ways to where a story begins.

    def task_asking(self) -> None:
        self.see(task())
        self.feed(e.Prepared(T))
        self.feed(e.Recorded(T, Phase.INTENT))

    def task_granted(self, **fields: Any) -> None:
        self.task_asking()
        self.answer(Outcome(task=task("RUNNING", revision=8, **fields)))

    def task_starting(self, **fields: Any) -> None:
        self.task_granted(**fields)
        self.feed(e.Recorded(T, Phase.GRANTED))
        self.feed(e.Created(T))
        self.feed(e.Recorded(T, Phase.STARTING))

    def task_running(self, **fields: Any) -> None:
        self.task_starting(**fields)
        self.feed(e.Started(T, "10.9.0.2", 1000.0))
        self.feed(e.Recorded(T, Phase.STARTED))

    def lrp_started(self, *checks: Check) -> list[str]:
        self.see(instance(checks=checks))
        self.answer(Outcome(actual_lrp=instance("CLAIMED", revision=10, checks=checks)))
        self.feed(e.Prepared(L, "10.9.0.3"))
        self.feed(e.Recorded(L, Phase.GRANTED))
        self.feed(e.Created(L))
        self.feed(e.Recorded(L, Phase.STARTING))
        out = self.feed(e.Started(L, "10.9.0.3", 1000.0))
        self.feed(e.Recorded(L, Phase.STARTED))
        return out

    def lrp_running(self, *checks: Check) -> None:
        self.lrp_started(*checks)
        if checks:
            self.feed(e.Probed(L, 0, ""))
        self.answer(Outcome(actual_lrp=instance("RUNNING", revision=11, checks=checks)))


def _short(instruction: i.Instruction) -> str:
    match instruction:
        case i.Submit():
            return f"Submit {instruction.command.WhichOneof('command')}"
        case i.WriteRecord():
            return f"Record {instruction.record.phase} {instruction.handle}"
        case i.Signal():
            return f"Signal {instruction.signal} {instruction.handle}"
        case i.Probe():
            return f"Probe {instruction.index} {instruction.handle}"
        case _:
            return f"{type(instruction).__name__} {instruction.handle}"
