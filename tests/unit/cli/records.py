"""Fixed records, as a cluster would answer with."""

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.models.admission import fill_defaults, lrp_row, task_row
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.cluster_pb2 import (
    BbsMember,
    GetBbsStatusReply,
    GetStatusReply,
    GetVersionReply,
    LrpShortfall,
)
from diegod.v1.definition_pb2 import TaskScheduleDefinition
from diegod.v1.domain_pb2 import DomainStatus
from diegod.v1.lrp_pb2 import GetLrpReply
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Domain,
    InstanceCounts,
    LrpVersion,
    MappedPort,
    NetInfo,
    Provenance,
    Resources,
    Task,
    TaskSchedule,
)
from tests.unit.models.definitions import a_full_task, an_lrp

#: 2026-11-22 12:00 UTC
NOW = 1_795_348_800.0


def ago(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(NOW - seconds))


def by(revision: int, who: str, cause: str = "") -> Provenance:
    return Provenance(revision=revision, by=who, cause=cause, request_id=f"r{revision}")


def a_task(guid: str = "nightly-report", **changes: object) -> Task:
    definition = a_full_task()
    definition.task_guid = guid
    row = task_row(definition)
    given = {
        "state": Task.COMPLETED,
        "placed_cell_id": "cell-1",
        "attempt": 40,
        "cell_id": "cell-1",
        "created_at": ago(90),
        "started_at": ago(80),
        "completed_at": ago(60),
        "exit_status_known": True,
        "provenance": by(42, "cell/cell-1", "ended"),
    } | changes
    row.MergeFrom(Task(**given))  # type: ignore[arg-type]
    return row


def shown(task: Task) -> Task:
    """As `Get` answers: with the definition."""
    task.definition.CopyFrom(a_full_task())
    task.definition.task_guid = task.task_guid
    return task


def an_lrp_row(guid: str = "web", instances: int = 3) -> DesiredLrp:
    definition = an_lrp(process_guid=guid, instances=instances)
    definition.ports.add(name="http", container_port=8080)
    definition.check_definition.checks.add().http_check.port = 8080
    fill_defaults(definition)
    row = lrp_row(definition)
    row.definition_revision = 10
    row.created_at.CopyFrom(ago(7200))
    row.provenance.CopyFrom(by(11, "user/alice", "diegod lrp apply"))
    row.counts.CopyFrom(InstanceCounts(running=max(instances - 1, 0), crashed=1))
    row.definition.CopyFrom(definition)
    return row


def an_instance(index: int = 0, **changes: object) -> ActualLrp:
    given = {
        "process_guid": "web",
        "index": index,
        "domain": "default",
        "instance_guid": f"i{index}",
        "state": ActualLrp.RUNNING,
        "definition_revision": 10,
        "cell_id": "cell-1",
        "zone": "z1",
        "routable": True,
        "since": ago(5),
        "net_info": NetInfo(
            address="10.0.0.1",
            ports=[MappedPort(name="http", container_port=8080, host_port=61_000 + index)],
        ),
        "provenance": by(20 + index, "cell/cell-1"),
    } | changes
    return ActualLrp(**given)  # type: ignore[arg-type]


def the_lrp() -> GetLrpReply:
    crashed = an_instance(
        1, state=ActualLrp.CRASHED, routable=False, crash_count=4, crash_reason="exit 1"
    )
    crashed.ClearField("net_info")
    return GetLrpReply(
        desired_lrp=an_lrp_row(), instances=[an_instance(2), crashed, an_instance(0)], revision=30
    )


def a_cell(cell_id: str = "cell-1", **changes: object) -> CellStatus:
    given = {
        "cell_id": cell_id,
        "zone": "z1",
        "state": Cell.PRESENT,
        "incarnation": 2,
        "address": "10.0.0.1:1801",
        "capacity": Resources(memory_mb=6000, disk_mb=70_000, containers=250),
        "rootfs_providers": ["preloaded:busybox", "dir"],
        "optional_placement_tags": ["ssd"],
        "backend": "runc",
        "isolation": "namespaces, cgroups",
        "since": ago(3600),
        "provenance": by(3, f"cell/{cell_id}"),
    } | changes
    used = Resources(memory_mb=512, disk_mb=1024, containers=4)
    return CellStatus(cell=Cell(**given), used=used, tasks=1, instances=3)  # type: ignore[arg-type]


