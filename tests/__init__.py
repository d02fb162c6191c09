"""The proof: `unit` mirrors the package, `cluster` starts real processes, `repo` tests the clone.

`conftest.py` says what the whole run keeps to.
"""
