"""Instructions are carried out one by one, and whatever happens comes back as an event."""

import asyncio
from collections.abc import Sequence

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.crash_points import Phase, Record
from diegod.cellruntime.core.keys import TaskKey
from diegod.cellruntime.core.states import CellFacts
from diegod.cellruntime.core.work import Work
from diegod.cellruntime.executor import Executor
from diegod.contracts.backend import ContainerSpec, ExecResult, PortSpec
from diegod.contracts.check import Target, Unhealthy
from diegod.testing.fake_backend import FakeBackend, FakeHost, Script
from diegod.v1.definition_pb2 import Action, Check, CommandCheck, RunAction, TaskDefinition
from diegod.world import SystemClock
from tests.unit.cellruntime.worlds import OWNER, NoDirectories

T = "t-job-7"
RUN = Action(run=RunAction(path="/bin/job"))
WORK = Work(TaskKey("job", 7), TaskDefinition(rootfs="preloaded:busybox", action=RUN))
COMMAND = Check(command_check=CommandCheck(path="/bin/true"))


class Lease:
    is_held = True

    def held(self) -> bool:
        return self.is_held


class SlowRecords:
    """The first write takes longest, as a thread may."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.delay_s = 0.02

    async def load(self) -> Sequence[Record]:
        return []

    async def write(self, record: Record) -> None:
        delay_s, self.delay_s = self.delay_s, 0.0
        await asyncio.sleep(delay_s)
        self.done.append(record.phase)

    async def remove(self, handle: str) -> None:
        self.done.append("removed")


class Cell:
    def __init__(self, script: Script | None = None, *, heavy_max: int = 8) -> None:
        self.host = FakeHost(lambda spec: script or Script())
        self.lease = Lease()
        self.records = SlowRecords()
        self.check: object = None
        self.executor = Executor(
            backend=FakeBackend(OWNER, self.host),
            checks={"command": lambda check: self.check},  # type: ignore[dict-item,return-value]
            records=self.records,
            directories=NoDirectories(),
            lease=self.lease,
            clock=SystemClock(),
            owner=OWNER,
            facts=CellFacts("cell-1", "192.0.2.17", network_namespace=False),
            heavy_max=heavy_max,
        )

    async def perform(self, *instructions: i.Instruction) -> e.Event | None:
        """All in turn; the last one's event."""
        event = None
        for instruction in instructions:
            event = await self.executor.perform(instruction)
        return event


def made() -> tuple[i.Instruction, ...]:
    return (i.Prepare(WORK), i.Create(WORK))


async def test_each_instruction_is_answered() -> None:
    cell = Cell()
    assert await cell.perform(i.Prepare(WORK)) == e.Prepared(T)
    assert await cell.perform(i.Create(WORK)) == e.Created(T)
    started = await cell.perform(i.Start(T, under_lease=True))
    assert isinstance(started, e.Started)
    assert started.address == "127.0.0.1"
    inspected = await cell.perform(i.Inspect(T))
    assert isinstance(inspected, e.Inspected)
    assert inspected.status is not None
    assert await cell.perform(i.Signal(T, "KILL")) is None
    ended = await cell.perform(i.AwaitEnd(T))
    assert isinstance(ended, e.Ended)
    assert ended.exit is not None
    assert ended.exit.status == 137
    assert await cell.perform(i.Destroy(T)) == e.Destroyed(T)
    await cell.host.close()


async def test_without_the_lease_nothing_is_started_that_needs_it() -> None:
    cell = Cell()
    cell.lease.is_held = False
    assert await cell.perform(*made(), i.Start(T, under_lease=True)) == e.GrantExpired(T)
    assert cell.host.starts[T] == 0
    assert isinstance(await cell.perform(i.Start(T, under_lease=False)), e.Started)
    await cell.host.close()


async def test_a_refusal_of_the_backend_is_definite() -> None:
    cell = Cell(Script(refuse_start="/bin/job: no such\n file"))
    event = await cell.perform(*made(), i.Start(T, under_lease=True))
    assert event == e.StepFailed(T, e.Step.START, "/bin/job: no such file")


async def test_any_other_error_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell()

    async def broken(self: object, spec: ContainerSpec) -> None:
        raise KeyError("netns")

    monkeypatch.setattr(FakeBackend, "prepare", broken)
    event = await cell.perform(i.Prepare(WORK))
    assert event == e.StepFailed(T, e.Step.PREPARE, "KeyError: 'netns'", definite=False)