def a_status(leader: str = "bbs-1") -> GetBbsStatusReply:
    return GetBbsStatusReply(
        member_id="bbs-1",
        cluster_id="c0ffee",
        leader_id=leader,
        leader_address="bbs-1:8889" if leader else "",
        term=3,
        commit_index=100,
        applied_index=100,
        log_first_index=1,
        log_last_index=100,
        revision=90,
        epoch=1,
        replicated_time=ago(1),
        members=[
            BbsMember(
                member_id="bbs-2",
                address="bbs-2:8889",
                raft_address="bbs-2:8892",
                learner=True,
                match_index=93,
                store_id="s2",
            ),
            BbsMember(
                member_id="bbs-1",
                address="bbs-1:8889",
                raft_address="bbs-1:8892",
                connected=True,
                match_index=100,
                store_id="s1",
            ),
        ],
        store_bytes=5 * 1024**2,
        watches=7,
        clock_offset_s=0.25,
        members_revision=12,
    )


def an_overview() -> GetStatusReply:
    status = a_status()
    status.alarms.append("bbs-2 has 60 MB of free disk and takes no new work below 512 MB")
    return GetStatusReply(
        revision=90,
        tasks={"RUNNING": 2, "COMPLETED": 5},
        instances={"RUNNING": 3, "SUSPECT": 1},
        cells={"PRESENT": 2},
        lrps=2,
        short_lrps=[LrpShortfall(process_guid="web", desired=4, running=3)],
        short_lrps_total=1,
        collected_tasks=17,
        oldest_ended_task=ago(3600),
        bbs=status,
    )


def a_version() -> GetVersionReply:
    return GetVersionReply(
        version="9.9.9",
        api_version="v1",
        store_format=1,
        plugin_interface=1,
        cluster_name="prod",
        cluster_id="c0ffee",
    )


def a_change(revision: int = 42) -> Change:
    task = a_task()
    task.definition.CopyFrom(a_full_task())
    return Change(
        revision=revision,
        at=ago(60),
        verb=Change.CHANGED,
        task=task,
        by="cell/cell-1",
        cause="ended",
    )


def a_schedule() -> TaskSchedule:
    definition = TaskScheduleDefinition(
        name="nightly", cron="30 2 * * *", time_zone="Europe/Berlin", task=a_full_task()
    )
    definition.task.ClearField("task_guid")
    definition.domain = definition.task.domain
    definition.parameters.add(name="REGION", default_value="eu")
    fill_defaults(definition)
    return TaskSchedule(
        name="nightly",
        domain="shop",
        cron=definition.cron,
        time_zone=definition.time_zone,
        late_ms=60_000,
        parameters=definition.parameters,
        created_at=ago(86_400),
        last_slot=ago(3600),
        last_task_guid="nightly-20261122T110000Z",
        fired=7,
        skipped=1,
        missed=2,
        last_skip_reason="the task before had not ended",
        last_skipped_slot=ago(90_000),
        provenance=by(50, "brain/brain-1", "its slot was due"),
        definition=definition,
    )


def a_domain() -> DomainStatus:
    row = Domain(
        domain="shop", ttl_s=120, fresh_until=ago(-90), provenance=by(8, "user/alice", "domain set")
    )
    return DomainStatus(domain=row, fresh=True, lrps=1, tasks=2)


def a_version_of(number: int = 2) -> LrpVersion:
    row = an_lrp_row()
    version = LrpVersion(
        version=number,
        definition_revision=10,
        at=ago(600),
        by="user/alice",
        cause="diegod lrp apply",
        outcome=LrpVersion.FAILED,
        reason="web/0 crashed 3 times",
    )
    version.definition.CopyFrom(row.definition)
    return version
