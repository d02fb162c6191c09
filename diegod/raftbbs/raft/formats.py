"""Which members of different releases understand one another.

A cluster has a format: what is written into its log. It is part of the state, and is raised by a
command once every member can read the next one (`raftbbs.ticking`). A hello says which format the
sender knows the cluster to have, and which it could read. The first release says only the former,
and wants to hear just that one: so it goes on beside later releases until the format is raised.
Pure; does not belong here: the format of a store's own file, which no other member reads.
"""

from diegod.internal.v1.raft_pb2 import RaftHello
from diegod.raftbbs.store.identity import STORE_FORMAT


def reads(hello: RaftHello) -> int:
    """The latest format that the sender can read."""
    return max(hello.store_format, hello.format_max)


def complaint(hello: RaftHello, cluster_format: int) -> str:
    """Why a peer and this member can't both belong to the cluster; "" when they can."""
    if reads(hello) < cluster_format:
        return (
            f"it reads formats up to {reads(hello)}, and the cluster has format {cluster_format}: "
            "its diegod must be upgraded"
        )
    if hello.store_format > STORE_FORMAT:
        return (
            f"it says that the cluster has format {hello.store_format}, and this version reads "
            f"formats up to {STORE_FORMAT}: this member must be upgraded"
        )
    return ""
