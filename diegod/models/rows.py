"""The scheduling part of a definition: the few fields that the BBS and the brain read.

The definition itself is stored closed beside it. States, times and revisions are set by apply.
"""

from diegod.v1 import definition_pb2, record_pb2


def task_row(definition: definition_pb2.TaskDefinition) -> record_pb2.Task:
    """The row of a new task. The definition has been admitted and its defaults are filled in."""
    return record_pb2.Task(
        task_guid=definition.task_guid,
        domain=definition.domain,
        state=record_pb2.Task.PENDING,
        needs=_needs(definition),
        start_deadline_ms=definition.start_deadline_ms,
        execution_timeout_ms=definition.execution_timeout_ms,
        retention_ms=definition.retention_ms,
        max_placement_attempts=definition.max_placement_attempts,
        depends_on=definition.depends_on,
        callback=_callback(definition),
    )


def schedule_row(definition: definition_pb2.TaskScheduleDefinition) -> record_pb2.TaskSchedule:
    """The row of a schedule, with what the rows of its tasks have in common."""
    return record_pb2.TaskSchedule(
        name=definition.name,
        domain=definition.domain,
        cron=definition.cron,
        time_zone=definition.time_zone,
        allow_overlap=definition.allow_overlap,
        late_ms=definition.late_ms,
        parameters=definition.parameters,
        task=task_row(definition.task),
    )


def _callback(definition: definition_pb2.TaskDefinition) -> record_pb2.Callback | None:
    if not definition.completion_callback_url:
        return None
    policy = definition.callback_policy
    return record_pb2.Callback(
        url=definition.completion_callback_url,
        annotation=definition.annotation,
        backoff_ms=policy.backoff_ms,
        max_backoff_ms=policy.max_backoff_ms,
        give_up_after_ms=policy.give_up_after_ms,
    )


def lrp_row(definition: definition_pb2.LrpDefinition) -> record_pb2.DesiredLrp:
    """The row of a desired LRP. The definition has been admitted and its defaults are filled in."""
    return record_pb2.DesiredLrp(
        process_guid=definition.process_guid,
        domain=definition.domain,
        instances=definition.instances,
        needs=_needs(definition),
        crash_policy=definition.crash_policy,
        mode=definition.mode,
        update=definition.update,
        depends_on=definition.depends_on,
    )


def _needs(
    definition: definition_pb2.TaskDefinition | definition_pb2.LrpDefinition,
) -> record_pb2.PlacementNeeds:
    return record_pb2.PlacementNeeds(
        resources=record_pb2.Resources(
            memory_mb=definition.memory_mb, disk_mb=definition.disk_mb, containers=1
        ),
        rootfs_provider=rootfs_provider(definition.rootfs),
        placement_tags=sorted(definition.placement_tags),
        strategy=definition.placement.strategy,
        cell_id=definition.placement.cell_id,
    )


def rootfs_provider(rootfs: str) -> str:
    """What a cell must offer to run it: "preloaded:busybox" by name, "dir" for any directory."""
    scheme = rootfs.partition(":")[0]
    return rootfs if scheme == "preloaded" else scheme
