"""The built-in health checks: tcp, http, command. Each is one probe; when to probe is the cell's.

Does not belong here: intervals, thresholds and what a failure means (`core.health`).
"""
