"""`diegod cell …`: the noun with its verbs. Each is registered when its module is imported."""

# The order is that of the help.
# isort: off
from diegod.cli.cell import control
from diegod.cli.cell import look
from diegod.cli.cell.noun import app

__all__ = ["app", "control", "look"]
