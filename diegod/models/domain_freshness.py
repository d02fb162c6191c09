"""Whether a domain is fresh, and what is kept only because it is not.

A domain is fresh while somebody vouches that what is desired in it is complete. Where nobody does,
what runs and is desired by nobody is kept: it may be that the desire was lost.
"""

from diegod.models.defaults import DEFAULT_DOMAIN
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Domain

_NS = 1_000_000_000


def is_fresh(name: str, row: Domain | None, now_ns: int) -> bool:
    """The default domain always is; a row without a length of life is as long as it is there."""
    if name == DEFAULT_DOMAIN:
        return True
    if row is None:
        return False
    until = row.fresh_until
    return row.ttl_s == 0 or until.seconds * _NS + until.nanos > now_ns


def waits_for_freshness(row: ActualLrp, desired: DesiredLrp | None) -> bool:
    """Whether nobody desires this instance, and nobody has asked for it to go either.

    What was there when the number was last asked for is removed by that very request; what was
    found running only later, after a restore, is not.
    """
    if desired is None:
        return True
    if desired.mode == LrpDefinition.GLOBAL and not (desired.stopped or desired.removing):
        return False
    wanted = 0 if desired.stopped or desired.removing else desired.instances
    return row.index >= wanted and row.adopted_revision > desired.scaled_revision
