"""`diegod task …`: one-off work, the schedules that make it, and its end.

Does not belong here: documents of other kinds (`documents`), what LRPs need as well.
"""
