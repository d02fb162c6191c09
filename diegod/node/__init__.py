"""Where concrete classes meet: settings become running roles, and processes are looked after.

The only layer that knows all three roles. Decisions do not belong here: each role's core has them.
"""
