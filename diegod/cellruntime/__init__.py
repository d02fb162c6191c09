"""The cell: runs what was placed on it, and says what becomes of it.

`core` decides (pure), the shell around it performs with a container backend and health checks.
Only the cell's executor touches a container. Does not belong here: placement, cluster state, and
any backend that needs more than the host's own processes (those are distributions of their own).

Nothing is imported here: the exec backend's supervisor starts through this package.
"""
