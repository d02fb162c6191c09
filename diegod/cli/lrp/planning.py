"""The plan for an LRP from what a cluster has now: the asking. `models/plan.py` decides."""

from typing import TYPE_CHECKING

from diegod.cli.lrp.noun import present
from diegod.models.admission import fill_defaults
from diegod.models.plan import Plan, plan
from diegod.v1.definition_pb2 import LrpDefinition

if TYPE_CHECKING:
    from diegod.client import Client


async def lrp_plan_of(client: "Client", definition: LrpDefinition) -> Plan:
    """What `lrp apply` of this definition would do to the LRP as it is now."""
    new = LrpDefinition()
    new.CopyFrom(definition)
    fill_defaults(new)
    found = await present(client, new.process_guid)
    if found is None:
        return plan(None, (), new)
    return plan(found.desired_lrp, list(found.instances), new)
