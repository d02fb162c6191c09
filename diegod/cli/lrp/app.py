"""`diegod lrp …`: the noun with its verbs. Each is registered when its module is imported."""

# The order is that of the help.
# isort: off
from diegod.cli.lrp import apply
from diegod.cli.lrp import end
from diegod.cli.lrp import rollout
from diegod.cli.lrp import look
from diegod.cli.lrp.noun import app

__all__ = ["app", "apply", "end", "look", "rollout"]
