"""Plans from what a cluster has now: the asking. The deciding is in `models/plan.py`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diegod.cli.lrp.noun import present
from diegod.cli.terminal.errors import REFUSED, CliError
from diegod.models.admission import fill_defaults
from diegod.models.plan import Plan, plan
from diegod.v1.definition_pb2 import LrpDefinition

if TYPE_CHECKING:
    from diegod.client import Client

#: Of `plan --exit-code`: apply would change something.
WOULD_CHANGE = 10


async def lrp_plan_of(client: "Client", definition: LrpDefinition) -> Plan:
    """What `lrp apply` of this definition would do to the LRP as it is now."""
    new = LrpDefinition()
    new.CopyFrom(definition)
    fill_defaults(new)
    found = await present(client, new.process_guid)
    if found is None:
        return plan(None, (), new)
    return plan(found.desired_lrp, list(found.instances), new)


def refuse(plans: Sequence[Plan]) -> None:
    """CliError if apply would be refused."""
    refused = [each.refusal for each in plans if each.refusal]
    if refused:
        raise CliError("apply would be refused", REFUSED, refused)
