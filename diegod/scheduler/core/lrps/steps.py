"""The steps that repairs of instances are made of: an action on one version of a row, and why."""

from typing import TypeAlias

from diegod.internal.v1.command_pb2 import (
    EvacuateInstance,
    ReinstateInstance,
    RetireInstance,
    SuspectInstance,
    UnclaimInstance,
    UnsuspectInstance,
    WithdrawInstance,
)
from diegod.scheduler.core.decision import Action
from diegod.v1.record_pb2 import ActualLrp

Step: TypeAlias = tuple[Action, str]


def retirement(row: ActualLrp, reason: str) -> Step:
    return RetireInstance(
        instance_guid=row.instance_guid, row_revision=row.provenance.revision
    ), reason


def evacuation(row: ActualLrp, reason: str) -> Step:
    return EvacuateInstance(
        instance_guid=row.instance_guid, row_revision=row.provenance.revision
    ), reason


def suspicion(row: ActualLrp, reason: str) -> Step:
    return SuspectInstance(
        instance_guid=row.instance_guid, row_revision=row.provenance.revision
    ), reason


def withdrawal(row: ActualLrp, reason: str) -> Step:
    return WithdrawInstance(
        instance_guid=row.instance_guid, row_revision=row.provenance.revision
    ), reason


def restart_of(row: ActualLrp) -> Step:
    return UnclaimInstance(
        instance_guid=row.instance_guid, row_revision=row.provenance.revision
    ), f"restart after crash {row.crash_count}"


def return_of(row: ActualLrp) -> Step:
    """A suspect or evacuating instance becomes the ordinary one of its index again."""
    guid, revision = row.instance_guid, row.provenance.revision
    if row.presence == ActualLrp.SUSPECT:
        return UnsuspectInstance(
            instance_guid=guid, row_revision=revision
        ), f"cell {row.cell_id} is back"
    return ReinstateInstance(
        instance_guid=guid, row_revision=revision
    ), "it is wanted where it is again"
