"""Is a domain fresh: does somebody say at present that what is desired in it is complete?

Where it is not, nothing is stopped only because nobody desires it (Diego: bbs/docs/050-domains.md).
What people ask for explicitly is done either way.
"""

from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Domain

DEFAULT_DOMAIN = "default"


def is_fresh(name: str, domain: Domain | None, now: float) -> bool:
    """`default` always is; another one if it has a row whose time is not over, or has no end."""
    if name == DEFAULT_DOMAIN:
        return True
    if domain is None:
        return False
    return not domain.ttl_s or now < domain.fresh_until.seconds + domain.fresh_until.nanos / 1e9


def needs_freshness(row: ActualLrp, desired: DesiredLrp | None) -> bool:
    """Whether an instance that is not wanted may be ended only while its domain is fresh.

    It may at once where a person saw it, and asked for what makes it superfluous: it was there when
    `instances`, `stopped` or `removing` was last said. One that was found running after a restore
    and adopted since then says that the state is older than somebody's wish.
    """
    return desired is None or row.adopted_revision > desired.scaled_revision
