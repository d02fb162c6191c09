"""Commands and roles of this machine: settings, certificates, contexts, backends.

No cluster is asked. Does not belong here: `diegod dev`, which makes a whole cluster.
"""
