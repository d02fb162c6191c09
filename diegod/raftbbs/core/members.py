"""The rules of those who take part: cells and their registration, locks, domains.

That a lease has run out is found by the leader, in its memory; what follows from it is a
compare-and-set here, on the incarnation or the token that the leader saw.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.cells import (
    keep_what_operators_said,
)
from diegod.raftbbs.core.decision import (
    Decision,
    Refused,
    Unchanged,
    changed,
    created,
    removed,
)
from diegod.raftbbs.core.guards import lock_held, not_found
from diegod.raftbbs.core.stamps import NS, stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import Cell, Domain, Lock

#: The first format of the cluster in which the brain's settings stand beside its lock.
_SETTINGS_FROM_FORMAT = 2


def register_cell(view: View, command: c.RegisterCell, context: Context) -> Decision:
    """A cell agent has started: its incarnation is one more, and older ones are not heard again."""
    if command.cell.cell_id != context.caller_id:
        return Refused(
            Reason.PERMISSION_DENIED,
            f"cell {context.caller_id} may not register cell {command.cell.cell_id}",
        )
    old = view.cell(context.caller_id)
    cell = Cell()
    cell.CopyFrom(command.cell)
    cell.state = Cell.PRESENT
    last = old.incarnation if old is not None else view.removed_incarnation()
    cell.incarnation = last + 1
    keep_what_operators_said(cell, old)
    cell.since.CopyFrom(stamp(context.at_ns))
    return created(cell) if old is None else changed(cell)


def expire_cell(view: View, command: c.ExpireCell, context: Context) -> Decision:
    cell = view.cell(command.cell_id)
    if cell is None:
        return not_found("cell", command.cell_id)
    if cell.incarnation != command.incarnation:
        return Refused(Reason.STALE_INCARNATION, f"cell {cell.cell_id} has registered again since")
    if cell.state == Cell.MISSING:
        return Unchanged(cell)
    cell.state = Cell.MISSING
    cell.loss_accepted = False
    cell.since.CopyFrom(stamp(context.at_ns))
    return changed(cell)


def acquire_lock(view: View, command: c.AcquireLock, context: Context) -> Decision:
    lock = view.lock(command.name)
    if lock is not None and lock.owner:
        return Refused(Reason.LOCK_COLLISION, f'lock "{lock.name}" is held by {lock.owner}')
    new = Lock(name=command.name, owner=context.by, token=context.revision)
    if command.HasField("brain") and view.cluster_format() >= _SETTINGS_FROM_FORMAT:
        new.brain.CopyFrom(command.brain)
    return created(new) if lock is None else changed(new)


def expire_lock(view: View, command: c.ExpireLock, context: Context) -> Decision:
    lock = view.lock(command.name)
    if lock is None:
        return not_found("lock", command.name)
    if lock.token != command.token or not lock.owner:
        return Refused(Reason.LOCK_COLLISION, f'lock "{lock.name}" has changed hands since')
    lock.owner = ""
    return changed(lock)


def release_lock(view: View, command: c.ReleaseLock, context: Context) -> Decision:
    lock = view.lock(command.name)
    refusal = lock_held(lock, command.name, command.token, context.by)
    if lock is None or refusal:
        return refusal or not_found("lock", command.name)
    lock.owner = ""
    return changed(lock)


def upsert_domain(view: View, command: c.UpsertDomain, context: Context) -> Decision:
    old = view.domain(command.domain)
    domain = Domain(domain=command.domain, ttl_s=command.ttl_s)
    if command.ttl_s:
        domain.fresh_until.CopyFrom(stamp(context.at_ns + command.ttl_s * NS))
    return created(domain) if old is None else changed(domain)


def remove_domain(view: View, command: c.RemoveDomain, context: Context) -> Decision:
    """Nobody vouches for it any more; nothing in it is ended only because nobody desires it."""
    domain = view.domain(command.domain)
    return not_found("domain", command.domain) if domain is None else removed(domain)
