"""The storm: a whole cluster as real processes, thousands of tasks, and parts that die under them.

Members, brains and cells (runc and exec) have a network namespace each. While tasks run, parts are
killed, stopped and cut off, and machines are lost with their containers. In the end every task must
have ended, hardly any of unknown outcome, each of those for a fault that was injected; and what the
tasks themselves have written, read from the disks, must show that none was started twice.

The machinery of namespaces and processes is that of `tests.chaos`, which storms the BBS alone and
judges its histories. `python -m tests.storm --tasks 2000`.
"""
