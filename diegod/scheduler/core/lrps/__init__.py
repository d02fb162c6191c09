"""What convergence does about one process and its instances, one idea a module.

`process_repairs` says in which order. Does not belong here: where an instance goes (`auction`).
"""
