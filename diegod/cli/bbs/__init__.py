"""`diegod bbs …`: the members of the replicated store, their stores and their backups.

`app` is the noun with its verbs. Does not belong here: the commands for what is in the store.
"""
