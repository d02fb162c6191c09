"""Definitions as people give them, in files and by flags, and the plans of what they would change.

Does not belong here: storing them, and the flags of one verb alone.
"""
