"""diegod: a container orchestrator in three roles.

Cells run containers, the brain places work, the BBS holds the truth.
"""

__version__ = "0.2.0.dev0"