async def test_records_of_a_container_are_written_in_turn() -> None:
    cell = Cell()
    key = TaskKey("job", 7)
    events = await asyncio.gather(
        cell.perform(i.WriteRecord(Record(T, key, Phase.STARTED))),
        cell.perform(i.WriteRecord(Record(T, key, Phase.ENDING))),
        cell.perform(i.Forget(T)),
    )
    assert cell.records.done == ["started", "ending", "removed"]
    recorded = (e.Recorded(T, Phase.STARTED), e.Recorded(T, Phase.ENDING))
    assert tuple(events) == (*recorded, e.Forgotten(T))


async def test_a_record_that_can_not_be_written_names_its_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def full(self: object, record: Record) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SlowRecords, "write", full)
    event = await Cell().perform(i.WriteRecord(Record(T, TaskKey("job", 7), Phase.INTENT)))
    assert isinstance(event, e.StepFailed)
    assert (event.step, event.phase) == (e.Step.RECORD, Phase.INTENT)
    assert "No space left" in event.reason


async def test_only_so_many_are_made_at_a_time() -> None:
    cell = Cell(Script(prepare_s=0.01), heavy_max=2)
    works = [Work(TaskKey("job", n), WORK.definition) for n in range(6)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(cell.perform(i.Prepare(work)) for work in works))
    assert loop.time() - began >= 0.03


async def test_waiting_for_an_end_is_given_up_when_the_container_is_destroyed() -> None:
    cell = Cell()
    await cell.perform(*made(), i.Start(T, under_lease=True))

    async def never(handle: str) -> None:
        await asyncio.get_running_loop().create_future()

    cell.executor._backend.wait = never  # type: ignore[method-assign,assignment]
    waiting = asyncio.create_task(cell.perform(i.AwaitEnd(T)))
    await asyncio.sleep(0)
    await cell.perform(i.Destroy(T))
    with pytest.raises(asyncio.CancelledError):
        await waiting


class Probes:
    def __init__(self, answer: Unhealthy | Exception | None) -> None:
        self.answer = answer
        self.target: Target | None = None

    async def probe(self, target: Target, timeout_s: float) -> Unhealthy | None:
        self.target = target
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, ""),
        (Unhealthy("404 from /healthz"), "404 from /healthz"),
        (RuntimeError("broken check"), "RuntimeError: broken check"),
    ],
)
async def test_a_probe_is_healthy_or_says_why_not(
    answer: Unhealthy | Exception | None, problem: str
) -> None:
    cell = Cell(Script(answers=lambda argv: ExecResult(0, b"")))
    cell.check = probes = Probes(answer)
    port = PortSpec("http", 8080, 61000)
    probe = i.Probe(T, 1, COMMAND, "127.0.0.1", (port,), 0.5)
    assert await cell.perform(probe) == e.Probed(T, 1, problem)
    assert probes.target is not None
    assert dict(probes.target.ports) == {8080: 61000}


async def test_a_check_runs_its_command_in_the_container() -> None:
    cell = Cell(Script(answers=lambda argv: ExecResult(len(argv), b"")))
    await cell.perform(*made(), i.Start(T, under_lease=True))
    cell.check = probes = Probes(None)
    await cell.perform(i.Probe(T, 0, COMMAND, "127.0.0.1", (), 0.5))
    assert probes.target is not None
    assert (await probes.target.run(["a", "b"], 1.0)).status == 2
    await cell.host.close()


async def test_a_result_is_read_or_is_not_there() -> None:
    cell = Cell(Script(runs_s=0.0, leaves={"/result": b"42 and more"}))
    await cell.perform(*made(), i.Start(T, under_lease=True), i.AwaitEnd(T))
    assert await cell.perform(i.ReadResult(T, "/result", 2)) == e.ResultRead(T, b"42")
    assert await cell.perform(i.ReadResult(T, "/other", 2)) == e.ResultRead(T, None)
    await cell.perform(i.Destroy(T))
    event = await cell.perform(i.ReadResult(T, "/result", 2))
    assert isinstance(event, e.StepFailed)
    assert event.step is e.Step.READ


async def test_a_disk_that_does_not_answer_does_not_hold_up_a_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diegod.cellruntime.executor.READ_MAX_S", 0.01)
    cell = Cell(Script(hangs=frozenset({"read_file"})))
    await cell.perform(*made())
    event = await cell.perform(i.ReadResult(T, "/result", 2))
    assert event == e.StepFailed(T, e.Step.READ, "not within 0.01 s")
