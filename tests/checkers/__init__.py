"""Histories of what clients did, and two checkers that judge them without knowing one another.

`history` is the record, with its file format. `replay` judges it by the revisions that the cluster
gave; `linearizable` by a search for any order that explains each key's answers. `simulated` makes
correct histories, `broken` makes broken ones of them: both show what the checkers are worth.
"""
