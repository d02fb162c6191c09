"""The history of an LRP: its last versions, and which definitions are kept for it.

A definition is kept as long as a version that is kept has it, the LRP goes back to it when an
update fails, or an instance runs it. Does not belong here: what a version is (`core.versions`).
"""

from collections.abc import Iterable, Iterator, Sequence

from diegod.raftbbs.store.environment import ReadTransaction, WriteTransaction
from diegod.raftbbs.store.tables import Tables, number_of
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, LrpVersion

#: How many versions of an LRP are kept.
VERSIONS_KEPT = 20
_NUMBER_BYTES = 8
_VERSION_BYTES = 4


def version_key(number: bytes, version: int) -> bytes:
    return number + version.to_bytes(_VERSION_BYTES, "big")


def read(tables: Tables, transaction: ReadTransaction, number: bytes) -> Sequence[LrpVersion]:
    """The oldest first."""
    stored = transaction.scan(tables.lrp_versions, number)
    return [LrpVersion.FromString(each) for _, each in stored]


def write(
    tables: Tables,
    transaction: WriteTransaction,
    number: bytes,
    row: DesiredLrp,
    versions: Sequence[LrpVersion],
) -> None:
    """Write what is new or changed of its history; of the rest the oldest goes."""
    for each in versions:
        key = version_key(number, each.version)
        transaction.put(tables.lrp_versions, key, each.SerializeToString(deterministic=True))
    first = version_key(number, max(0, row.version - VERSIONS_KEPT + 1))
    for key, _ in list(transaction.scan(tables.lrp_versions, number)):
        if key >= first:
            break
        transaction.delete(tables.lrp_versions, key)


def drop_unused_definitions(
    tables: Tables,
    transaction: WriteTransaction,
    number: bytes,
    row: DesiredLrp,
    instances: Iterable[ActualLrp],
) -> None:
    """`instances` is not looked at where no definition could go: there may be thousands."""
    kept = {row.definition_revision, row.rollout.stable_definition_revision}
    kept.update(each.definition_revision for each in read(tables, transaction, number))
    spare = [key for key in _definitions(tables, transaction, number) if _revision(key) not in kept]
    if spare:
        running = {instance.definition_revision for instance in instances}
        for key in spare:
            if _revision(key) not in running:
                transaction.delete(tables.lrp_definitions, key)


def delete(tables: Tables, transaction: WriteTransaction, number: bytes) -> None:
    """The LRP is gone, and with it all that it could go back to."""
    for key, _ in list(transaction.scan(tables.lrp_versions, number)):
        transaction.delete(tables.lrp_versions, key)
    for key in list(_definitions(tables, transaction, number)):
        transaction.delete(tables.lrp_definitions, key)


def _definitions(tables: Tables, transaction: ReadTransaction, number: bytes) -> Iterator[bytes]:
    return (key for key, _ in transaction.scan(tables.lrp_definitions, number))


def _revision(key: bytes) -> int:
    return number_of(key[_NUMBER_BYTES:])
