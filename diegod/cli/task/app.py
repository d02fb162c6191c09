"""`diegod task …`: the noun with its verbs. Each is registered when its module is imported."""

# The order is that of the help.
# isort: off
from diegod.cli.task import end
from diegod.cli.task import schedule
from diegod.cli.task import submit
from diegod.cli.task import run
from diegod.cli.task import look
from diegod.cli.task.noun import app

__all__ = ["app", "end", "look", "run", "schedule", "submit"]
