"""A whole cluster on one machine, for trying out: `diegod dev`.

One supervisor and one process a part, on loopback, with ports that the system chose and
certificates of its own. Only what a developer's cluster needs is here; every part is the same
program with the same settings as in production.
"""
