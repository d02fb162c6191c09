"""Every method there is: who may call it, for how long, how large, and whether it may be repeated.

One row a method; a server refuses to start with a method that has none, and a test compares this
table with the protos. What a method *does* stands in the service of its role.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from diegod.internal.v1 import raft_pb2, ring_pb2
from diegod.v1 import (
    cell_pb2,
    cluster_pb2,
    domain_pb2,
    event_pb2,
    lrp_pb2,
    stream_pb2,
    task_pb2,
)

KIB = 1024
MIB = 1024 * KIB

#: A definition of the largest legal size fits, with room for the frame around it.
REQUEST_BYTES_MAX = 1 * MIB
BULK_BYTES_MAX = 16 * MIB

CLIENTS = frozenset({"user"})
ROLES = frozenset({"brain", "cell"})
MEMBERS = frozenset({"bbs"})
READERS = CLIENTS | {"brain"}  # a cell sees nothing but its own rows, through Watch
EVERYONE = CLIENTS | ROLES | MEMBERS


@dataclass(frozen=True)
class Method:
    """One remote procedure.

    `roles`: the roles of the certificates that may call it. `deadline_s`: the most that a caller
    waits; None for streams without an end. `repeatable`: after an unknown outcome the same request
    may be sent again, because it only reads or carries a request id. `removes`: a repeat that finds
    nothing has found its own effect. `leader_only`: other members refuse it with the leader's
    address. `served_by`: the role whose server has it.
    """

    name: str  # diegod.v1.TaskService/Desire
    request: type[Any]
    reply: type[Any]
    roles: frozenset[str]
    deadline_s: float | None
    repeatable: bool
    removes: bool = False
    leader_only: bool = False
    request_stream: bool = False
    reply_stream: bool = False
    request_bytes_max: int = REQUEST_BYTES_MAX
    served_by: str = "bbs"

    @property
    def path(self) -> str:
        """As gRPC spells it."""
        return f"/{self.name}"

    @property
    def service(self) -> str:
        return self.name.partition("/")[0]


def _read(name: str, request: type[Any], reply: type[Any], *, stream: bool = False) -> Method:
    return Method(name, request, reply, READERS, 30.0, repeatable=True, reply_stream=stream)


def _write(name: str, request: type[Any], reply: type[Any], *, removes: bool = False) -> Method:
    """Carries a request id, so it may be repeated; only the leader takes it."""
    return Method(
        name, request, reply, CLIENTS, 10.0, repeatable=True, removes=removes, leader_only=True
    )


_TASK = "diegod.v1.TaskService"
_SCHEDULE = "diegod.v1.TaskScheduleService"
_DOMAIN = "diegod.v1.DomainService"
_LRP = "diegod.v1.LrpService"
_CELL = "diegod.v1.CellService"
_CLUSTER = "diegod.v1.ClusterService"
_RING = "diegod.internal.v1.RingService"

_ROWS: Iterable[Method] = (
    _write(f"{_TASK}/Desire", task_pb2.DesireTaskRequest, task_pb2.DesireTaskReply),
    Method(
        f"{_TASK}/DesireMany", task_pb2.DesireTaskRequest, task_pb2.DesireTaskReply, CLIENTS, None,
        repeatable=True, leader_only=True, request_stream=True, reply_stream=True,
    ),
    Method(
        f"{_TASK}/DesireBulk", task_pb2.DesireTasksRequest, task_pb2.DesireTasksReply, CLIENTS,
        None, repeatable=True, leader_only=True, request_stream=True, reply_stream=True,
    ),
    _read(f"{_TASK}/Get", task_pb2.GetTaskRequest, task_pb2.GetTaskReply),
    _read(f"{_TASK}/List", task_pb2.ListTasksRequest, task_pb2.ListTasksReply, stream=True),
    _write(f"{_TASK}/Cancel", task_pb2.CancelTaskRequest, task_pb2.CancelTaskReply),
    _write(f"{_TASK}/Delete", task_pb2.DeleteTaskRequest, task_pb2.DeleteTaskReply, removes=True),
    _write(f"{_TASK}/Resolve", task_pb2.ResolveTaskRequest, task_pb2.ResolveTaskReply),
    _write(f"{_SCHEDULE}/Desire", task_pb2.DesireScheduleRequest, task_pb2.DesireScheduleReply),
    _write(f"{_SCHEDULE}/Control", task_pb2.ControlScheduleRequest, task_pb2.ControlScheduleReply),
    _write(f"{_SCHEDULE}/Dispatch", task_pb2.DispatchTaskRequest, task_pb2.DispatchTaskReply),
    _read(f"{_SCHEDULE}/Get", task_pb2.GetScheduleRequest, task_pb2.GetScheduleReply),
    _read(
        f"{_SCHEDULE}/List", task_pb2.ListSchedulesRequest, task_pb2.ListSchedulesReply,
        stream=True,
    ),
    _write(f"{_DOMAIN}/Upsert", domain_pb2.UpsertDomainRequest, domain_pb2.UpsertDomainReply),
    _read(f"{_DOMAIN}/List", domain_pb2.ListDomainsRequest, domain_pb2.ListDomainsReply),
    _write(
        f"{_DOMAIN}/Remove", domain_pb2.RemoveDomainRequest, domain_pb2.RemoveDomainReply,
        removes=True,
    ),
    _write(f"{_LRP}/Desire", lrp_pb2.DesireLrpRequest, lrp_pb2.DesireLrpReply),
    _write(f"{_LRP}/Scale", lrp_pb2.ScaleLrpRequest, lrp_pb2.ScaleLrpReply),
    _write(f"{_LRP}/Remove", lrp_pb2.RemoveLrpRequest, lrp_pb2.RemoveLrpReply, removes=True),
    _read(f"{_LRP}/Get", lrp_pb2.GetLrpRequest, lrp_pb2.GetLrpReply),
    _read(f"{_LRP}/List", lrp_pb2.ListLrpsRequest, lrp_pb2.ListLrpsReply, stream=True),
    _read(
        f"{_LRP}/ListInstances", lrp_pb2.ListInstancesRequest, lrp_pb2.ListInstancesReply,
        stream=True,
    ),
    _read(f"{_CELL}/List", cell_pb2.ListCellsRequest, cell_pb2.ListCellsReply, stream=True),
    _write(f"{_LRP}/Control", lrp_pb2.ControlLrpRequest, lrp_pb2.ControlLrpReply),
    _write(f"{_LRP}/Retire", lrp_pb2.RetireInstanceRequest, lrp_pb2.RetireInstanceReply),
    _read(f"{_LRP}/History", lrp_pb2.LrpHistoryRequest, lrp_pb2.LrpHistoryReply),
    _read(f"{_CELL}/Get", cell_pb2.GetCellRequest, cell_pb2.GetCellReply),
    _write(f"{_CELL}/Control", cell_pb2.ControlCellRequest, cell_pb2.ControlCellReply),
    Method(
        "diegod.v1.EventService/Watch", event_pb2.WatchRequest, event_pb2.WatchReply,
        EVERYONE, None, repeatable=True, reply_stream=True,
    ),
    _read("diegod.v1.EventService/Story", event_pb2.StoryRequest, event_pb2.StoryReply),
    Method(
        "diegod.v1.LogService/Read", stream_pb2.ReadLogsRequest, stream_pb2.ReadLogsReply,
        CLIENTS | MEMBERS, None, repeatable=True, reply_stream=True, served_by="bbs cell",
    ),
    Method(
        f"{_CLUSTER}/GetVersion", cluster_pb2.GetVersionRequest, cluster_pb2.GetVersionReply,
        EVERYONE, 5.0, repeatable=True,
    ),
    Method(
        f"{_CLUSTER}/GetBbsStatus", cluster_pb2.GetBbsStatusRequest, cluster_pb2.GetBbsStatusReply,
        EVERYONE, 5.0, repeatable=True,
    ),
    _read(f"{_CLUSTER}/GetStatus", cluster_pb2.GetStatusRequest, cluster_pb2.GetStatusReply),
    Method(
        f"{_CLUSTER}/AddMember", cluster_pb2.AddMemberRequest, cluster_pb2.AddMemberReply,
        CLIENTS | MEMBERS, 15.0, repeatable=True, leader_only=True,
    ),
    Method(
        f"{_CLUSTER}/RemoveMember", cluster_pb2.RemoveMemberRequest, cluster_pb2.RemoveMemberReply,
        CLIENTS, 15.0, repeatable=True, removes=True, leader_only=True,
    ),
    Method(
        f"{_CLUSTER}/TransferLeadership", cluster_pb2.TransferLeadershipRequest,
        cluster_pb2.TransferLeadershipReply, CLIENTS, 15.0, repeatable=False, leader_only=True,
    ),
    Method(
        f"{_CLUSTER}/Rekey", cluster_pb2.RekeyRequest, cluster_pb2.RekeyReply, CLIENTS, 5.0,
        repeatable=True,
    ),
    Method(
        f"{_CLUSTER}/SaveSnapshot", cluster_pb2.SaveSnapshotRequest, cluster_pb2.SaveSnapshotReply,
        CLIENTS, None, repeatable=True, reply_stream=True,
    ),
    Method(
        f"{_CLUSTER}/Compact", cluster_pb2.CompactRequest, cluster_pb2.CompactReply, CLIENTS, 10.0,
        repeatable=True,
    ),
    Method(
        f"{_RING}/Submit", ring_pb2.SubmitRequest, ring_pb2.SubmitReply, ROLES, 10.0,
        repeatable=False, leader_only=True, request_bytes_max=BULK_BYTES_MAX,
    ),
    Method(
        f"{_RING}/Renew", ring_pb2.RenewRequest, ring_pb2.RenewReply, ROLES, None,
        repeatable=True, leader_only=True, request_stream=True, reply_stream=True,
    ),
    Method(
        "diegod.internal.v1.RaftService/Exchange", raft_pb2.RaftFrame, raft_pb2.RaftFrame, MEMBERS,
        None, repeatable=True, request_stream=True, reply_stream=True,
        request_bytes_max=8 * MIB, served_by="raft",
    ),
)  # fmt: skip

METHODS: dict[str, Method] = {row.name: row for row in _ROWS}


def method(name: str) -> Method:
    return METHODS[name]


def served_by(server: str) -> list[Method]:
    """The methods that a server of this role must have."""
    return [row for row in METHODS.values() if server in row.served_by.split()]
