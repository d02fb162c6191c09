"""The birth of a cluster's store: `diegod bbs init`, once on each member's machine.

A start never makes a store. So a member that lost its disk does not come back as a voter that has
forgotten its votes, and a mistyped folder does not become a second cluster.
"""

from collections.abc import Sequence
from pathlib import Path

from diegod.config.schema import Settings
from diegod.node import folder
from diegod.node.bbs import STORE_FOLDER
from diegod.node.statuses import StartError
from diegod.raftbbs.store import identity as birth_record
from diegod.raftbbs.store.environment import StoreFailed
from diegod.raftbbs.store.identity import Birth, StoreRefused, Voter
from diegod.world import Ids


def voter(settings: Settings) -> Voter:
    """This node as a voter: where others reach it."""
    host = settings.node.advertise or settings.node.bind
    return Voter(
        settings.node.id, f"{host}:{settings.bbs.port}", f"{host}:{settings.bbs.raft_port}"
    )


def init_store(
    settings: Settings, ids: Ids, cluster_id: str = "", voters: Sequence[Voter] = ()
) -> Birth:
    """Make this member's store. Without `voters` it is a cluster of one.

    With three members, the first `init` prints the cluster id, and the other two are given it.
    """
    held = folder.hold(Path(settings.node.data_dir))
    try:
        birth = Birth(
            cluster_id=cluster_id or ids.new_id(),
            cluster_name=settings.cluster.name,
            member_id=settings.node.id,
            store_id=ids.new_id(),
            voters=tuple(voters) or (voter(settings),),
        )
        birth_record.create(held.path / STORE_FOLDER, birth)
        return birth
    except (StoreRefused, StoreFailed, ValueError) as error:
        raise StartError(str(error)) from None
    finally:
        held.release()
