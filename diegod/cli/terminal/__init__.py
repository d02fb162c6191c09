"""What every command has: options, session, output, exit status. It knows no noun of the cluster.

Does not belong here: what a record looks like (`record`).
"""
