"""`diegod lrp …`: long-running processes: given a definition, watched, changed and ended.

Does not belong here: documents of other kinds (`documents`), what tasks need as well.
"""
