"""Definitions that the benchmarks use."""

from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction, TaskDefinition

BUSYBOX = "preloaded:busybox"
#: The container's own first line: seconds since boot, by the host's clock.
_SAY_WHEN = "cut -d' ' -f1 /proc/uptime; exec sleep 3600"


def a_task(guid: str, *argv: str, rootfs: str = BUSYBOX) -> TaskDefinition:
    path, *args = argv or ("true",)
    action = Action(run=RunAction(path=path, args=args))
    return TaskDefinition(task_guid=guid, rootfs=rootfs, action=action, memory_mb=16)


def an_lrp(guid: str, instances: int) -> LrpDefinition:
    action = Action(run=RunAction(path="sh", args=["-c", _SAY_WHEN]))
    return LrpDefinition(
        process_guid=guid, rootfs=BUSYBOX, action=action, instances=instances, memory_mb=16
    )
