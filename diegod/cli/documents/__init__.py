"""`diegod apply` and `diegod plan`: documents of any kind in one go. It stands above the nouns.

Does not belong here: what a noun does with documents of its own kind alone.
"""
