"""A task: what it writes, how it ends, and how often it was started."""

import time

from diegod.client.tasks import task_definition
from tests.demo.evidence import require_one_start
from tests.demo.report import NotSeen
from tests.demo.stage import Stage

_GUID = "greeting"


async def run(stage: Stage) -> None:
    tasks = stage.client.tasks
    definition = task_definition(
        _GUID, rootfs="preloaded:busybox", argv=["sh", "-c", "echo hello; exit 3"]
    )
    stage.task_lines[_GUID] = "hello"
    began = time.monotonic()
    await tasks.desire(definition)
    task = await tasks.wait(_GUID)
    seconds = time.monotonic() - began
    output = (await stage.client.logs(task).bytes()).decode()
    if (output, task.exit_status_known, task.exit_status) != ("hello\n", True, 3):
        raise NotSeen(f"output {output!r}, exit status {task.exit_status}: {task.failure_reason}")
    stage.report.seen(
        'echo hello; exit 3   → "hello", exit status 3',
        seconds,
        cell=task.cell_id,
        output=output,
        exit_status=task.exit_status,
    )
    await stage.sabotage("task")
    require_one_start(stage.cluster, _GUID, "hello")
    stage.report.seen("started once: the logs of both cells hold its line once")
