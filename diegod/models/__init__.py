"""The rules of the records: limits, validation, defaults, transitions, restart policy, errors.

Pure, and beside the generated messages of `diegod.v1`, which are the one model of every layer.
Does not belong here: anything that stores, sends or asks the outside world.
"""
