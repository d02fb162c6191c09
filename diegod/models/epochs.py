"""Epochs: which life of the cluster a revision is of.

A restore of a backup and the recovery of a lost quorum may take back what was acknowledged before.
So neither goes on counting where the state ends: revisions go on from the next multiple of 2^40,
and all that is made from one (attempts, instance guids, fencing tokens, resume tokens)
can't be mistaken for what the cluster gave out before.
"""

EPOCH_FIRST = 1
EPOCH_REVISIONS = 1 << 40
#: 2^64 revisions are 2^24 epochs.
EPOCH_MAX = 1 << 24


def epoch_of(revision: int) -> int:
    """The epoch in which a revision was given out."""
    return revision // EPOCH_REVISIONS + EPOCH_FIRST


def first_revision(epoch: int) -> int:
    """What revisions of an epoch begin with."""
    return (epoch - EPOCH_FIRST) * EPOCH_REVISIONS
