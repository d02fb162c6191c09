"""From a client's send to the container's own first timestamp, on a cluster that is at rest.

The container says when it began by /proc/uptime, which has hundredths of a second and is cut, so
one hundredth is added: no sample is shorter than it was. What lies between is told by the history
of its task's row (`at` of each change) and by what its cell says of it, by the same host's clock.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Change, Task
from diegod.v1.stream_pb2 import LogChunk, ReadLogsRequest
from diegod.v1.task_pb2 import DesireTaskRequest
from tests.bench.cluster import Bench, cluster
from tests.bench.report import percentile, row
from tests.bench.specs import a_task

_COUNT = 200
_FIRST = 10  # of them don't count: nothing has been loaded yet
#: Between two, so that each finds the cluster at rest, and its network made ahead of need.
_PAUSE_S = 0.3
_SAY_WHEN = ("cut", "-d", " ", "-f1", "/proc/uptime")
_CUT_S = 0.01
_CONTAINER_GOAL_S, _COMMAND_GOAL_S = 0.250, 0.050


@dataclass(frozen=True)
class Sample:
    """Seconds since the client sent it; `steps` by what was done."""

    container: float
    steps: dict[str, float]


async def run() -> Iterator[str]:
    async with cluster(members=1, cells=1) as bench:
        samples = []
        for number in range(_FIRST + _COUNT):
            samples.append(await _sample(bench, f"first-{number}"))
            await asyncio.sleep(_PAUSE_S)
    return _report(samples[_FIRST:])


async def _sample(bench: Bench, guid: str) -> Sample:
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    sent = time.time()
    reply = await bench.client.call(
        "diegod.v1.TaskService/Desire", DesireTaskRequest(definition=a_task(guid, *_SAY_WHEN))
    )
    answered = time.time()
    changes = await _history(bench, guid, reply.task.provenance.revision)
    output, story = await _said(bench, guid)
    steps = {
        "stored": _seconds(reply.task.created_at),
        "answered": answered,
        "placed": _when(changes, lambda task: task.placed_cell_id != ""),
        "the cell's first command (the start is granted)": _when(
            changes, lambda task: task.state == Task.RUNNING
        ),
        **story,
        "completed": _when(changes, lambda task: task.state == Task.COMPLETED),
    }
    container = booted + float(output) + _CUT_S
    return Sample(container - sent, {step: at - sent for step, at in steps.items()})


async def _history(bench: Bench, guid: str, revision: int) -> list[Change]:
    """Every change of its row up to its end."""
    changes: list[Change] = []
    request = WatchRequest(guid=guid, kinds=["task"], from_revision=revision)
    async for reply in bench.client.watch(request):
        changes += reply.changes
        if changes and changes[-1].task.state == Task.COMPLETED:
            assert not changes[-1].task.failed, changes[-1].task.failure_reason
            return changes
    raise AssertionError("a watch has no end")


def _when(changes: Sequence[Change], is_so: Callable[[Task], bool]) -> float:
    return next(_seconds(change.at) for change in changes if is_so(change.task))


def _seconds(stamp: object) -> float:
    return stamp.ToNanoseconds() / 1e9  # type: ignore[attr-defined,no-any-return]


async def _said(bench: Bench, guid: str) -> tuple[bytes, dict[str, float]]:
    """By the container, and of it by its cell: the first word of each of those, and when."""
    output, story = b"", {}
    request = ReadLogsRequest(task_guid=guid, follow=True, streams=LogChunk.Stream.values())
    async for reply in bench.client.stream("diegod.v1.LogService/Read", request):
        for chunk in reply.chunks:
            if chunk.stream == LogChunk.CELL:
                story[f"cell: {chunk.data.split()[0].decode()}"] = _seconds(chunk.at)
            elif chunk.stream == LogChunk.STDOUT:
                output += chunk.data
    return output, story


def _report(samples: Sequence[Sample]) -> Iterator[str]:
    yield _beside("send to the container's first timestamp", [s.container for s in samples],
                  _CONTAINER_GOAL_S)  # fmt: skip
    steps = {step for sample in samples for step in sample.steps}
    times = {step: [s.steps[step] for s in samples if step in s.steps] for step in steps}
    for step in sorted(steps, key=lambda step: percentile(times[step], 0.5)):
        goal_s = _COMMAND_GOAL_S if step.startswith("the cell's first") else 0.0
        yield "  " + _beside(step, times[step], goal_s)


def _beside(name: str, samples: Sequence[float], goal_s: float) -> str:
    return row(name, samples) + (f"   goal p50 ≤ {goal_s * 1000:.0f} ms" if goal_s else "")
