"""A cluster of real processes, a load, and faults that are seen to happen; then the checkers.

`python -m tests.chaos` is one run (see docs/evidence/chaos.md). `places` and `network` are what a
run has of the machine, `site` and `members` the cluster, `load` the clients, `nemesis` and
`faults` what goes wrong, `watching` what the cluster says it did, `verdict` the judgement. `raw`
puts the library as it is shipped under the same checkers, which have to reject it.
"""
