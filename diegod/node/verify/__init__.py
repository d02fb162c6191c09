"""`diegod verify`: shows on a running dev cluster that what is promised of tasks holds.

`once` starts many tasks while parts of the cluster are killed, counts from the outside how often
each was started, and compares that with what the cluster says. Only dev clusters of this machine.
"""
